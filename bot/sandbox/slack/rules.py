"""What Slack demands of one block or element: required and known fields, lengths, counts (facts: Slack section 1.2)."""

from collections.abc import Callable, Iterator

from bot.sandbox.slack.records import Finding, Json

MARKDOWN_TEXT = 12_000
TABLE_TEXT = 10_000

Rule = Callable[[Json, str], Iterator[Finding]]

# Known fields of each block, the required ones first.
BLOCKS: dict[str, tuple[set[str], set[str]]] = {
    "header": ({"text"}, {"level"}),
    "section": (set(), {"text", "fields", "accessory", "expand"}),
    "context": ({"elements"}, set()),
    "actions": ({"elements"}, set()),
    "divider": (set(), set()),
    "image": ({"alt_text"}, {"image_url", "slack_file", "title"}),
    "input": ({"label", "element"}, {"hint", "optional", "dispatch_action"}),
    "rich_text": ({"elements"}, set()),
    "table": ({"rows"}, {"column_settings"}),
    "data_table": ({"rows", "caption"}, {"page_size", "row_header_column_index"}),
    "data_visualization": ({"title", "chart"}, set()),
    "plan": ({"title"}, {"tasks"}),
    "task_card": ({"task_id", "title", "status"}, {"details", "output", "sources"}),
    "container": (
        {"child_blocks"},
        {"title", "rich_text_title", "subtitle", "width", "icon", "is_collapsible", "default_collapsed",
         "has_header_divider"},
    ),
    "card": (set(), {"hero_image", "icon", "title", "subtitle", "body", "actions"}),
    "carousel": ({"elements"}, set()),
    "alert": ({"text"}, {"level"}),
    "context_actions": ({"elements"}, set()),
    "markdown": ({"text"}, set()),
    "video": (
        {"alt_text", "title", "thumbnail_url", "video_url"},
        {"author_name", "description", "provider_icon_url", "provider_name", "title_url"},
    ),
    "file": ({"external_id", "source"}, set()),
}  # fmt: skip
IN_ACTIONS = {
    "button", "workflow_button", "overflow", "static_select", "multi_static_select", "external_select",
    "multi_external_select", "users_select", "multi_users_select", "conversations_select",
    "multi_conversations_select", "channels_select", "multi_channels_select", "datepicker", "timepicker",
    "datetimepicker", "checkboxes", "radio_buttons",
}  # fmt: skip
IN_SECTION = IN_ACTIONS | {"image"}
IN_INPUT = (IN_ACTIONS - {"button", "workflow_button", "overflow"}) | {
    "plain_text_input", "email_text_input", "url_text_input", "number_input", "rich_text_input", "file_input",
}  # fmt: skip
MOST_OPTIONS = {"static_select": 100, "multi_static_select": 100, "overflow": 5, "checkboxes": 10, "radio_buttons": 10}


def block(given: Json, at: str) -> Iterator[Finding]:
    """Check one block of a known type; its child blocks are the caller's."""
    kind = given["type"]
    required, optional = BLOCKS[kind]
    for name in sorted(required - given.keys()):
        yield Finding(pointer=at, message=f"missing required field: {name}", code="missing_field")
    for name in sorted(given.keys() - required - optional - {"type", "block_id"}):
        yield Finding(pointer=at, message=f"invalid additional property: {name}", code="additional_property")
    yield from length(given, "block_id", at, 255)
    if required <= given.keys() and kind in _RULES:
        yield from _RULES[kind](given, at)


def text(
    holder: Json, name: str, at: str, *, most: int, plain: bool = False, required: bool = False
) -> Iterator[Finding]:
    """Check a text object: shape, kind and length."""
    given = holder.get(name)
    here = f"{at}/{name}"
    if given is None:
        if required:
            yield Finding(pointer=at, message=f"missing required field: {name}", code="missing_field")
        return
    if not isinstance(given, dict) or not isinstance(given.get("text"), str):
        yield Finding(pointer=here, message="must provide an object with a string `text`", code="type_mismatch")
        return
    kinds = {"plain_text"} if plain else {"plain_text", "mrkdwn"}
    if given.get("type") not in kinds:
        yield Finding(pointer=f"{here}/type", message=f"must be one of {sorted(kinds)}", code="enum_mismatch")
    for extra in sorted(given.keys() - {"type", "text", "emoji", "verbatim"}):
        yield Finding(pointer=here, message=f"invalid additional property: {extra}", code="additional_property")
    if not given["text"]:
        yield Finding(pointer=f"{here}/text", message="must be more than 0 characters")
    yield from length(given, "text", here, most)


def length(holder: Json, name: str, at: str, most: int) -> Iterator[Finding]:
    """Check the length of a plain string field."""
    given = holder.get(name)
    if given is not None and not isinstance(given, str):
        yield Finding(pointer=f"{at}/{name}", message="must be a string", code="type_mismatch")
    elif given is not None and len(given) > most:
        yield Finding(pointer=f"{at}/{name}", message=f"must be less than {most + 1} characters")


