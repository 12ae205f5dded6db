"""chat.* and reactions.*: posting, updating and deleting messages as the bot."""

from bot.sandbox.slack import validate
from bot.sandbox.slack.calls import Call, Method
from bot.sandbox.slack.records import BOT_USER, ApiError, Change, Channel, Json, Message


def _post(call: Call) -> Json:
    channel = _joined(call)
    text, blocks = _content(call)
    metadata = call.arguments.get("metadata")
    if metadata is not None and not (isinstance(metadata, dict) and {"event_type", "event_payload"} <= metadata.keys()):
        raise ApiError("invalid_metadata_format")
    message = call.workspace.post(
        Message(
            channel=channel.id,
            ts=call.workspace.next_ts(),
            user=BOT_USER,
            text=text[: validate.POST_TEXT],
            blocks=blocks,
            thread_ts=_thread(call, channel),
            broadcast=call.flag("reply_broadcast"),
            metadata=metadata,
        )
    )
    return {"channel": channel.id, "ts": message.ts, "message": message.json(all_metadata=True)}


def _update(call: Call) -> Json:
    channel = call.workspace.find_channel(call.need("channel"))
    message = call.workspace.find_message(channel.id, call.need("ts"))
    if message.user != BOT_USER:
        raise ApiError("cant_update_message")
    if len(call.text("text")) > validate.UPDATE_TEXT:
        raise ApiError("msg_too_long")
    text, blocks = _content(call)
    message.edited = message.edited or not blocks
    call.workspace.revise(message, text, blocks, call.arguments.get("metadata"))
    return {"channel": channel.id, "ts": message.ts, "text": text, "message": message.json(all_metadata=True)}


def _delete(call: Call) -> Json:
    channel = call.workspace.find_channel(call.need("channel"))
    message = call.workspace.find_message(channel.id, call.need("ts"))
    if message.user != BOT_USER:
        raise ApiError("cant_delete_message")
    call.workspace.remove(message)
    return {"channel": channel.id, "ts": message.ts}


def _whisper(call: Call) -> Json:
    channel = _joined(call)
    user = call.need("user")
    if user not in channel.members:
        raise ApiError("user_not_in_channel")
    text, blocks = _content(call)
    message = call.workspace.post(
        Message(
            channel=channel.id,
            ts=call.workspace.next_ts(),
            user=BOT_USER,
            text=text,
            blocks=blocks,
            thread_ts=_thread(call, channel),
            ephemeral_for=user,
        )
    )
    return {"message_ts": message.ts}


def _permalink(call: Call) -> Json:
    channel = call.workspace.find_channel(call.need("channel"))
    message = call.workspace.find_message(channel.id, call.need("message_ts"))
    link = f"{call.base}/archives/{channel.id}/p{message.ts.replace('.', '')}"
    if message.is_reply:
        link += f"?thread_ts={message.thread_ts}&cid={channel.id}"
    return {"channel": channel.id, "permalink": link}


def _react(call: Call) -> Json:
    message, name = _reacted(call)
    users = message.reactions.setdefault(name, [])
    if BOT_USER in users:
        raise ApiError("already_reacted")
    users.append(BOT_USER)
    call.workspace.tell(Change(kind="message", message=message))
    return {}


def _unreact(call: Call) -> Json:
    message, name = _reacted(call)
    if BOT_USER not in message.reactions.get(name, []):
        raise ApiError("no_reaction")
    message.reactions[name].remove(BOT_USER)
    message.reactions = {name: users for name, users in message.reactions.items() if users}
    call.workspace.tell(Change(kind="message", message=message))
    return {}


def _validate(call: Call) -> Json:
    if "view" in call.arguments:
        error, findings = "invalid_view", validate.view(call.arguments["view"])
    elif "message" in call.arguments:
        error, findings = "invalid_message", validate.blocks(call.arguments["message"].get("blocks", []))
    elif "blocks" in call.arguments:
        error, findings = "invalid_blocks", validate.blocks(call.arguments["blocks"], pointer="")
    else:
        raise ApiError("invalid_arguments")
    if findings:
        errors = [
            {"pointer": one.pointer, "code": one.code, "message": one.message, "constraint": None} for one in findings
        ]
        raise ApiError(error, errors=errors)
    return {}


def _joined(call: Call) -> Channel:
    channel = call.workspace.find_channel(call.need("channel"))
    if BOT_USER not in channel.members:
        raise ApiError("not_in_channel")
    return channel


def _content(call: Call) -> tuple[str, list[Json]]:
    text, blocks = call.text("text"), call.arguments.get("blocks") or []
    if not text and not blocks:
        raise ApiError("no_text")
    validate.refuse(validate.blocks(blocks))
    return text, blocks


def _thread(call: Call, channel: Channel) -> str | None:
    ts = call.text("thread_ts")
    if not ts:
        return None
    for message in call.workspace.history[channel.id]:
        if message.ts == ts and not message.deleted:
            return message.thread_ts or ts
    raise ApiError("thread_not_found")


def _reacted(call: Call) -> tuple[Message, str]:
    channel = call.workspace.find_channel(call.need("channel"))
    return call.workspace.find_message(channel.id, call.need("timestamp")), call.need("name").strip(":")


METHODS: dict[str, Method] = {
    "chat.postMessage": _post,
    "chat.update": _update,
    "chat.delete": _delete,
    "chat.postEphemeral": _whisper,
    "chat.getPermalink": _permalink,
    "reactions.add": _react,
    "reactions.remove": _unreact,
    "blocks.validate": _validate,
}
