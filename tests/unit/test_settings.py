"""Settings: what is wrong is said in one clear line, spans are scaled once, and the example files say the truth."""

import re
import tomllib
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from bot import settings
from bot.contract import Role
from bot.errors import Misconfigured
from bot.settings import Config, Durations, Environment, Level, Metrics, Settings, Thresholds, parse_span

ROOT = Path(__file__).parents[2]
ENVIRONMENT = """
[environments.production]
cluster = "c"
repository = "r"
listener_rule = "arn:rule"
url = "https://api.example.com"
[environments.production.blue]
service = "s-blue"
target_group = "arn:blue"
selector = 'color="blue"'
[environments.production.green]
service = "s-green"
target_group = "arn:green"
selector = 'color="green"'
"""


def variables():
    """Return the environment variables that Settings reads, with their fields."""
    found: dict[str, FieldInfo] = {}
    for name, field in Settings.model_fields.items():
        alias = field.validation_alias
        found[str(alias.choices[0]) if alias is not None else name.upper()] = field
    del found["CONFIG"]
    return found


@pytest.fixture(autouse=True)
def bare(monkeypatch, tmp_path):
    """A working directory without a file, and an environment without a variable of ours."""
    for name in variables():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def load_text(text):
    Path("opsbot.toml").write_text(text)
    return settings.load()


def complaint(text=None):
    with pytest.raises(Misconfigured) as caught:
        settings.load() if text is None else load_text(text)
    sentence = caught.value.sentence
    assert "\n" not in sentence
    return sentence


def test_without_anything_the_runbooks_defaults_are_in_force():
    loaded = settings.load()
    assert loaded.config == Config()
    assert loaded.config.durations.bake == timedelta(minutes=15)
    assert [level.after for level in loaded.config.ladder] == [timedelta(minutes=m) for m in (0, 15, 30, 60)]


def test_an_empty_variable_is_one_that_is_not_set(monkeypatch):
    monkeypatch.setenv("PORT", "")
    monkeypatch.setenv("SLACK_BOT_TOKEN", "")
    assert (settings.load().port, settings.load().slack_bot_token) == (8080, None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[durations]\nbake = 'soon'", ("durations.bake", "'soon'", "such as 30s, 15m or 24h")),
        ("[durations]\nbake = '-5m'", ("durations.bake", "'-5m'")),
        ("[durations]\nbaking = '5m'", ("durations.baking", "not permitted")),
        ("[duration]\nbake = '5m'", ("duration:", "not permitted")),
        ("[thresholds]\nharm_ticks = 'two'", ("thresholds.harm_ticks", "integer")),
        ("[roles]\npilot = ['U1']", ("roles.pilot", "'deployer'")),
        ("[[ladder]]\nlevel = 5\nafter = '0s'\nwho = 'x'", ("ladder.0.level", "less than or equal to 4")),
        (ENVIRONMENT.replace('cluster = "c"', ""), ("environments.production.cluster", "required")),
        (ENVIRONMENT + "colour = 'red'", ("environments.production.green.colour", "not permitted")),
        (ENVIRONMENT.replace('cluster = "c"', 'cluster = "c"\napprovals = 9'), ("production.approvals", "equal to 5")),
        (ENVIRONMENT.replace('cluster = "c"', 'cluster = "c"\nstrategy = "yolo"'), ("production.strategy", "canary")),
        ("[durations\nbake = '5m'", ("opsbot.toml is not valid TOML", "line 1")),
    ],
)
def test_what_is_wrong_in_the_file_is_named_in_one_line(text, words):
    sentence = complaint(text)
    assert all(word in sentence for word in words), sentence


def test_every_finding_is_said_and_not_only_the_first():
    sentence = complaint("[durations]\nbake = 'soon'\nhold = 'later'")
    assert "durations.bake" in sentence
    assert "durations.hold" in sentence


