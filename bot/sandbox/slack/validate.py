"""Refuses what Slack refuses: whole messages and views, with a JSON pointer for every finding."""

from collections.abc import Iterator, Sequence

from bot.sandbox.slack import rules
from bot.sandbox.slack.records import ApiError, Finding, Json, controls

MOST_MESSAGE_BLOCKS = 50
MOST_VIEW_BLOCKS = 100
UPDATE_TEXT = 4_000
POST_TEXT = 40_000

# Where a block type may appear; all surfaces where none is named. Where sources disagree the stricter counts.
SURFACES = {
    "alert": {"modal"},
    "table": {"message"},
    "data_visualization": {"message"},
    "plan": {"message"},
    "task_card": {"message"},
    "context_actions": {"message"},
    "markdown": {"message"},
    "file": {"message"},
    "data_table": {"message", "home"},
    "container": {"message", "home"},
    "card": {"message", "home"},
    "carousel": {"message", "home"},
}


def blocks(given: object, surface: str = "message", pointer: str = "/blocks") -> list[Finding]:
    """Return everything that is wrong with the blocks of a message, a modal or a home tab."""
    if not isinstance(given, list) or not all(isinstance(block, dict) for block in given):
        return [Finding(pointer=pointer, message="must be an array of objects", code="type_mismatch")]
    single = list(_each(given, surface, pointer))
    if any(one.code == "type_mismatch" for one in single):
        return single
    return [*single, *_together(given, surface, pointer)]


def view(given: object) -> list[Finding]:
    """Return everything that is wrong with a view."""
    if not isinstance(given, dict):
        return [Finding(pointer="/view", message="must be an object", code="type_mismatch")]
    kind = given.get("type")
    if kind not in {"modal", "home"}:
        return [Finding(pointer="/view/type", message="must be a valid enum value", code="enum_mismatch")]
    return [*_frame(given, kind), *blocks(given.get("blocks"), kind, "/view/blocks")]


def refuse(findings: Sequence[Finding], code: str = "invalid_blocks") -> None:
    """Raise Slack's answer when there are findings."""
    if not findings:
        return
    texts = [f"{finding.message} [json-pointer:{finding.pointer}]" for finding in findings]
    raise ApiError(code, errors=texts, response_metadata={"messages": [f"[ERROR] {text}" for text in texts]})


def _each(given: list[Json], surface: str, pointer: str) -> Iterator[Finding]:
    for index, block in enumerate(given):
        here = f"{pointer}/{index}"
        kind = str(block.get("type"))
        if kind not in rules.BLOCKS:
            yield Finding(pointer=f"{here}/type", message=f"unsupported type: {kind}", code="unsupported_type")
        elif surface not in SURFACES.get(kind, {surface}):
            yield Finding(pointer=f"{here}/type", message=f"unsupported type: {kind} in {surface}", code="surface")
        else:
            yield from _inside(block, surface, here)


def _inside(block: Json, surface: str, here: str) -> list[Finding]:
    try:
        children = _each(block.get("child_blocks", []), surface, f"{here}/child_blocks")
        return [*rules.block(block, here), *children]
    except (AttributeError, KeyError, TypeError):
        # A value of another JSON type than any rule expects: Slack gives the same general sentence.
        return [Finding(pointer=here, message="failed to match all allowed schemas", code="type_mismatch")]


def _together(given: list[Json], surface: str, pointer: str) -> Iterator[Finding]:
    most = MOST_MESSAGE_BLOCKS if surface == "message" else MOST_VIEW_BLOCKS
    if len(given) > most:
        yield Finding(pointer=pointer, message=f"no more than {most} items allowed")
    everything = [*given, *(child for block in given for child in block.get("child_blocks", []))]
    kinds = [block.get("type") for block in everything]
    if kinds.count("table") > 1:
        yield Finding(pointer=pointer, message="only_one_table_allowed")
    if kinds.count("data_visualization") > 2:  # noqa: PLR2004 -- Slack's limit, facts section 1.2
        yield Finding(pointer=pointer, message="no more than 2 data_visualization blocks allowed")
    markdown = sum(len(str(block.get("text", ""))) for block in everything if block.get("type") == "markdown")
    if markdown > rules.MARKDOWN_TEXT:
        yield Finding(pointer=pointer, message=f"markdown must be less than {rules.MARKDOWN_TEXT + 1} characters")
    yield from _unique(everything, pointer)


def _unique(given: list[Json], pointer: str) -> Iterator[Finding]:
    seen: set[str] = set()
    for block in given:
        name = block.get("block_id")
        if name in seen:
            yield Finding(pointer=pointer, message=f"`block_id` already exists: {name}", code="duplicate")
        if isinstance(name, str):
            seen.add(name)
        actions = [element.get("action_id") for _, element in controls([{"block_id": "", **block, "child_blocks": []}])]
        named = [action for action in actions if action]
        if len(named) != len(set(named)):
            yield Finding(pointer=pointer, message=f"`action_id` already exists in block {name}", code="duplicate")


def _frame(given: Json, kind: str) -> Iterator[Finding]:
    if kind == "modal":
        yield from rules.text(given, "title", "/view", most=24, plain=True, required=True)
        for name in ("submit", "close"):
            yield from rules.text(given, name, "/view", most=24, plain=True)
        has_inputs = any(isinstance(one, dict) and one.get("type") == "input" for one in given.get("blocks") or [])
        if has_inputs and "submit" not in given:
            yield Finding(pointer="/view/submit", message="submit is required when an input block is present")
    for name, most in (("private_metadata", 3000), ("callback_id", 255), ("external_id", 255)):
        yield from rules.length(given, name, "/view", most)
