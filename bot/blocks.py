"""Block Kit as plain dicts: pure builders within Slack's limits, a check by Slack's own models, and plainer fallbacks.

Texts named `markup` are mrkdwn that the caller composed: what came from a person or a machine goes through `escape()`
or into `rich()` and `code()`, where Slack parses nothing. Limits are in characters, from Slack's Block Kit reference.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal, TypeAlias

from slack_sdk.errors import SlackObjectFormationError
from slack_sdk.models.blocks import Block as Model

from bot.contract import Block, Card

Json: TypeAlias = dict[str, object]
Status: TypeAlias = Literal["pending", "in_progress", "complete", "error"]
Style: TypeAlias = Literal["primary", "danger"]

HEADER = 150
SECTION = 3000
FIELD = 2000
BUTTON_TEXT = 75
BUTTON_VALUE = 2000
LABEL = 75
CONFIRM_TITLE = 100
CONFIRM_TEXT = 300
CONFIRM_BUTTON = 30
VIEW_TITLE = 24
INPUT_LABEL = 2000
CELL = 500
TABLE_ROWS = 100
TABLE_COLUMNS = 20
PLAN_TASKS = 50
MESSAGE_BLOCKS = 50
VIEW_BLOCKS = 100
METADATA = 3000
LINK_PREFIX = "link:"

_OPEN_MARKUP = re.compile(r"(&[a-z]{0,4}|<[^<>]*)$")
_STATUS_EMOJI: Mapping[str, str] = {
    "pending": ":white_circle:",
    "in_progress": ":large_blue_circle:",
    "complete": ":white_check_mark:",
    "error": ":x:",
}


def escape(text: str) -> str:
    """Make text inert inside mrkdwn, so that `<!channel>` notifies nobody."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def unescape(text: str) -> str:
    """Undo Slack's escaping of what a person typed."""
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def cut(text: str, limit: int) -> str:
    """Shorten to the limit in characters, never inside an entity or an angle bracket."""
    if len(text) <= limit:
        return text
    return _OPEN_MARKUP.sub("", text[: limit - 1]) + "…"


def plain_text(text: str, limit: int) -> Json:
    """Build a text object in which Slack parses emoji only; a blank one becomes a dash, because Slack refuses it."""
    return {"type": "plain_text", "text": _filled(text, limit), "emoji": True}


def mrkdwn(markup: str, limit: int = SECTION) -> Json:
    """Build a mrkdwn text object; a blank one becomes a dash."""
    return {"type": "mrkdwn", "text": _filled(markup, limit)}


def time(at: datetime, style: str = "{time}") -> str:
    """Write an instant in the reader's own zone, with UTC for clients that cannot (Slack's date markup)."""
    return f"<!date^{int(at.timestamp())}^{style}|{at.astimezone(UTC):%H:%M} UTC>"


def header(text: str) -> Json:
    """Build the title of a card."""
    return {"type": "header", "text": plain_text(text, HEADER)}


def section(markup: str, *, accessory: Block | None = None) -> Json:
    """Build one paragraph of mrkdwn, with a button at its side where given."""
    block: Json = {"type": "section", "text": mrkdwn(markup)}
    return block if accessory is None else block | {"accessory": dict(accessory)}


def fields(*facts: tuple[str, str]) -> Json:
    """Build up to ten facts (label, mrkdwn value) in two columns."""
    return {"type": "section", "fields": [mrkdwn(f"*{label}*\n{markup}", FIELD) for label, markup in facts[:10]]}


def context(*markups: str) -> Json:
    """Build the small print: who, when, which id."""
    return {"type": "context", "elements": [mrkdwn(markup) for markup in markups[:10]]}


def divider() -> Json:
    """Build a line."""
    return {"type": "divider"}


def actions(block_id: str, *elements: Block) -> Json:
    """Build a row of at most 25 buttons; the id stays the same over updates and is unique in its message."""
    return {"type": "actions", "block_id": block_id[:255], "elements": [dict(element) for element in elements[:25]]}


def confirm(title: str, markup: str, *, yes: str, no: str, style: Style = "primary") -> Json:
    """Build the question before a button acts: its text names the environment and the effect, `no` says what stays."""
    return {
        "title": plain_text(title, CONFIRM_TITLE),
        "text": mrkdwn(markup, CONFIRM_TEXT),
        "confirm": plain_text(yes, CONFIRM_BUTTON),
        "deny": plain_text(no, CONFIRM_BUTTON),
        "style": style,
    }


def button(
    text: str,
    action: str,
    value: str,
    *,
    style: Style | None = None,
    confirm: Block | None = None,
    label: str | None = None,
) -> Json:
    """Build a button; `label` tells a screen reader the object and the effect. A danger button needs a `confirm`."""
    block: Json = {
        "type": "button",
        "text": plain_text(text, BUTTON_TEXT),
        "action_id": action,
        "accessibility_label": _filled(label or text, LABEL),
    }
    extra: Json = {"value": value[:BUTTON_VALUE], "style": style, "confirm": None if confirm is None else dict(confirm)}
    return block | {name: part for name, part in extra.items() if part}


