"""contract.Reply → what Slack shows, and the sentences for when something went wrong.

Before the ack the answer travels in the ack itself; after it, through the response_url, a thread, or a whisper.
"""

from collections.abc import Sequence

import structlog

from bot import blocks
from bot.blocks import Json
from bot.clients.slack import Slack
from bot.contract import Block, Card, Reply
from bot.errors import NotFound, OpsError, OutcomeUnknown, Refused
from bot.slack.payloads import Act

TEXT = 4000
NOTICE = "opsbot_notice"
STATUS = "`/deploy status`"
# What is known at that moment, and no more: the handler goes on, so its effect may still come.
LATE = Reply(
    text="Still working: this takes longer than the 3 seconds Slack waits. It may still take effect, nothing is lost, "
    f"and the result follows here. If none does, ask {STATUS} before you try again."
)
_BAD_LAYOUT = frozenset({"invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long", "invalid_arguments"})

log = structlog.get_logger(__name__)


def to_command(reply: Reply) -> Json | str:
    """Return the body of the ack of a slash command; an empty one shows nothing."""
    if not reply.text and not reply.blocks:
        return ""
    audience = "in_channel" if reply.audience == "channel" else "ephemeral"
    body: Json = {"response_type": audience, "text": blocks.cut(reply.text, TEXT)}
    body |= {"unfurl_links": False, "unfurl_media": False}
    layout = _safe(reply)
    return body | {"blocks": [dict(block) for block in layout]} if layout else body


def to_form(reply: Reply, act: Act) -> Json | str:
    """Return the body of the ack of a form: its errors, the next form, or nothing, which closes it."""
    if reply.errors:
        return _form_errors(dict(reply.errors), act)
    if reply.view is not None:
        return {"response_action": "update", "view": dict(reply.view)}
    return ""


def to_form_failure(text: str, act: Act) -> Json:
    """Keep the form open with the sentence in it, so that what was typed is not lost."""
    return _form_errors({"": text}, act)


def notice(text: str) -> Json:
    """Build a form that only says something."""
    return blocks.modal(NOTICE, "opsbot", [blocks.section(text)], close="Close")


def failure(error: Exception, reference: str, *, begun: bool) -> str:
    """Say what failed, what was not changed, and the log's reference; `begun` tells whether a handler was called."""
    if not begun:
        return f"opsbot could not take this in. Nothing was changed: please try again in a moment. Ref `{reference}`"
    if not isinstance(error, OpsError):
        return (
            "This is a mistake in opsbot, not yours. What you asked for is not confirmed: "
            f"ask {STATUS} before you try again. Ref `{reference}`"
        )
    # Errors are plain sentences and may quote what a person typed.
    sentence = blocks.escape(error.sentence.rstrip(". ")) + "."
    if isinstance(error, OutcomeUnknown):
        return f"{sentence} It may or may not have taken effect: ask {STATUS} before you try again. Ref `{reference}`"
    if "nothing was" in sentence.casefold():
        return f"{sentence} Ref `{reference}`"
    return f"{sentence} Nothing was changed. Ref `{reference}`"


def unknown(act: Act) -> str:
    """Say that this part of the surface is gone, and that nothing happened."""
    match act.kind:
        case "button":
            what = "This button is"
        case "view":
            what = "This form is"
        case _:
            what = f"{blocks.escape(act.name)} is"
    return f"{what} from an older version of opsbot; nothing was changed. Use {STATUS} to see what stands."


async def tell(slack: Slack, act: Act, reply: Reply, home: str) -> None:
    """Deliver a reply after the ack. A failure is logged and goes no further: what was decided stands all the same."""
    if not reply.text and not reply.blocks:
        return
    text, layout = blocks.cut(reply.text, TEXT), _safe(reply)
    try:
        await _send(slack, act, text, layout, home)
    except Refused as error:
        if not layout or error.facts.get("error") not in _BAD_LAYOUT:
            log.warning("slack_reply_failed", error=error.sentence, kind=act.kind, key=act.key)
            return
        log.warning("slack_layout_refused", error=error.sentence, reasons=error.facts.get("reasons"), key=act.key)
        await tell(slack, act, Reply(text=reply.text), home)
    except OpsError as error:
        log.warning("slack_reply_failed", error=error.sentence, kind=act.kind, key=act.key)


async def _send(slack: Slack, act: Act, text: str, layout: Sequence[Block], home: str) -> None:
    if act.kind == "mention":
        await slack.post(act.channel, text, layout, thread=act.thread)
        return
    if act.response_url:
        await slack.respond(act.response_url, text, layout)
        return
    try:
        await slack.whisper(await slack.channel_id(home), act.user, text, layout)
    except (Refused, NotFound) as error:
        if error.facts.get("error") in _BAD_LAYOUT:
            raise
        # Forms carry no channel, and the person may not be in the home channel: then their own messages.
        await slack.post(act.user, text, layout)


def _safe(reply: Reply) -> Sequence[Block]:
    """Check the layout before Slack does, because a refused ack shows the person nothing at all."""
    findings = blocks.check(reply.blocks)
    if not findings:
        return reply.blocks
    log.warning("slack_layout_wrong", findings=findings)
    return blocks.plain(Card(text=reply.text, blocks=reply.blocks))


def _form_errors(errors: dict[str, str], act: Act) -> Json:
    """Slack shows errors under inputs only: others move to the first input, or into a notice where there is none."""
    if not act.inputs:
        return {"response_action": "update", "view": notice("\n".join(errors.values()))}
    shown: dict[str, str] = {}
    for name, sentence in errors.items():
        place = name if name in act.inputs else act.inputs[0]
        shown[place] = f"{shown[place]} {sentence}" if place in shown else sentence
    return {"response_action": "errors", "errors": shown}
