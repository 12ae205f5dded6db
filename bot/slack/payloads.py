"""Slack payload → what a person did: pure, and lenient with what is absent, so that every act can be answered."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeAlias

from bot.blocks import unescape
from bot.contract import Person, Request

Kind: TypeAlias = Literal["command", "button", "view", "mention"]
Body: TypeAlias = Mapping[str, Any]

_MENTION = re.compile(r"<@([A-Z0-9]+)(?:\|[^>]*)?>")


@dataclass(frozen=True, kw_only=True)
class Act:
    """One thing a person did in Slack, and how to answer it.

    `name` is the command, the action id, the form's callback id, or the first word after the mention. `key` is empty
    where Slack sent none, and then the act is refused. `inputs` are the form's fields that can show an error.
    """

    kind: Kind
    name: str
    key: str
    user: str
    text: str = ""
    channel: str = ""
    channel_name: str = ""
    thread: str | None = None
    message: str | None = None
    value: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)
    trigger: str = ""
    response_url: str = ""
    inputs: tuple[str, ...] = ()

    def request(self, person: Person, command: str, at: datetime) -> Request:
        """Make of it what a command's handler gets."""
        return Request(
            key=self.key,
            at=at,
            person=person,
            command=command,
            text=self.text,
            channel=self.channel,
            channel_name=self.channel_name,
            thread=self.thread,
            message=self.message,
            value=self.value,
            fields=self.fields,
        )


def parse(body: Body, bot_user: str = "") -> Act | None:
    """Read any payload that a person caused; None for the others (shortcuts, closed forms, other events)."""
    if "command" in body:
        return command(body)
    if body.get("type") == "block_actions":
        return button(body)
    if body.get("type") == "view_submission":
        return view(body)
    if _dict(body.get("event")).get("type") == "app_mention":
        return mention(body, bot_user)
    return None


def command(body: Body) -> Act:
    """Read a slash command; its key is the trigger id."""
    return Act(
        kind="command",
        name=_text(body, "command"),
        key=_text(body, "trigger_id"),
        user=_text(body, "user_id"),
        text=unescape(_text(body, "text").strip()),
        channel=_text(body, "channel_id"),
        channel_name=_text(body, "channel_name"),
        trigger=_text(body, "trigger_id"),
        response_url=_text(body, "response_url"),
    )


def button(body: Body) -> Act:
    """Read a click; its key is user, action and the click's own timestamp."""
    action = _dict((body.get("actions") or [{}])[0])
    user, name, at = _text(_dict(body.get("user")), "id"), _text(action, "action_id"), _text(action, "action_ts")
    place, message, channel = (_dict(body.get(part)) for part in ("container", "message", "channel"))
    return Act(
        kind="button",
        name=name,
        key=f"{user}:{name}:{at}" if user and at else "",
        user=user,
        channel=_text(channel, "id") or _text(place, "channel_id"),
        channel_name=_text(channel, "name"),
        thread=_text(place, "thread_ts") or _text(message, "thread_ts") or None,
        message=_text(place, "message_ts") or _text(message, "ts") or None,
        value=_entered(action),
        fields=_fields(_dict(body.get("state"))),
        trigger=_text(body, "trigger_id"),
        response_url=_text(body, "response_url"),
    )


def view(body: Body) -> Act:
    """Read a submitted form; its key is the trigger id, its private metadata the request's value."""
    form = _dict(body.get("view"))
    inputs = (_text(block, "block_id") for block in form.get("blocks") or () if block.get("type") == "input")
    return Act(
        kind="view",
        name=_text(form, "callback_id"),
        key=_text(body, "trigger_id"),
        user=_text(_dict(body.get("user")), "id"),
        value=_text(form, "private_metadata"),
        fields=_fields(_dict(form.get("state"))),
        trigger=_text(body, "trigger_id"),
        inputs=tuple(inputs),
    )


def mention(body: Body, bot_user: str = "") -> Act:
    """Read what was said to the bot; its key is the event id, its verb the first word after the bot's own mention."""
    event = _dict(body.get("event"))
    verb, _, rest = _addressed(_text(event, "text"), bot_user).partition(" ")
    return Act(
        kind="mention",
        name=verb.lower().strip(",:;.!?"),
        key=_text(body, "event_id"),
        user=_text(event, "user"),
        text=unescape(rest.strip()),
        channel=_text(event, "channel"),
        thread=_text(event, "thread_ts") or _text(event, "ts") or None,
        message=_text(event, "ts") or None,
    )


def _addressed(text: str, bot_user: str) -> str:
    """Return what follows the first mention of the bot, with single spaces."""
    for found in _MENTION.finditer(text):
        if not bot_user or found[1] == bot_user:
            return " ".join(text[found.end() :].split())
    return ""


def _fields(state: Body) -> dict[str, str]:
    """Read a form's values by block id; a block holds one element."""
    blocks = _dict(state.get("values"))
    return {name: _entered(_dict(element)) for name, block in blocks.items() for element in _dict(block).values()}


def _entered(element: Body) -> str:
    """Read one element, whatever its type: text, choice, date or person; several are joined by commas."""
    for key in ("selected_options", "selected_users", "selected_conversations", "selected_channels"):
        if key in element:
            return ",".join(_choice(one) for one in element[key] or ())
    for key in ("selected_option", "selected_date", "selected_time", "selected_user", "selected_conversation"):
        if key in element:
            return _choice(element[key])
    return _choice(element.get("value"))


def _choice(chosen: object) -> str:
    if isinstance(chosen, Mapping):
        return str(chosen.get("value") or "")
    return "" if chosen is None else str(chosen)


def _dict(value: object) -> Body:
    return value if isinstance(value, Mapping) else {}


def _text(body: Body, key: str) -> str:
    value = body.get(key)
    return "" if value is None else str(value)
