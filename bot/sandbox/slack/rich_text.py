"""Slack's rich_text blocks as HTML; nothing in them is parsed, so they are safe for foreign text."""

from html import escape

from bot.sandbox.slack import mrkdwn
from bot.sandbox.slack.records import Json
from bot.sandbox.slack.workspace import Workspace

_STYLES = (("code", "code"), ("strike", "s"), ("italic", "em"), ("bold", "strong"))
_REFERENCES = {
    "user": ("@", "user_id"),
    "usergroup": ("!subteam^", "usergroup_id"),
    "channel": ("#", "channel_id"),
    "broadcast": ("!", "range"),
}


def html(workspace: Workspace, block: Json) -> str:
    """Return a rich_text block."""
    return "".join(_part(workspace, part) for part in block.get("elements", []))


def _part(workspace: Workspace, part: Json) -> str:
    match part["type"]:
        case "rich_text_preformatted":
            return f"<pre>{_inline(workspace, part)}</pre>"
        case "rich_text_quote":
            return f"<blockquote>{_inline(workspace, part)}</blockquote>"
        case "rich_text_list":
            tag = "ol" if part.get("style") == "ordered" else "ul"
            items = "".join(f"<li>{_inline(workspace, item)}</li>" for item in part["elements"])
            return f'<{tag} class="indent{int(part.get("indent", 0))}">{items}</{tag}>'
        case _:
            return f"<p>{_inline(workspace, part)}</p>"


def _inline(workspace: Workspace, part: Json) -> str:
    return "".join(_styled(_element(workspace, one), one.get("style") or {}) for one in part.get("elements", []))


def _element(workspace: Workspace, one: Json) -> str:
    kind = one["type"]
    if kind in _REFERENCES:
        prefix, key = _REFERENCES[kind]
        return mrkdwn.reference(workspace, prefix + one[key])
    match kind:
        case "link":
            return mrkdwn.link(one["url"], escape(one.get("text") or one["url"]))
        case "emoji":
            return mrkdwn.emoji(f":{escape(one['name'])}:")
        case "date":
            return mrkdwn.date(str(one["timestamp"]), one.get("format", "{date}"), one.get("fallback", ""))
        case _:
            return escape(str(one.get("text", one.get("value", "")))).replace("\n", "<br>")


def _styled(markup: str, style: Json) -> str:
    for name, tag in _STYLES:
        if style.get(name):
            markup = f"<{tag}>{markup}</{tag}>"
    return markup
