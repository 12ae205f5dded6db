"""A message as plain text, blocks included: for transcripts, for tests, for waiting on a sentence."""

import re
from collections.abc import Iterator

from bot.sandbox.slack.mrkdwn import unescape_three
from bot.sandbox.slack.records import Json, Message
from bot.sandbox.slack.workspace import groups, people

_HANDLES = {user.id: user.handle for user in people()} | {group.id: group.handle for group in groups()}
_TASK = {"complete": "✓", "in_progress": "◐", "error": "✗", "pending": "○"}
_SKIPPED = {
    "type", "block_id", "action_id", "value", "style", "confirm", "accessibility_label", "url", "callback_id",
    "image_url", "private_metadata", "column_settings", "axis_config", "level", "status", "task_id", "format",
    "timestamp",
}  # fmt: skip


def plain_text(message: Message) -> str:
    """Return the fallback text and every text of the blocks, one block a line."""
    return "\n".join(line for line in [readable(message.text), blocks_text(message.blocks)] if line)


def blocks_text(blocks: list[Json]) -> str:
    """Return every text of the blocks, one block a line."""
    return "\n".join(line for line in (_line(block) for block in blocks) if line)


def readable(text: str) -> str:
    """Return mrkdwn with its references, times and escapes resolved."""
    text = re.sub(r"<(?:@|!subteam\^)(\w+)(?:\|[^>]*)?>", lambda found: f"@{_HANDLES.get(found[1], found[1])}", text)
    text = re.sub(r"<!(here|channel|everyone)>", r"@\1", text)
    text = re.sub(r"<!date\^[^|>]*\|([^>]*)>", r"\1", text)
    text = re.sub(r"<[^|>\s]+\|([^>]*)>", r"\1", text)
    return unescape_three(text)


def _line(block: Json) -> str:
    match block.get("type"):
        case "table" | "data_table":
            return "\n".join(" | ".join(" ".join(_texts(cell)) for cell in row) for row in block["rows"])
        case "plan":
            return "\n".join(
                [block["title"], *(_line({"type": "task_card", **task}) for task in block.get("tasks", []))]
            )
        case "task_card":
            details = " · ".join(text for name in ("details", "output") for text in _texts(block.get(name)))
            return f"{_TASK[block['status']]} {block['title']}" + (f" ({details})" if details else "")
        case "actions":
            return " ".join(f"[{' '.join(_texts(element))}]" for element in block["elements"])
        case "container":
            inside = blocks_text(block.get("child_blocks", []))
            return "\n".join([*_texts({key: block[key] for key in block if key != "child_blocks"}), inside])
        case _:
            return " · ".join(_texts(block))


def _texts(part: object) -> Iterator[str]:
    if isinstance(part, str):
        yield readable(part)
    elif isinstance(part, dict):
        for name, value in part.items():
            if name not in _SKIPPED:
                yield from _texts(value)
    elif isinstance(part, list):
        for one in part:
            yield from _texts(one)