def test_a_file_that_was_named_must_exist_and_the_usual_one_need_not(monkeypatch):
    assert settings.load().config == Config()
    monkeypatch.setenv("OPSBOT_CONFIG", "elsewhere.toml")
    assert complaint() == "OPSBOT_CONFIG names elsewhere.toml, which does not exist"


def test_a_token_without_a_way_to_listen_is_refused(monkeypatch):
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-secret")
    sentence = complaint()
    assert "SLACK_APP_TOKEN" in sentence
    assert "SLACK_SIGNING_SECRET" in sentence
    assert "xoxb-secret" not in sentence


@pytest.mark.parametrize("second", ["SLACK_APP_TOKEN", "SLACK_SIGNING_SECRET"])
def test_either_way_to_listen_is_enough(second, monkeypatch):
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-hush")
    monkeypatch.setenv(second, "another-hush")
    assert "hush" not in repr(settings.load())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OPSBOT_TIME_SCALE", "0"),
        ("OPSBOT_TIME_SCALE", "-1"),
        ("OPSBOT_TIME_SCALE", "fast"),
        ("PORT", "99999"),
        ("LOG_LEVEL", "loud"),
        ("LOG_FORMAT", "xml"),
    ],
)
def test_a_wrong_variable_is_named_in_one_line(name, value, monkeypatch):
    monkeypatch.setenv(name, value)
    assert complaint().lower().startswith(name.lower())


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("15m", 900), ("24h", 86400), ("1d", 86400), ("1.5h", 5400), ("200ms", 0.2), ("0s", 0)],
)
def test_a_span_is_a_number_and_a_unit(text, seconds):
    assert parse_span(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "5", "m", "5 m", "5x", "1h30m", "1e3s", "5M"])
def test_anything_else_is_no_span(text):
    with pytest.raises(ValueError, match="such as 30s"):
        parse_span(text)


def test_a_scale_divides_every_span_once_but_for_slacks_own_limit(monkeypatch):
    monkeypatch.setenv("OPSBOT_TIME_SCALE", "10")
    config = load_text("[durations]\nbake = '20m'").config
    before = Durations(bake=timedelta(minutes=20))
    for name in Durations.model_fields:
        expected = getattr(before, name) / (1 if name == "card_gap" else 10)
        if name.endswith("_poll"):
            expected = max(expected, timedelta(milliseconds=200))
        assert getattr(config.durations, name) == expected, name
    assert [level.after for level in config.ladder] == [timedelta(minutes=m) / 10 for m in (0, 15, 30, 60)]
    assert config.thresholds == Thresholds()


def test_polls_keep_a_floor_so_that_a_fast_world_is_no_busy_loop(monkeypatch):
    monkeypatch.setenv("OPSBOT_TIME_SCALE", "10000")
    durations = settings.load().config.durations
    polls = [name for name in Durations.model_fields if name.endswith("_poll")]
    assert len(polls) == 4
    assert {getattr(durations, name) for name in polls} == {timedelta(milliseconds=200)}


def test_spans_come_back_from_a_record_as_they_were():
    scaled = Durations(bake=timedelta(seconds=1.5))
    assert Durations.model_validate_json(scaled.model_dump_json()) == scaled


def test_the_targets_address_is_read_from_the_variable_that_the_file_names(monkeypatch):
    named = ENVIRONMENT.replace('cluster = "c"', 'cluster = "c"\ndatabase_url_variable = "PROD_DB"')
    assert load_text(named).target_database_url("production") is None
    monkeypatch.setenv("PROD_DB", "postgresql://u@h/d")
    assert settings.load().target_database_url("production") == "postgresql://u@h/d"


def example_env():
    """Return what `.env.example` lists: each `NAME=value`, commented out or not."""
    text = (ROOT / ".env.example").read_text()
    return dict(re.findall(r"^#?([A-Z][A-Z0-9_]*)=(.*)$", text, flags=re.MULTILINE))


