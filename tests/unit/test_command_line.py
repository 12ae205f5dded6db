"""The command line: what it refuses and with which status; what it does is tested where it can be done."""

import json

import pytest

from bot.__main__ import main


@pytest.fixture(autouse=True)
def bare(monkeypatch, tmp_path):
    for name in ("SLACK_BOT_TOKEN", "SLACK_APP_TOKEN", "SLACK_SIGNING_SECRET", "OPSBOT_CONFIG", "DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPSBOT_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("role", ["serve", "web", "work"])
def test_without_slack_a_role_refuses_in_one_line_and_touches_nothing(role, capsys, tmp_path):
    assert main([role]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "SLACK_BOT_TOKEN" in said
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_setting_is_named_in_one_line(capsys, monkeypatch):
    monkeypatch.setenv("OPSBOT_CONFIG", "nowhere.toml")
    assert main(["serve"]) == 2
    assert capsys.readouterr().err == "opsbot: OPSBOT_CONFIG names nowhere.toml, which does not exist\n"


@pytest.mark.parametrize("arguments", [[], ["frobnicate"], ["sandbox", "--port", "x"]])
def test_wrong_usage_ends_with_status_2(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2


def test_the_manifest_is_printed_for_either_way_to_slack(capsys):
    assert main(["manifest"]) == 0
    assert json.loads(capsys.readouterr().out)["settings"]["socket_mode_enabled"]
    assert main(["manifest", "--http", "https://ops.example.com"]) == 0
    over_http = json.loads(capsys.readouterr().out)["settings"]
    assert over_http["interactivity"]["request_url"] == "https://ops.example.com/slack/events"
