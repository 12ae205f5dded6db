"""The manifest offers exactly what the commands answer, within the limits of Slack's manifest schema."""

import json
import urllib.parse

import pytest

from bot.contract import Command, Reply
from bot.errors import Invalid
from bot.slack import manifest


async def answer(request, services):
    return Reply()


def command(name="/deploy", **changes):
    given = {
        "summary": "Deploy a version\n to an environment",
        "usage": "/deploy <version> <environment>\n[--dry-run]",
        "examples": ("/deploy v0.1.0 production",),
        "handle": answer,
    }
    return Command(name=name, **(given | changes))


def test_every_command_is_offered_with_one_line_texts_and_escaping_on():
    commands = manifest.manifest([command(), command("canary", usage="")])["features"]["slash_commands"]
    assert commands == [
        {
            "command": "/deploy",
            "description": "Deploy a version to an environment",
            "usage_hint": "<version> <environment> [--dry-run]",
            "should_escape": True,
        },
        {"command": "/canary", "description": commands[1]["description"], "usage_hint": "help", "should_escape": True},
    ]


def test_socket_mode_needs_no_address():
    made = manifest.manifest([command()])
    assert made["settings"]["socket_mode_enabled"] is True
    assert "http" not in json.dumps({**made, "_metadata": None})


@pytest.mark.parametrize(
    "base", ["https://ops.example.com", "https://ops.example.com/", "https://ops.example.com/slack/events"]
)
def test_over_http_everything_goes_to_one_address(base):
    made = manifest.manifest([command()], http_url=base)
    url = "https://ops.example.com/slack/events"
    assert made["settings"]["socket_mode_enabled"] is False
    assert made["settings"]["interactivity"]["request_url"] == url
    assert made["settings"]["event_subscriptions"]["request_url"] == url
    assert made["features"]["slash_commands"][0]["url"] == url


@pytest.mark.parametrize("base", ["ops.example.com", "ftp://ops.example.com", ""])
def test_what_is_no_web_address_is_refused(base):
    with pytest.raises(Invalid):
        manifest.manifest([command()], http_url=base)


def test_too_many_or_too_long_commands_are_refused():
    with pytest.raises(Invalid, match="51"):
        manifest.manifest([command(f"/c{n}") for n in range(51)])
    with pytest.raises(Invalid, match="32"):
        manifest.manifest([command("/" + "x" * 32)])


def test_texts_stay_within_the_schema():
    made = manifest.manifest([command(f"/c{n}", summary="s" * 3000, usage="u" * 3000) for n in range(50)])
    shown = made["display_information"]
    assert len(shown["name"]) <= 35
    assert len(shown["description"]) <= 140
    assert 174 <= len(shown["long_description"]) <= 4000
    for one in made["features"]["slash_commands"]:
        assert len(one["description"]) <= 2000
        assert len(one["usage_hint"]) <= 1000
    assert len(manifest.manifest([])["display_information"]["long_description"]) >= 174


def test_the_event_that_mentions_need_comes_with_its_scope():
    made = manifest.manifest([command()])
    assert made["settings"]["event_subscriptions"]["bot_events"] == ["app_mention"]
    assert {"app_mentions:read", "chat:write", "commands", "usergroups:read"} <= set(
        made["oauth_config"]["scopes"]["bot"]
    )


def test_the_link_holds_the_whole_manifest():
    made = manifest.manifest([command()])
    query = urllib.parse.parse_qs(urllib.parse.urlsplit(manifest.link(made)).query)
    assert query["new_app"] == ["1"]
    assert json.loads(query["manifest_json"][0]) == made