def test_the_example_of_the_environment_lists_exactly_what_is_read():
    assert set(example_env()) == set(variables())


def test_the_example_of_the_environment_states_the_defaults():
    for name, value in example_env().items():
        default = variables()[name].default
        if default is not None:
            assert value == str(default).removesuffix(".0"), name


def test_the_example_of_the_environment_can_be_read_by_a_shell():
    text = (ROOT / ".env.example").read_text()
    assert all(re.fullmatch(r"|#.*|[A-Z_]+=[^\s\"'$<>|&;()]*", line) for line in text.splitlines())


@pytest.fixture
def example(monkeypatch):
    monkeypatch.setenv("OPSBOT_CONFIG", str(ROOT / "opsbot.example.toml"))
    return settings.load().config


@pytest.fixture
def written():
    return tomllib.loads((ROOT / "opsbot.example.toml").read_text())


def test_the_example_file_loads_and_states_the_runbooks_defaults(example):
    assert (example.durations, example.thresholds, example.metrics) == (Durations(), Thresholds(), Metrics())
    assert example.ladder == settings.RUNBOOK_LADDER
    assert set(example.roles) == set(Role)


@pytest.mark.parametrize(
    ("section", "kind"), [("durations", Durations), ("thresholds", Thresholds), ("metrics", Metrics)]
)
def test_the_example_file_has_every_key(section, kind, written):
    assert set(written[section]) == set(kind.model_fields)


def test_the_example_file_shows_every_part_every_key_of_an_environment_and_every_key_of_a_level(written):
    assert set(written) == set(Config.model_fields)
    assert all(set(level) == set(Level.model_fields) for level in written["ladder"])
    shown = {key for environment in written["environments"].values() for key in environment}
    assert shown == set(Environment.model_fields)
    colours = [environment[colour] for environment in written["environments"].values() for colour in settings.COLOURS]
    assert {key for colour in colours for key in colour} == set(settings.ColourSettings.model_fields)


def test_what_the_example_file_says_of_production_are_the_defaults_where_there_are_any(example):
    production = example.environments["production"]
    free = {"database_url_variable", "prometheus_url"}
    for name, field in Environment.model_fields.items():
        if not field.is_required() and name not in free:
            assert getattr(production, name) == field.default, name


def test_every_section_refuses_keys_that_it_does_not_know():
    for kind in (Config, Environment, Durations, Thresholds, Metrics, Level, settings.ColourSettings):
        assert issubclass(kind, BaseModel)
        assert kind.model_config["extra"] == "forbid"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[durations]\nhold = 24", ("durations.hold", "24 has no unit")),
        ("[durations]\nbake = '0s'", ("durations.bake", "greater than")),
        ("[durations]\nbake = '-PT5M'", ("durations.bake", "'-PT5M'")),
        ("[thresholds]\nerror_rate_harm = nan", ("thresholds.error_rate_harm", "finite")),
        ("[thresholds]\nerror_rate_harm = -1.0", ("thresholds.error_rate_harm", "greater than 0")),
        ("[thresholds]\nharm_ticks = 0", ("thresholds.harm_ticks", "greater than or equal to 1")),
        ("ladder = []", ("ladder", "at least 1")),
    ],
)
def test_a_value_that_would_blind_the_watch_or_the_pager_is_refused(text, words):
    sentence = complaint(text)
    assert all(word in sentence for word in words), sentence
    assert "opsbot.toml" in sentence


def test_a_file_that_cannot_be_read_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setenv("OPSBOT_CONFIG", str(tmp_path))
    assert "cannot be read" in complaint()
    (tmp_path / "latin.toml").write_bytes(b'x = "\xe9"')
    monkeypatch.setenv("OPSBOT_CONFIG", str(tmp_path / "latin.toml"))
    assert "not valid TOML" in complaint()


def test_another_database_than_postgresql_is_refused(monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "mysql://root@db/opsbot")
    assert "DATABASE_URL must begin with postgresql://" in complaint()
