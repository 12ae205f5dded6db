"""conversations.*: where the bot is, who else is there, and what was said."""

from collections.abc import Sequence
from typing import TypeVar

from bot.sandbox.slack.calls import Call, Method
from bot.sandbox.slack.records import BOT_USER, ApiError, Channel, Json, Message
from bot.sandbox.slack.workspace import Workspace

Item = TypeVar("Item")


def _info(call: Call) -> Json:
    return {"channel": _shown(_channel(call))}


def _list(call: Call) -> Json:
    kinds = call.text("types", "public_channel").split(",")
    places = [
        place
        for place in call.workspace.channels.values()
        if (place.im_user is not None and "im" in kinds) or (place.im_user is None and "public_channel" in kinds)
    ]
    page, metadata = _page(call, places)
    return {"channels": [_shown(place) for place in page], "response_metadata": metadata}


def _members(call: Call) -> Json:
    page, metadata = _page(call, sorted(_channel(call).members))
    return {"members": list(page), "response_metadata": metadata}


def _open(call: Call) -> Json:
    users = [user for user in call.text("users").split(",") if user]
    if len(users) != 1:
        raise ApiError("too_many_users" if users else "users_list_not_supplied")
    call.workspace.find_user(users[0])
    return {"channel": {"id": call.workspace.find_channel(users[0]).id}}


def _history(call: Call) -> Json:
    channel = _joined(call)
    shown = [one for one in call.workspace.history[channel.id] if not one.is_reply or one.broadcast]
    return _told(call, sorted(shown, key=lambda one: one.ts, reverse=True))


def _replies(call: Call) -> Json:
    channel = _joined(call)
    parent = call.workspace.find_message(channel.id, call.need("ts"))
    return _told(call, [parent, *call.workspace.replies(parent)])


def _told(call: Call, messages: Sequence[Message]) -> Json:
    oldest, latest, inclusive = call.text("oldest"), call.text("latest"), call.flag("inclusive")
    wanted = [
        one
        for one in messages
        if one.ephemeral_for is None
        and not one.deleted
        and _between(float(one.ts), oldest, latest, inclusive=inclusive)
    ]
    page, metadata = _page(call, wanted)
    return {
        "messages": [_with_thread(call.workspace, one, all_metadata=call.flag("include_all_metadata")) for one in page],
        "has_more": bool(metadata["next_cursor"]),
        "response_metadata": metadata,
    }


def _with_thread(workspace: Workspace, message: Message, *, all_metadata: bool) -> Json:
    shown = message.json(all_metadata=all_metadata)
    replies = [one for one in workspace.replies(message) if one.ephemeral_for is None and not one.deleted]
    if replies:
        shown |= {"thread_ts": message.ts, "reply_count": len(replies), "latest_reply": replies[-1].ts}
    return shown


def _between(ts: float, oldest: str, latest: str, *, inclusive: bool) -> bool:
    try:
        low, high = float(oldest or 0), float(latest or "inf")
    except ValueError as error:
        raise ApiError("invalid_ts_oldest") from error
    return low < ts < high or (inclusive and ts in {low, high})


def _page(call: Call, items: Sequence[Item]) -> tuple[Sequence[Item], Json]:
    start = int(call.text("cursor") or 0)
    end = start + min(call.number("limit", 100), 1000)
    return items[start:end], {"next_cursor": str(end) if end < len(items) else ""}


def _channel(call: Call) -> Channel:
    return call.workspace.find_channel(call.need("channel"))


def _joined(call: Call) -> Channel:
    channel = _channel(call)
    if BOT_USER not in channel.members:
        raise ApiError("not_in_channel")
    return channel


def _shown(channel: Channel) -> Json:
    if channel.im_user is not None:
        return {"id": channel.id, "is_im": True, "is_channel": False, "user": channel.im_user, "is_archived": False}
    return {
        "id": channel.id,
        "name": channel.name,
        "name_normalized": channel.name,
        "is_channel": True,
        "is_im": False,
        "is_private": False,
        "is_archived": False,
        "is_member": BOT_USER in channel.members,
        "num_members": len(channel.members),
        "topic": {"value": channel.topic},
    }


METHODS: dict[str, Method] = {
    "conversations.info": _info,
    "conversations.list": _list,
    "conversations.members": _members,
    "conversations.open": _open,
    "conversations.history": _history,
    "conversations.replies": _replies,
}
