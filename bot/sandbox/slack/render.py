"""Block Kit JSON as safe HTML: every block of the platform; text of people and machines is always escaped."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from html import escape

from bot.sandbox.slack import chart, markdown, mrkdwn, rich_text, widgets
from bot.sandbox.slack.records import Json
from bot.sandbox.slack.workspace import Workspace

_TASK_MARKS = {"complete": "✓", "in_progress": "", "error": "✕", "pending": ""}


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Where blocks are shown: the workspace that knows names, typed values, and errors by block id."""

    workspace: Workspace
    values: widgets.Values = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)


def blocks(scene: Scene, given: list[Json]) -> str:
    """Return blocks as HTML."""
    return "".join(block(scene, one) for one in given)


def block(scene: Scene, given: Json) -> str:
    """Return one block; a type this page does not know is named instead of lost."""
    kind = given["type"]
    draw = _DRAW.get(kind)
    inside = draw(scene, given) if draw else f'<p class="unknown">[{escape(kind)}]</p>'
    return f'<div class="block {escape(kind)}">{inside}</div>'


def text(scene: Scene, given: Json) -> str:
    """Return a text object."""
    if given["type"] == "mrkdwn":
        return mrkdwn.html(scene.workspace, given["text"])
    return mrkdwn.emoji(escape(given["text"])).replace("\n", "<br>")


def _control(scene: Scene, given: Json, element: Json, *, acts: bool = True) -> str:
    return widgets.html(scene.workspace, given.get("block_id", ""), element, scene.values, acts=acts)


def _header(scene: Scene, given: Json) -> str:
    level = min(4, max(1, int(given.get("level", 1)))) + 1
    return f"<h{level}>{text(scene, given['text'])}</h{level}>"


def _section(scene: Scene, given: Json) -> str:
    words = f"<div>{text(scene, given['text'])}</div>" if "text" in given else ""
    fields = "".join(f"<div>{text(scene, one)}</div>" for one in given.get("fields", []))
    side = f'<div class="accessory">{_control(scene, given, given["accessory"])}</div>' if "accessory" in given else ""
    grid = f'<div class="fields">{fields}</div>' if fields else ""
    return f'<div class="words">{words}{grid}</div>{side}'


def _context(scene: Scene, given: Json) -> str:
    return "".join(
        _control(scene, given, one) if one["type"] == "image" else f"<span>{text(scene, one)}</span>"
        for one in given["elements"]
    )


def _actions(scene: Scene, given: Json) -> str:
    return "".join(_control(scene, given, one) for one in given["elements"])


def _image(scene: Scene, given: Json) -> str:
    source = given.get("image_url") or f"/files/{given.get('slack_file', {}).get('id', '')}"
    title = f"<figcaption>{text(scene, given['title'])}</figcaption>" if "title" in given else ""
    alt = escape(given["alt_text"], quote=True)
    return f'<figure>{title}<img src="{escape(source, quote=True)}" alt="{alt}"></figure>'


def _input(scene: Scene, given: Json) -> str:
    name = given.get("block_id", "")
    hint = f'<p class="hint">{text(scene, given["hint"])}</p>' if "hint" in given else ""
    wrong = f'<p class="wrong" role="alert">{escape(scene.errors[name])}</p>' if name in scene.errors else ""
    optional = ' <span class="optional">(optional)</span>' if given.get("optional") else ""
    control = _control(scene, given, given["element"], acts=bool(given.get("dispatch_action")))
    return f'<label class="label">{text(scene, given["label"])}{optional}</label>{control}{wrong or hint}'


def _cell(scene: Scene, cell: Json) -> str:
    if cell["type"] == "rich_text":
        return rich_text.html(scene.workspace, cell)
    return escape(str(cell.get("text", cell.get("value", ""))))


def _table(scene: Scene, given: Json) -> str:
    settings = given.get("column_settings") or []
    rows = []
    for number, row in enumerate(given["rows"]):
        tag = "td" if number else "th"
        cells = [
            f'<{tag} class="{_column(settings, index)}">{_cell(scene, cell)}</{tag}>' for index, cell in enumerate(row)
        ]
        rows.append(f"<tr>{''.join(cells)}</tr>")
    caption = f"<caption>{escape(given['caption'])}</caption>" if "caption" in given else ""
    return (
        f'<div class="scroll"><table>{caption}<thead>{rows[0]}</thead><tbody>{"".join(rows[1:])}</tbody></table></div>'
    )


