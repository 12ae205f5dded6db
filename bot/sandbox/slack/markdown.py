"""Standard Markdown of the markdown block as HTML: headings, lists, fences, quotes, emphasis, links."""

import re
from collections.abc import Iterator
from html import escape, unescape

from bot.sandbox.slack import mrkdwn

_INLINE = (
    (re.compile(r"\*\*(\S(?:.*?\S)?)\*\*"), r"<strong>\1</strong>"),
    (re.compile(r"(?<!\w)[*_](\S(?:.*?\S)?)[*_](?!\w)"), r"<em>\1</em>"),
    (re.compile(r"~~(\S(?:.*?\S)?)~~"), r"<s>\1</s>"),
)
_LINK = re.compile(r"\[([^\]]+)\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^```\w*\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_HEADING = re.compile(r"^(#{1,6}) (.+)$")
_ITEM = re.compile(r"^\s*(?:[-*]|\d+\.) (.+)$")


def html(text: str) -> str:
    """Return Markdown as HTML that can go into the page as it is."""
    parts = _FENCE.split(text)
    return "".join(
        f"<pre>{escape(part)}</pre>" if index % 2 else "".join(_lines(part)) for index, part in enumerate(parts)
    )


def _lines(text: str) -> Iterator[str]:
    items: list[str] = []
    for line in [*text.split("\n"), ""]:
        item = _ITEM.match(line)
        if item:
            items.append(f"<li>{_inline(item[1])}</li>")
            continue
        if items:
            yield f"<ul>{''.join(items)}</ul>"
            items = []
        yield from _line(line)


def _line(line: str) -> Iterator[str]:
    heading = _HEADING.match(line)
    if heading:
        level = min(4, len(heading[1]) + 1)
        yield f"<h{level}>{_inline(heading[2])}</h{level}>"
    elif line.startswith("> "):
        yield f"<blockquote>{_inline(line[2:])}</blockquote>"
    elif line.strip() in {"---", "***"}:
        yield "<hr>"
    elif line.strip():
        yield f"<p>{_inline(line)}</p>"


def _inline(text: str) -> str:
    spans = text.split("`")
    # A lone backtick leaves an even number of spans: then nothing is code.
    if len(spans) % 2 == 0:
        return _styled(text)
    return "".join(f"<code>{escape(span)}</code>" if index % 2 else _styled(span) for index, span in enumerate(spans))


def _styled(text: str) -> str:
    escaped = mrkdwn.emoji(escape(text))
    for pattern, replacement in _INLINE:
        escaped = pattern.sub(replacement, escaped)
    return _LINK.sub(lambda found: mrkdwn.link(unescape(found[2]), found[1]), escaped)