def link(text: str, url: str, name: str) -> Json:
    """Build a button that only opens a page; the click still reaches us and is acknowledged by its id's prefix."""
    return {
        "type": "button",
        "text": plain_text(text, BUTTON_TEXT),
        "action_id": f"{LINK_PREFIX}{name}",
        "url": url,
        "accessibility_label": _filled(text, LABEL),
    }


def rich(text: str) -> Json:
    """Build a block for untrusted text: Slack parses nothing in it."""
    return {"type": "rich_text", "elements": [_rich_section("rich_text_section", text)]}


def code(text: str) -> Json:
    """Build a monospaced block for SQL, logs and the like: Slack parses nothing in it."""
    return {"type": "rich_text", "elements": [_rich_section("rich_text_preformatted", text)]}


def task(name: str, title: str, status: Status, *, details: str = "", output: str = "") -> Json:
    """Build one line of a plan; details say what goes on, output what came of it, both as inert text."""
    block: Json = {"type": "task_card", "task_id": name, "title": _filled(title, HEADER), "status": status}
    texts = {"details": details, "output": output}
    return block | {key: rich(text) for key, text in texts.items() if text}


def plan(title: str, tasks: Sequence[Block]) -> Json:
    """Build the live progress of a run; Slack shows at most 50 tasks, the last ones are kept."""
    return {"type": "plan", "title": _filled(title, HEADER), "tasks": [dict(one) for one in tasks[-PLAN_TASKS:]]}


