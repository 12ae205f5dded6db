"""What Slack sends to an app, built from our records: the shapes that Bolt parses."""

from collections.abc import Mapping
from typing import Any

from bot.sandbox.slack import views
from bot.sandbox.slack.records import APP, TEAM, Channel, Json, Message, User, View, controls

Values = Mapping[tuple[str, str], object]

_TEAM: Json = {"id": TEAM, "domain": "sandbox"}
_VALUE_KEYS = {
    "static_select": "selected_option",
    "external_select": "selected_option",
    "radio_buttons": "selected_option",
    "overflow": "selected_option",
    "multi_static_select": "selected_options",
    "multi_external_select": "selected_options",
    "checkboxes": "selected_options",
    "users_select": "selected_user",
    "multi_users_select": "selected_users",
    "conversations_select": "selected_conversation",
    "multi_conversations_select": "selected_conversations",
    "channels_select": "selected_channel",
    "multi_channels_select": "selected_channels",
    "datepicker": "selected_date",
    "timepicker": "selected_time",
    "datetimepicker": "selected_date_time",
}


def command(name: str, text: str, user: User, channel: Channel, grants: Mapping[str, str]) -> Json:
    """Return the form fields of a slash command; `grants` holds trigger_id and response_url."""
    return {
        "token": "sandbox",
        "team_id": TEAM,
        "team_domain": "sandbox",
        "channel_id": channel.id,
        "channel_name": "directmessage" if channel.im_user else channel.name,
        "user_id": user.id,
        "user_name": user.handle,
        "command": name,
        "text": text,
        "api_app_id": APP,
        "is_enterprise_install": "false",
        **grants,
    }


def message_action(user: User, message: Message, channel: Channel, action: Json, values: Values) -> Json:
    """Return block_actions of a control in a message; ephemeral ones come without the message, as in Slack."""
    ephemeral = message.ephemeral_for is not None
    container: Json = {
        "type": "message",
        "message_ts": message.ts,
        "channel_id": channel.id,
        "is_ephemeral": ephemeral,
    }
    if message.thread_ts:
        container["thread_ts"] = message.thread_ts
    payload = _interaction("block_actions", user) | {
        "container": container,
        "channel": {"id": channel.id, "name": "directmessage" if channel.im_user else channel.name},
        "state": {"values": state(message.blocks, values)},
        "actions": [action],
    }
    return payload if ephemeral else payload | {"message": message.json()}


def view_action(user: User, view: View, action: Json) -> Json:
    """Return block_actions of a control in a modal or a home tab."""
    shown = views.as_json(view, state(view.blocks, view.values))
    return _interaction("block_actions", user) | {
        "container": {"type": "view", "view_id": view.id},
        "view": shown,
        "actions": [action],
    }


def submission(user: User, view: View) -> Json:
    """Return view_submission with everything that was typed."""
    shown = views.as_json(view, state(view.blocks, view.values))
    return _interaction("view_submission", user) | {"view": shown, "response_urls": []}


def closed(user: User, view: View, *, everything: bool) -> Json:
    """Return view_closed."""
    return _interaction("view_closed", user) | {"view": views.as_json(view), "is_cleared": everything}


def action(block_id: str, element: Json, raw: object, ts: str) -> Json:
    """Return one entry of `actions`."""
    kind = element["type"]
    acted: Json = {"type": kind, "action_id": element["action_id"], "block_id": block_id, "action_ts": ts}
    if kind in {"button", "icon_button"}:
        acted |= {name: element[name] for name in ("text", "value", "style", "url") if name in element}
    elif kind == "feedback_buttons":
        acted |= {"value": raw}
    else:
        acted |= {key: found for key, found in value(element, raw).items() if key != "type"}
    if "confirm" in element:
        acted["confirm"] = element["confirm"]
    return acted


def state(blocks: list[Json], values: Values) -> Json:
    """Return `state.values`: every stateful control with its value, or the initial one."""
    found: dict[str, Json] = {}
    for block_id, element in controls(blocks):
        if element["type"] not in {"button", "workflow_button", "overflow", "icon_button", "feedback_buttons"}:
            raw = values.get((block_id, element["action_id"]), initial(element))
            found.setdefault(block_id, {})[element["action_id"]] = value(element, raw)
    return found


def value(element: Json, raw: object) -> Json:
    """Return a control's state as Slack types it; `raw` is text, a list of texts, or None for empty."""
    kind = element["type"]
    key = _VALUE_KEYS.get(kind, "value")
    if kind == "rich_text_input":
        return {"type": kind, "rich_text_value": _rich(str(raw)) if raw else None}
    if key == "selected_option":
        return {"type": kind, key: _option(element, str(raw)) if raw else None}
    if key == "selected_options":
        return {"type": kind, key: [_option(element, one) for one in _many(raw)]}
    if key.endswith("s"):
        return {"type": kind, key: _many(raw)}
    if kind == "datetimepicker":
        return {"type": kind, key: int(str(raw)) if raw else None}
    return {"type": kind, key: None if raw is None or raw == "" else str(raw)}


def initial(element: Json) -> object:
    """Return what a control starts with, in the raw form of `value`."""
    for key in ("initial_value", "initial_date", "initial_time", "initial_date_time", "initial_user",
                "initial_conversation", "initial_channel"):  # fmt: skip
        if key in element:
            found: object = element[key]
            return found
    if "initial_option" in element:
        return element["initial_option"]["value"]
    for key in ("initial_users", "initial_conversations", "initial_channels"):
        if key in element:
            return list(element[key])
    return [option["value"] for option in element.get("initial_options", [])] or None


def options(element: Json) -> list[Json]:
    """Return all options of a select, groups flattened."""
    grouped = [option for group in element.get("option_groups", []) for option in group["options"]]
    return [*element.get("options", []), *grouped]


def _interaction(kind: str, user: User) -> dict[str, Any]:
    return {
        "type": kind,
        "team": _TEAM,
        "user": {"id": user.id, "username": user.handle, "name": user.handle, "team_id": TEAM},
        "api_app_id": APP,
        "token": "sandbox",
        "enterprise": None,
        "is_enterprise_install": False,
    }


def _option(element: Json, raw: str) -> Json:
    for option in options(element):
        if raw in {option["value"], option["text"]["text"]}:
            return option
    return {"text": {"type": "plain_text", "text": raw}, "value": raw}


def _many(raw: object) -> list[str]:
    if isinstance(raw, list | tuple):
        return [str(one) for one in raw]
    return [str(raw)] if raw else []


def _rich(text: str) -> Json:
    section = {"type": "rich_text_section", "elements": [{"type": "text", "text": text}]}
    return {"type": "rich_text", "elements": [section]}
