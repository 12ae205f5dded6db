"""Shows what an app answers to a person: in the acknowledgement of a command or through a response URL."""

from bot.sandbox.slack import validate
from bot.sandbox.slack.grants import Response
from bot.sandbox.slack.records import BOT_USER, SLACKBOT, Json, Message
from bot.sandbox.slack.workspace import Workspace


def show(workspace: Workspace, body: Json, response: Response) -> Message | None:
    """Post, replace or delete as the body says; None when it says nothing to show."""
    origin = response.origin
    if body.get("delete_original") and origin is not None:
        workspace.remove(origin)
        return None
    text, blocks = body.get("text", ""), body.get("blocks") or []
    if not text and not blocks:
        return None
    validate.refuse(validate.blocks(blocks))
    if body.get("replace_original") and origin is not None:
        workspace.revise(origin, text, blocks)
        return origin
    # The bot need not be a member here: whoever asked has opened the door.
    in_channel = body.get("response_type") == "in_channel"
    return workspace.post(
        Message(
            channel=response.channel,
            ts=workspace.next_ts(),
            user=BOT_USER,
            text=text,
            blocks=blocks,
            thread_ts=body.get("thread_ts") or response.thread,
            ephemeral_for=None if in_channel else response.user,
        )
    )


def tell(workspace: Workspace, user: str, channel: str, text: str, thread: str | None = None) -> Message:
    """Let Slackbot say something that only one person sees."""
    message = Message(
        channel=channel, ts=workspace.next_ts(), user=SLACKBOT, text=text, thread_ts=thread, ephemeral_for=user
    )
    return workspace.post(message)
