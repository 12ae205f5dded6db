"""Slack's app manifest, computed from the commands so that what Slack offers is what the bot answers."""

import json
import urllib.parse
from collections.abc import Sequence

from bot.blocks import Json, cut
from bot.contract import Command
from bot.errors import Invalid

# What each scope is for: commands, messages, `@opsbot approve`, roles, names and e-mails, and finding a message again
# after an ambiguous post.
SCOPES = (
    "app_mentions:read",
    "channels:history",
    "channels:read",
    "chat:write",
    "commands",
    "groups:history",
    "groups:read",
    "usergroups:read",
    "users:read",
    "users:read.email",
)
EVENTS = ("app_mention",)
EVENTS_PATH = "/slack/events"
# Slack's limits (manifest schema 2.0.0).
COMMANDS = 50
COMMAND_NAME = 32
DESCRIPTION = 2000
USAGE_HINT = 1000

_PURPOSE = (
    "opsbot runs the production runbook from Slack. Production changes need a second pair of eyes, every step is "
    "recorded, traffic is watched after each change, and a failed deployment goes back by itself and pages on-call. "
    "Commands: "
)


def manifest(commands: Sequence[Command], *, http_url: str | None = None) -> Json:
    """Build the manifest: for Socket Mode, or for signed HTTP at `http_url`. Raises Invalid beyond Slack's limits."""
    url = None if http_url is None else _events_url(http_url)
    settings: Json = {
        "event_subscriptions": {"bot_events": list(EVENTS)} | ({"request_url": url} if url else {}),
        "interactivity": {"is_enabled": True} | ({"request_url": url} if url else {}),
        "org_deploy_enabled": False,
        "socket_mode_enabled": url is None,
        "token_rotation_enabled": False,
    }
    return {
        "_metadata": {"major_version": 2, "minor_version": 1},
        "display_information": {
            "name": "opsbot",
            "description": "Deploys, watches and takes back from Slack, with four-eyes approval.",
            "long_description": cut(_PURPOSE + "; ".join(f"{slash(one)}: {one.summary}" for one in commands), 4000),
            "background_color": "#1f2a44",
        },
        "features": {
            # Nobody reads what is typed in the app's own channel: commands belong in the home channel.
            "app_home": {
                "home_tab_enabled": False,
                "messages_tab_enabled": True,
                "messages_tab_read_only_enabled": True,
            },
            "bot_user": {"display_name": "opsbot", "always_online": True},
            "slash_commands": _slash_commands(commands, url),
        },
        "oauth_config": {"scopes": {"bot": list(SCOPES)}},
        "settings": settings,
    }


def link(manifest: Json) -> str:
    """Return the address that creates this app in one click."""
    query = urllib.parse.urlencode({"new_app": 1, "manifest_json": json.dumps(manifest, separators=(",", ":"))})
    return f"https://api.slack.com/apps?{query}"


def slash(command: Command) -> str:
    """Return the command's name as it is typed."""
    return "/" + command.name.removeprefix("/")


def _slash_commands(commands: Sequence[Command], url: str | None) -> list[Json]:
    if len(commands) > COMMANDS:
        raise Invalid(f"{len(commands)} commands, Slack takes {COMMANDS}")
    return [_slash_command(one) | ({"url": url} if url else {}) for one in commands]


def _slash_command(command: Command) -> Json:
    name = slash(command)
    if len(name) > COMMAND_NAME:
        raise Invalid(f"{name} is longer than the {COMMAND_NAME} characters Slack takes")
    hint = " ".join(command.usage.split()).removeprefix(name).strip()
    return {
        "command": name,
        "description": cut(" ".join(command.summary.split()), DESCRIPTION),
        "usage_hint": cut(hint or "help", USAGE_HINT),
        # Slack then sends people and channels by id, and escapes what could be markup.
        "should_escape": True,
    }


def _events_url(base: str) -> str:
    parts = urllib.parse.urlsplit(base)
    if parts.scheme not in {"https", "http"} or not parts.hostname:
        raise Invalid(f"{base} is not a web address: give the bot's public https:// address")
    return base.rstrip("/").removesuffix(EVENTS_PATH) + EVENTS_PATH
