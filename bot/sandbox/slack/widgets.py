"""The controls of Block Kit as HTML; `data-` attributes carry what the page sends back."""

import json
from collections.abc import Callable, Mapping
from html import escape

from bot.sandbox.slack import mrkdwn, payloads
from bot.sandbox.slack.records import Json
from bot.sandbox.slack.workspace import Workspace

Values = Mapping[tuple[str, str], object]

_INPUT_KINDS = {
    "plain_text_input": "text",
    "email_text_input": "email",
    "url_text_input": "url",
    "number_input": "number",
    "datepicker": "date",
    "timepicker": "time",
    "datetimepicker": "datetime-local",
}


def html(workspace: Workspace, block_id: str, element: Json, values: Values, *, acts: bool) -> str:
    """Return one control; `acts` says whether operating it is sent to the app at once."""
    kind = element["type"]
    raw = values.get((block_id, element.get("action_id", "")), payloads.initial(element))
    hook = _hook(workspace, block_id, element, acts=acts)
    if kind.endswith("_select"):
        return _select(element, hook, raw, _choosable(workspace, element))
    if kind in {"checkboxes", "radio_buttons"}:
        return _choices(workspace, element, hook, raw)
    if kind in _WITHOUT_VALUE:
        return _WITHOUT_VALUE[kind](element, hook)
    return _input(element, hook, raw)


def _hook(workspace: Workspace, block_id: str, element: Json, *, acts: bool) -> str:
    parts = {"data-block": block_id, "data-action": element.get("action_id", ""), "data-kind": element["type"]}
    if acts:
        parts["data-acts"] = "yes"
    if "confirm" in element:
        texts = {name: element["confirm"][name]["text"] for name in ("title", "text", "confirm", "deny")}
        texts["text"] = mrkdwn.html(workspace, texts["text"])
        parts["data-confirm"] = json.dumps(texts | {"style": element["confirm"].get("style", "primary")})
    return " ".join(f'{name}="{escape(value, quote=True)}"' for name, value in parts.items())


def _button(element: Json, hook: str) -> str:
    label = mrkdwn.emoji(escape(element["text"]["text"]))
    style = escape(element.get("style", ""))
    spoken = f' aria-label="{escape(element["accessibility_label"])}"' if element.get("accessibility_label") else ""
    if element.get("url"):
        opens = f'data-url="{escape(element["url"], quote=True)}"'
        return f'<button class="button {style}" {opens} {hook}{spoken}>{label} <span class="out">↗</span></button>'
    return f'<button class="button {style}" {hook}{spoken}>{label}</button>'


def _overflow(element: Json, hook: str) -> str:
    items = "".join(
        f'<button role="menuitem" data-value="{escape(option["value"], quote=True)}">{_label(option)}</button>'
        for option in element["options"]
    )
    return (
        f'<details class="overflow" {hook}><summary aria-label="More actions">⋯</summary><menu>{items}</menu></details>'
    )


def _choices(workspace: Workspace, element: Json, hook: str, raw: object) -> str:
    kind = "checkbox" if element["type"] == "checkboxes" else "radio"
    chosen = raw if isinstance(raw, list) else [raw]
    rows = []
    for option in element["options"]:
        mark = " checked" if option["value"] in chosen else ""
        more = mrkdwn.html(workspace, option["description"]["text"]) if "description" in option else ""
        name, value = escape(element["action_id"]), escape(option["value"], quote=True)
        box = f'<input type="{kind}" name="{name}" value="{value}"{mark}>'
        rows.append(
            f"<label>{box}<span>{mrkdwn.html(workspace, option['text']['text'])}<small>{more}</small></span></label>"
        )
    return f'<fieldset class="choices" {hook}>{"".join(rows)}</fieldset>'


def _choosable(workspace: Workspace, element: Json) -> list[tuple[str, str]]:
    kind = element["type"]
    if "users" in kind:
        return [(user.id, user.name) for user in workspace.users.values() if not user.is_bot]
    if "conversations" in kind or "channels" in kind:
        return [(place.id, f"#{place.name}") for place in workspace.channels.values() if place.im_user is None]
    return [(option["value"], _label(option)) for option in payloads.options(element)]


def _select(element: Json, hook: str, raw: object, choosable: list[tuple[str, str]]) -> str:
    chosen = raw if isinstance(raw, list) else [raw]
    prompt = escape(element.get("placeholder", {}).get("text", "Select an option"))
    many = " multiple" if element["type"].startswith("multi") else ""
    first = "" if many else f'<option value="">{prompt}</option>'
    rows = "".join(
        f'<option value="{escape(value, quote=True)}"{" selected" if value in chosen else ""}>{label}</option>'
        for value, label in choosable
    )
    return f'<select {hook} aria-label="{prompt}"{many}>{first}{rows}</select>'


def _feedback(element: Json, hook: str) -> str:
    good, bad = element["positive_button"], element["negative_button"]
    return "".join(
        f'<button class="button icon" {hook} data-value="{escape(one["value"], quote=True)}">{sign}</button>'
        for one, sign in ((good, "👍"), (bad, "👎"))
    )


def _input(element: Json, hook: str, raw: object) -> str:
    kind = element["type"]
    value = escape("" if raw is None else str(raw), quote=True)
    prompt = escape(element.get("placeholder", {}).get("text", ""), quote=True)
    limit = f' maxlength="{int(element["max_length"])}"' if element.get("max_length") else ""
    if element.get("multiline") or kind == "rich_text_input":
        return f'<textarea rows="4" {hook} placeholder="{prompt}"{limit}>{value}</textarea>'
    shape = _INPUT_KINDS.get(kind, "text")
    step = ' step="any"' if element.get("is_decimal_allowed") else ""
    return f'<input type="{shape}" {hook} value="{value}" placeholder="{prompt}"{limit}{step}>'


def _label(option: Json) -> str:
    return mrkdwn.characters(escape(option["text"]["text"]))


def _icon(element: Json, hook: str) -> str:
    return f'<button class="button icon" {hook}>{escape(element["text"]["text"])}</button>'


def _image(element: Json, _hook: str) -> str:
    source, alt = escape(element.get("image_url", ""), quote=True), escape(element["alt_text"], quote=True)
    return f'<img class="thumbnail" src="{source}" alt="{alt}">'


_WITHOUT_VALUE: Mapping[str, Callable[[Json, str], str]] = {
    "button": _button,
    "workflow_button": _button,
    "overflow": _overflow,
    "feedback_buttons": _feedback,
    "icon_button": _icon,
    "image": _image,
}