def _column(settings: list[Json | None], index: int) -> str:
    chosen = (settings[index] if index < len(settings) else None) or {}
    align = chosen.get("align", "left")
    return (
        f"{align if align in {'left', 'center', 'right'} else 'left'}{' wrapped' if chosen.get('is_wrapped') else ''}"
    )


def _plan(scene: Scene, given: Json) -> str:
    tasks = "".join(f"<li>{_task(scene, task)}</li>" for task in given.get("tasks", []))
    done = sum(task["status"] == "complete" for task in given.get("tasks", []))
    total = len(given.get("tasks", []))
    count = f'<span class="count">{done}/{total}</span>' if total else ""
    return f'<div class="plan-title">{escape(given["title"])}{count}</div><ol>{tasks}</ol>'


def _task(scene: Scene, given: Json) -> str:
    status = given["status"]
    parts = "".join(
        f'<div class="{name}">{rich_text.html(scene.workspace, given[name])}</div>'
        for name in ("details", "output")
        if given.get(name)
    )
    sources = "".join(
        mrkdwn.link(one["url"], escape(one.get("text") or one["url"])) for one in given.get("sources") or []
    )
    mark = f'<span class="mark" title="{escape(status)}">{_TASK_MARKS[status]}</span>'
    words = f'<div class="task-title">{escape(given["title"])}</div>{parts}{sources}'
    return f'<div class="task {escape(status)}">{mark}<div class="task-words">{words}</div></div>'


def _container(scene: Scene, given: Json) -> str:
    if "rich_text_title" in given:
        title = rich_text.html(scene.workspace, given["rich_text_title"])
    else:
        title = text(scene, given["title"])
    subtitle = f"<small>{text(scene, given['subtitle'])}</small>" if "subtitle" in given else ""
    inside = blocks(scene, given["child_blocks"])
    if not given.get("is_collapsible"):
        return f'<div class="box"><div class="box-title">{title}{subtitle}</div>{inside}</div>'
    mark = "" if given.get("default_collapsed") else " open"
    return f'<details class="box"{mark}><summary class="box-title">{title}{subtitle}</summary>{inside}</details>'


def _card(scene: Scene, given: Json) -> str:
    hero = _control(scene, given, {"type": "image", **given["hero_image"]}) if "hero_image" in given else ""
    parts = "".join(
        f'<div class="card-{name}">{text(scene, given[name])}</div>'
        for name in ("title", "subtitle", "body")
        if name in given
    )
    actions = "".join(_control(scene, given, one) for one in given.get("actions") or [])
    return f'<div class="box">{hero}{parts}<div class="block actions">{actions}</div></div>'


def _carousel(scene: Scene, given: Json) -> str:
    return "".join(block(scene, {"type": "card", **one}) for one in given["elements"])


def _alert(scene: Scene, given: Json) -> str:
    level = escape(given.get("level", "default"))
    return f'<div class="notice {level}" role="note">{text(scene, given["text"])}</div>'


def _video(scene: Scene, given: Json) -> str:
    return mrkdwn.link(given["video_url"], f"▶ {text(scene, given['title'])}")


_Draw = Callable[[Scene, Json], str]
_DRAW: dict[str, _Draw] = {
    "header": _header,
    "section": _section,
    "context": _context,
    "actions": _actions,
    "context_actions": _actions,
    "divider": lambda _scene, _given: "<hr>",
    "image": _image,
    "input": _input,
    "rich_text": lambda scene, given: rich_text.html(scene.workspace, given),
    "table": _table,
    "data_table": _table,
    "data_visualization": lambda _scene, given: chart.html(given),
    "plan": _plan,
    "task_card": _task,
    "container": _container,
    "card": _card,
    "carousel": _carousel,
    "alert": _alert,
    "markdown": lambda _scene, given: markdown.html(given["text"]),
    "video": _video,
    "file": lambda _scene, given: f"<p>{escape(given['external_id'])}</p>",
}