def _count(holder: Json, name: str, at: str, most: int, least: int = 1) -> Iterator[Finding]:
    given = holder.get(name)
    if not isinstance(given, list):
        yield Finding(pointer=f"{at}/{name}", message="must be an array", code="type_mismatch")
    elif len(given) > most:
        yield Finding(pointer=f"{at}/{name}", message=f"no more than {most} items allowed")
    elif len(given) < least:
        yield Finding(pointer=f"{at}/{name}", message=f"no less than {least} items allowed")


def _enum(holder: Json, name: str, at: str, allowed: set[str]) -> Iterator[Finding]:
    if name in holder and holder[name] not in allowed:
        yield Finding(pointer=f"{at}/{name}", message=f"must be one of {sorted(allowed)}", code="enum_mismatch")


def _element(given: object, at: str, allowed: set[str]) -> Iterator[Finding]:
    if not isinstance(given, dict) or given.get("type") not in allowed:
        kind = given.get("type") if isinstance(given, dict) else given
        yield Finding(pointer=at, message=f"unsupported type: {kind}", code="unsupported_type")
        return
    yield from length(given, "action_id", at, 255)
    yield from text(given, "placeholder", at, most=150, plain=True)
    if given["type"] in {"button", "workflow_button"}:
        yield from _button(given, at)
    if given["type"] in MOST_OPTIONS and "option_groups" not in given:
        yield from _options(given, at)
    if "confirm" in given:
        yield from _confirm(given["confirm"], f"{at}/confirm")


def _button(given: Json, at: str) -> Iterator[Finding]:
    known = {"type", "text", "action_id", "value", "url", "style", "confirm", "accessibility_label", "workflow"}
    for extra in sorted(given.keys() - known):
        yield Finding(pointer=at, message=f"invalid additional property: {extra}", code="additional_property")
    yield from text(given, "text", at, most=75, plain=True, required=True)
    yield from length(given, "value", at, 2000)
    yield from length(given, "url", at, 3000)
    yield from length(given, "accessibility_label", at, 75)
    yield from _enum(given, "style", at, {"primary", "danger"})


def _confirm(given: Json, at: str) -> Iterator[Finding]:
    for name, most in (("title", 100), ("confirm", 30), ("deny", 30)):
        yield from text(given, name, at, most=most, plain=True, required=True)
    yield from text(given, "text", at, most=300, required=True)
    yield from _enum(given, "style", at, {"primary", "danger"})


def _options(given: Json, at: str) -> Iterator[Finding]:
    yield from _count(given, "options", at, MOST_OPTIONS[given["type"]])
    for index, option in enumerate(given.get("options") or []):
        here = f"{at}/options/{index}"
        yield from text(option, "text", here, most=75, required=True)
        yield from text(option, "description", here, most=75)
        yield from length(option, "value", here, 150)


def _header(given: Json, at: str) -> Iterator[Finding]:
    yield from text(given, "text", at, most=150, plain=True, required=True)


def _section(given: Json, at: str) -> Iterator[Finding]:
    if "text" not in given and "fields" not in given:
        yield Finding(pointer=at, message="must define either `text` or `fields`", code="missing_field")
    yield from text(given, "text", at, most=3000)
    if "fields" in given:
        yield from _count(given, "fields", at, 10)
        holder = _by_index(given["fields"])
        for index in holder:
            yield from text(holder, index, f"{at}/fields", most=2000)
    if "accessory" in given:
        yield from _element(given["accessory"], f"{at}/accessory", IN_SECTION)


def _by_index(items: list[Json]) -> Json:
    return {str(index): item for index, item in enumerate(items)}


def _context(given: Json, at: str) -> Iterator[Finding]:
    yield from _count(given, "elements", at, 10)
    holder = _by_index(given["elements"])
    for index, element in holder.items():
        if element.get("type") != "image":
            yield from text(holder, index, f"{at}/elements", most=3000)


def _actions(given: Json, at: str) -> Iterator[Finding]:
    yield from _count(given, "elements", at, 25)
    for index, element in enumerate(given["elements"]):
        yield from _element(element, f"{at}/elements/{index}", IN_ACTIONS)


def _context_actions(given: Json, at: str) -> Iterator[Finding]:
    yield from _count(given, "elements", at, 5)
    for index, element in enumerate(given["elements"]):
        yield from _element(element, f"{at}/elements/{index}", {"feedback_buttons", "icon_button"})


def _input(given: Json, at: str) -> Iterator[Finding]:
    yield from text(given, "label", at, most=2000, plain=True, required=True)
    yield from text(given, "hint", at, most=2000, plain=True)
    yield from _element(given["element"], f"{at}/element", IN_INPUT)


def _image(given: Json, at: str) -> Iterator[Finding]:
    if ("image_url" in given) == ("slack_file" in given):
        yield Finding(pointer=at, message="must define either `image_url` or `slack_file`", code="missing_field")
    yield from length(given, "image_url", at, 3000)
    yield from length(given, "alt_text", at, 2000)
    yield from text(given, "title", at, most=2000, plain=True)


