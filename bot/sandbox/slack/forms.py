"""What Slack checks about a form before the app sees it: required inputs, lengths, numbers."""

from collections.abc import Iterator

from bot.sandbox.slack import payloads
from bot.sandbox.slack.records import Json, View

REQUIRED = "Please complete this required field."


def missing(view: View) -> dict[str, str]:
    """Return a sentence per block whose input may not be submitted yet."""
    return dict(_sentences(view))


def _sentences(view: View) -> Iterator[tuple[str, str]]:
    for block in view.blocks:
        if block["type"] != "input":
            continue
        element = block["element"]
        raw = view.values.get((block["block_id"], element["action_id"]), payloads.initial(element))
        if raw is None or raw in ("", []):
            if not block.get("optional"):
                yield block["block_id"], REQUIRED
            continue
        sentence = _wrong(element, str(raw))
        if sentence:
            yield block["block_id"], sentence


def _wrong(element: Json, raw: str) -> str:
    if len(raw) > element.get("max_length", len(raw)):
        return f"Must be at most {element['max_length']} characters."
    if len(raw) < element.get("min_length", 0):
        return f"Must be at least {element['min_length']} characters."
    if element["type"] == "email_text_input" and "@" not in raw:
        return "Must be an e-mail address."
    if element["type"] == "number_input":
        return _wrong_number(element, raw)
    return ""


def _wrong_number(element: Json, raw: str) -> str:
    try:
        number = float(raw)
    except ValueError:
        return "Must be a number."
    if not element.get("is_decimal_allowed") and not number.is_integer():
        return "Must be a whole number."
    if number < float(element.get("min_value", number)) or number > float(element.get("max_value", number)):
        return f"Must be between {element.get('min_value', '…')} and {element.get('max_value', '…')}."
    return ""
