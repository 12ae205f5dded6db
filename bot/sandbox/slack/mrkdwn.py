"""Slack's mrkdwn as safe HTML: everything is escaped, then references, links and styles become tags."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from html import escape, unescape
from typing import Final

from bot.sandbox.slack import icons
from bot.sandbox.slack.emoji import EMOJI
from bot.sandbox.slack.workspace import Workspace

_PRE: Final = re.compile(r"\n?```\n?(.+?)\n?```\n?", re.DOTALL)
_CODE: Final = re.compile(r"`([^`\n]+)`")
_REFERENCE: Final = re.compile(r"<([^<>\n]+)>")
_EMOJI: Final = re.compile(r":([a-z0-9_+-]+):")
_KEPT: Final = re.compile("\ue000(\\d+)\ue001")
_STYLES: Final = tuple(
    (re.compile(rf"(?<![\w{mark}]){mark}(?=\S)([^\n]+?)(?<=\S){mark}(?![\w{mark}])"), tag)
    for mark, tag in ((r"\*", "strong"), ("_", "em"), ("~", "s"))
)
_QUOTE: Final = re.compile(r"(?:^&gt; ?[^\n]*(?:\n|$))+", re.MULTILINE)
_SAFE_LINK: Final = re.compile(r"^(https?|mailto|tel):", re.IGNORECASE)
_BROADCASTS: Final = {"here", "channel", "everyone"}


def html(workspace: Workspace, text: str) -> str:
    """Return mrkdwn as HTML that can go into the page as it is."""
    kept: list[str] = []

    def keep(markup: str) -> str:
        kept.append(markup)
        return f"\ue000{len(kept) - 1}\ue001"

    text = re.sub("[\ue000\ue001]", "", text)
    text = _PRE.sub(lambda found: keep(f"<pre>{plain(found[1])}</pre>"), text)
    text = _CODE.sub(lambda found: keep(f"<code>{plain(found[1])}</code>"), text)
    text = _REFERENCE.sub(lambda found: keep(reference(workspace, found[1])), text)
    return _restore(_styled(emoji(plain(text)), keep), kept)


def plain(text: str) -> str:
    """Escape text that may hold Slack's three entities already."""
    return escape(unescape_three(text), quote=True)


def unescape_three(text: str) -> str:
    """Undo Slack's escaping of & < > and nothing else."""
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def emoji(escaped: str) -> str:
    """Turn known shortcodes into drawings, or into characters where there is none."""
    return _EMOJI.sub(lambda found: icons.DRAWN.get(found[1]) or EMOJI.get(found[1], found[0]), escaped)


def characters(escaped: str) -> str:
    """Turn known shortcodes into characters, for places that hold text only."""
    return _EMOJI.sub(lambda found: EMOJI.get(found[1], found[0]), escaped)


def reference(workspace: Workspace, inside: str) -> str:
    """Return the HTML of what stands between < and >."""
    head, _, label = inside.partition("|")
    if head.startswith("@"):
        user = workspace.users.get(head[1:])
        return mention(f"@{user.handle if user else label or head[1:]}", kind="user")
    if head.startswith("#"):
        channel = workspace.channels.get(head[1:])
        return mention(f"#{channel.name if channel else label or head[1:]}", kind="place")
    if head.startswith("!"):
        return _special(workspace, head[1:], label)
    return link(unescape_three(head), emoji(plain(label or head)))


def mention(text: str, *, kind: str) -> str:
    """Return a highlighted name."""
    return f'<span class="mention {kind}">{escape(text)}</span>'


def link(url: str, label: str) -> str:
    """Return a link with an already escaped label; only harmless schemes become clickable."""
    if not _SAFE_LINK.match(url):
        return label
    return f'<a href="{escape(url, quote=True)}" target="_blank" rel="noopener noreferrer">{label}</a>'


def date(unix: str, form: str, fallback: str) -> str:
    """Return a date in the reader's zone, which is this machine's; the fallback where it is no time at all."""
    try:
        moment = datetime.fromtimestamp(int(unix), tz=UTC).astimezone()
    except (ValueError, OverflowError, OSError):
        return plain(fallback)
    shown = _dated(moment, unescape(form))
    return f'<time title="{escape(moment.isoformat(" ", "seconds"))}">{escape(shown)}</time>'


def _special(workspace: Workspace, head: str, label: str) -> str:
    if head.startswith("date^"):
        _, unix, form, *_rest = [*head.split("^"), "", ""]
        return date(unix, form, label)
    if head.startswith("subteam^"):
        group = workspace.groups.get(head.removeprefix("subteam^"))
        return mention(f"@{group.handle}" if group else label or "@group", kind="group")
    if head in _BROADCASTS:
        return mention(f"@{head}", kind="everyone")
    return plain(label or head)


def _dated(moment: datetime, form: str) -> str:
    today = datetime.now(tz=UTC).astimezone().date()
    near = {0: "today", -1: "yesterday", 1: "tomorrow"}.get((moment.date() - today).days)
    short, long = f"{moment:%b} {moment.day}, {moment:%Y}", f"{moment:%A, %B} {moment.day}, {moment:%Y}"
    full = f"{moment:%B} {moment.day}, {moment:%Y}"
    tokens = {
        "date_num": f"{moment:%Y-%m-%d}",
        "date_short_pretty": near or short,
        "date_long_pretty": near or long,
        "date_pretty": near or full,
        "date_short": short,
        "date_long": long,
        "date": full,
        "time_secs": f"{moment:%H:%M:%S}",
        "time": f"{moment:%H:%M}",
        "ago": near or short,
    }
    return re.sub(r"\{(\w+)\}", lambda found: tokens.get(found[1], found[0]), form)


def _styled(escaped: str, keep: Callable[[str], str]) -> str:
    def quote(found: re.Match[str]) -> str:
        lines = [line.removeprefix("&gt;").strip() for line in found[0].rstrip("\n").split("\n")]
        return keep("<blockquote>") + "\n".join(lines) + keep("</blockquote>")

    for pattern, tag in _STYLES:
        escaped = pattern.sub(rf"<{tag}>\1</{tag}>", escaped)
    return _QUOTE.sub(quote, escaped).replace("\n", "<br>")


def _restore(text: str, kept: list[str]) -> str:
    return _KEPT.sub(lambda found: kept[int(found[1])], text)