def _rich_text(given: Json, at: str) -> Iterator[Finding]:
    kinds = {"rich_text_section", "rich_text_list", "rich_text_preformatted", "rich_text_quote"}
    for index, element in enumerate(given["elements"]):
        yield from _enum(element, "type", f"{at}/elements/{index}", kinds)


def _rows(given: Json, at: str, most: int, cells: set[str]) -> Iterator[Finding]:
    yield from _count(given, "rows", at, most)
    total = 0
    for number, row in enumerate(given["rows"]):
        yield from _count({"row": row}, "row", f"{at}/rows/{number}", 20)
        for column, cell in enumerate(row):
            yield from _enum(cell, "type", f"{at}/rows/{number}/{column}", cells)
            total += len(str(cell.get("text", "")))
            if cell.get("type") == "raw_text" and not cell.get("text"):
                yield Finding(pointer=f"{at}/rows/{number}/{column}/text", message="must be more than 0 characters")
    if total > TABLE_TEXT:
        yield Finding(pointer=f"{at}/rows", message=f"must be less than {TABLE_TEXT + 1} characters in total")


def _table(given: Json, at: str) -> Iterator[Finding]:
    yield from _rows(given, at, 100, {"raw_text", "raw_number", "rich_text"})


def _data_table(given: Json, at: str) -> Iterator[Finding]:
    yield from _rows(given, at, 101, {"raw_text", "raw_number", "rich_text"})
    if len(given["rows"]) < 2 or len({len(row) for row in given["rows"]}) > 1:  # noqa: PLR2004 -- header and one row
        yield Finding(pointer=f"{at}/rows", message="must have a header and rows of the same length")


def _chart(given: Json, at: str) -> Iterator[Finding]:
    yield from length(given, "title", at, 50)
    chart = given["chart"]
    here = f"{at}/chart"
    yield from _enum(chart, "type", here, {"line", "bar", "area", "pie"})
    if chart.get("type") == "pie":
        yield from _count(chart, "segments", here, 6)
        return
    yield from _count(chart, "series", here, 6)
    categories = chart.get("axis_config", {}).get("categories", [])
    yield from _count({"categories": categories}, "categories", f"{here}/axis_config", 20)
    names = [series.get("name") for series in chart.get("series", [])]
    if len(set(names)) != len(names):
        yield Finding(pointer=f"{here}/series", message="series names must be unique")
    for index, series in enumerate(chart.get("series", [])):
        yield from length(series, "name", f"{here}/series/{index}", 20)
        if sorted(point.get("label") for point in series.get("data", [])) != sorted(categories):
            yield Finding(pointer=f"{here}/series/{index}/data", message="must have one point per category")
    for index, label in enumerate(categories):
        yield from length({str(index): label}, str(index), f"{here}/axis_config/categories", 20)


def _plan(given: Json, at: str) -> Iterator[Finding]:
    yield from _count(given, "tasks", at, 50, least=0) if "tasks" in given else ()
    for index, task in enumerate(given.get("tasks", [])):
        yield from block({"type": "task_card", **task}, f"{at}/tasks/{index}")


def _task(given: Json, at: str) -> Iterator[Finding]:
    alone = "/tasks/" not in at
    states = {"in_progress", "complete", "error"} | (set() if alone else {"pending"})
    yield from _enum(given, "status", at, states)
    for name in ("details", "output"):
        if name in given and given[name].get("type") != "rich_text":
            yield Finding(pointer=f"{at}/{name}/type", message="must be rich_text", code="enum_mismatch")


def _container(given: Json, at: str) -> Iterator[Finding]:
    yield from _count(given, "child_blocks", at, 10)
    yield from text(given, "title", at, most=150, plain=True, required="rich_text_title" not in given)
    yield from text(given, "subtitle", at, most=150)


def _card(given: Json, at: str) -> Iterator[Finding]:
    for name, most in (("title", 150), ("subtitle", 150), ("body", 200)):
        yield from text(given, name, at, most=most)
    for index, element in enumerate(given.get("actions", [])):
        yield from _element(element, f"{at}/actions/{index}", {"button"})


def _carousel(given: Json, at: str) -> Iterator[Finding]:
    yield from _count(given, "elements", at, 10)
    for index, card in enumerate(given["elements"]):
        yield from block({"type": "card", **card}, f"{at}/elements/{index}")


def _alert(given: Json, at: str) -> Iterator[Finding]:
    yield from text(given, "text", at, most=200, required=True)
    yield from _enum(given, "level", at, {"default", "info", "warning", "error", "success"})


_RULES: dict[str, Rule] = {
    "header": _header, "section": _section, "context": _context, "actions": _actions, "input": _input,
    "image": _image, "rich_text": _rich_text, "table": _table, "data_table": _data_table,
    "data_visualization": _chart, "plan": _plan, "task_card": _task, "container": _container, "card": _card,
    "carousel": _carousel, "alert": _alert, "context_actions": _context_actions,
}  # fmt: skip