def table(rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> Json:
    """Build the one table a message may have; the first row is its head, `right` names right-aligned columns."""
    columns = min(max((len(row) for row in rows), default=0), TABLE_COLUMNS)
    return {
        "type": "table",
        "column_settings": [{"align": "right" if index in right else "left"} for index in range(columns)],
        "rows": [[_cell(text) for text in row[:TABLE_COLUMNS]] for row in rows[:TABLE_ROWS]],
    }


def text_input(
    name: str, label: str, *, initial: str = "", hint: str = "", multiline: bool = False, optional: bool = False
) -> Json:
    """Build a form field for text; its name is the key in `Request.fields`."""
    element: Json = {"type": "plain_text_input", "action_id": name, "multiline": multiline}
    return _input(name, label, element | ({"initial_value": initial} if initial else {}), hint=hint, optional=optional)


def select_input(name: str, label: str, options: Sequence[tuple[str, str]], *, initial: str = "") -> Json:
    """Build a form field to choose one of up to 100 (value, text) pairs."""
    choices = [_option(value, text) for value, text in options[:100]]
    chosen = [choice for choice in choices if choice["value"] == initial]
    element: Json = {"type": "static_select", "action_id": name, "options": choices}
    return _input(name, label, element | ({"initial_option": chosen[0]} if chosen else {}))


def checkbox_input(name: str, label: str, value: str, text: str, *, ticked: bool = False) -> Json:
    """Build a form field with one box; unticked it yields the empty string."""
    option = _option(value, text)
    element: Json = {"type": "checkboxes", "action_id": name, "options": [option]}
    return _input(name, label, element | ({"initial_options": [option]} if ticked else {}), optional=True)


def modal(
    callback: str,
    title: str,
    blocks: Sequence[Block],
    *,
    submit: str | None = None,
    close: str = "Cancel",
    value: str = "",
) -> Json:
    """Build a form; `value` comes back as `Request.value` when it is submitted."""
    view: Json = {
        "type": "modal",
        "callback_id": callback,
        "title": plain_text(title, VIEW_TITLE),
        "close": plain_text(close, VIEW_TITLE),
        "private_metadata": value[:METADATA],
        "blocks": [dict(block) for block in blocks[:VIEW_BLOCKS]],
    }
    return view | ({"submit": plain_text(submit, VIEW_TITLE)} if submit else {})


def plainer(card: Card) -> Card:
    """Reduce a card to sections, for when Slack refuses its layout: all is still said, nothing can be clicked."""
    sections = [section(markup) for block in card.blocks for markup in _markup(block) if markup.strip()]
    return Card(text=card.text, blocks=tuple(sections[:MESSAGE_BLOCKS]))


def plainest(text: str) -> Card:
    """Reduce a card to its sentence, which Slack can always show."""
    return Card(text=text)


def plain(card: Card) -> tuple[Block, ...]:
    """Return the blocks of the plainer card."""
    return plainer(card).blocks


def check(blocks: Sequence[Block], *, most: int = MESSAGE_BLOCKS) -> tuple[str, ...]:
    """Find what Slack would refuse, one sentence each; block types its models do not know yet pass."""
    return (*_whole_findings(blocks, most), *(found for n, block in enumerate(blocks) for found in _findings(n, block)))


def _whole_findings(blocks: Sequence[Block], most: int) -> Iterator[str]:
    types = [block.get("type") for block in blocks]
    ids = [block["block_id"] for block in blocks if "block_id" in block]
    if len(blocks) > most:
        yield f"{len(blocks)} blocks, Slack takes {most}"
    if types.count("table") > 1:
        yield "more than one table"
    if types.count("data_visualization") > 2:  # noqa: PLR2004 - Slack's limit
        yield "more than two charts"
    if len(ids) != len(set(ids)):
        yield "block ids are not unique"


def _findings(number: int, block: Block) -> Iterator[str]:
    try:
        model = Model.parse(dict(block))
        normal = None if model is None else model.to_dict()
    except (SlackObjectFormationError, TypeError, ValueError, AttributeError, KeyError) as error:
        # The models raise whatever a wrong shape happens to trip over.
        yield f"block {number} ({block.get('type')}): {error}"
        return
    if normal is not None:
        yield from _differences(dict(block), normal, f"block {number}")
    yield from _missed(block, f"block {number}")


def _differences(given: object, normal: object, at: str) -> Iterator[str]:
    """Compare with what the models made of it: what they dropped or changed, Slack would refuse."""
    if isinstance(given, Mapping) and isinstance(normal, Mapping):
        for key in sorted({*given, *normal}):
            if key not in normal:
                yield f"{at}.{key} is not known or empty"
            elif key in given:
                yield from _differences(given[key], normal[key], f"{at}.{key}")
        return
    if isinstance(given, list | tuple) and isinstance(normal, list):
        if len(given) != len(normal):
            yield f"{at} has elements that are not known"
        for index, (one, other) in enumerate(zip(given, normal, strict=False)):
            yield from _differences(one, other, f"{at}[{index}]")
        return
    if given != normal:
        yield f"{at} is {given!r}, expected {normal!r}"


def _missed(value: object, at: str) -> Iterator[str]:
    """Find what the models of slack_sdk 3.47 let through: long fields, mrkdwn on buttons, a bogus task status."""
    if isinstance(value, Mapping):
        yield from _missed_here(value, at)
        for key, part in value.items():
            yield from _missed(part, f"{at}.{key}")
    elif isinstance(value, list | tuple):
        for index, part in enumerate(value):
            yield from _missed(part, f"{at}[{index}]")


def _missed_here(block: Mapping[str, object], at: str) -> Iterator[str]:
    kind, text = block.get("type"), block.get("text")
    if kind in {"mrkdwn", "plain_text"} and not text:
        yield f"{at} is empty"
    if kind == "button" and isinstance(text, Mapping) and text.get("type") != "plain_text":
        yield f"{at} needs plain text"
    if kind == "task_card" and block.get("status") not in _STATUS_EMOJI:
        yield f"{at} has the unknown status {block.get('status')!r}"
    for field in _list(block.get("fields")):
        if isinstance(field, Mapping) and len(str(field.get("text", ""))) > FIELD:
            yield f"{at} has a field over {FIELD} characters"


def _markup(block: Block) -> Iterator[str]:
    """Yield the words of a block as mrkdwn, in reading order."""
    match block.get("type"):
        case "header":
            yield f"*{escape(_text(block.get('text')))}*"
        case "section":
            yield _text(block.get("text"))
            yield "\n".join(_text(field).replace("\n", " ", 1) for field in _list(block.get("fields")))
        case "context":
            yield " ".join(_text(element) for element in _list(block.get("elements")))
        case "plan":
            yield f"*{escape(str(block.get('title', '')))}*"
            yield "\n".join(_task_line(one) for one in _list(block.get("tasks")))
        case "table":
            yield "\n".join(" · ".join(escape(_text(cell)) for cell in _list(row)) for row in _list(block.get("rows")))
        case "rich_text":
            yield escape(_words(block))


def _task_line(one: object) -> str:
    if not isinstance(one, Mapping):
        return ""
    said = " ".join(part for part in (_words(one.get("details")), _words(one.get("output"))) if part)
    emoji = _STATUS_EMOJI.get(str(one.get("status")), "")
    return f"{emoji} {escape(str(one.get('title', '')))}{f' · {escape(said)}' if said else ''}"


def _words(value: object) -> str:
    if isinstance(value, Mapping):
        own = value.get("text")
        return own if isinstance(own, str) else _words(value.get("elements"))
    return "".join(_words(part) for part in _list(value))


def _text(value: object) -> str:
    return str(value.get("text", "")) if isinstance(value, Mapping) else ""


def _list(value: object) -> Sequence[object]:
    return value if isinstance(value, list | tuple) else ()


def _filled(text: str, limit: int) -> str:
    return cut(text, limit) if text.strip() else "-"


def _rich_section(kind: str, text: str) -> Json:
    return {"type": kind, "elements": [{"type": "text", "text": _filled(text, SECTION)}]}


def _cell(text: str) -> Json:
    return {"type": "raw_text", "text": _filled(text, CELL)}


def _option(value: str, text: str) -> Json:
    return {"text": plain_text(text, BUTTON_TEXT), "value": value[:BUTTON_TEXT]}


def _input(name: str, label: str, element: Json, *, hint: str = "", optional: bool = False) -> Json:
    block: Json = {"type": "input", "block_id": name, "label": plain_text(label, INPUT_LABEL), "element": element}
    extra: Json = {"hint": plain_text(hint, INPUT_LABEL) if hint else None, "optional": optional or None}
    return block | {key: part for key, part in extra.items() if part is not None}
