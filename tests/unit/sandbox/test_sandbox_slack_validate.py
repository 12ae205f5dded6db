"""Slack's rules about blocks and views, as a table of what is refused and where."""

from typing import Any

import pytest

from bot.sandbox.slack import validate


def plain(length: int = 3) -> dict[str, Any]:
    return {"type": "plain_text", "text": "x" * length}


def mrkdwn(length: int = 3) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": "x" * length}


def section(**fields: Any) -> dict[str, Any]:
    return {"type": "section", **fields}


def button(**fields: Any) -> dict[str, Any]:
    return {"type": "button", "text": plain(), "action_id": "a", **fields}


def actions(*elements: dict[str, Any]) -> dict[str, Any]:
    return {"type": "actions", "elements": list(elements)}


def confirm(**fields: Any) -> dict[str, Any]:
    return {"title": plain(), "text": mrkdwn(), "confirm": plain(), "deny": plain(), **fields}


TABLE = {"type": "table", "rows": [[{"type": "raw_text", "text": "a"}]]}
CHART = {
    "type": "data_visualization",
    "title": "t",
    "chart": {
        "type": "line",
        "series": [{"name": "s", "data": [{"label": "a", "value": 1}]}],
        "axis_config": {"categories": ["a"]},
    },
}
TASK = {"type": "task_card", "task_id": "t", "title": "t", "status": "complete"}

REFUSED = [
    ([{"type": "header", "text": plain(151)}], "/blocks/0/text/text", "must be less than 151 characters"),
    ([{"type": "header", "text": mrkdwn()}], "/blocks/0/text/type", "must be one of ['plain_text']"),
    ([section()], "/blocks/0", "must define either `text` or `fields`"),
    ([section(text=mrkdwn(3001))], "/blocks/0/text/text", "must be less than 3001 characters"),
    ([section(text=mrkdwn(0))], "/blocks/0/text/text", "must be more than 0 characters"),
    ([section(fields=[mrkdwn()] * 11)], "/blocks/0/fields", "no more than 10 items allowed"),
    ([section(fields=[mrkdwn(), mrkdwn(2001)])], "/blocks/0/fields/1/text", "must be less than 2001 characters"),
    ([section(text="words")], "/blocks/0/text", "must provide an object with a string `text`"),
    ([{"type": "context", "elements": [mrkdwn()] * 11}], "/blocks/0/elements", "no more than 10 items allowed"),
    ([actions(*[button(action_id=str(n)) for n in range(26)])], "/blocks/0/elements", "no more than 25 items allowed"),
    ([actions(button(text=plain(76)))], "/blocks/0/elements/0/text/text", "must be less than 76 characters"),
    ([actions(button(value="x" * 2001))], "/blocks/0/elements/0/value", "must be less than 2001 characters"),
    ([actions(button(style="good"))], "/blocks/0/elements/0/style", "must be one of ['danger', 'primary']"),
    ([actions(button(colour="red"))], "/blocks/0/elements/0", "invalid additional property: colour"),
    ([actions(button(), button())], "/blocks", "`action_id` already exists in block None"),
    ([actions(button(confirm=confirm(title=plain(101))))], "/blocks/0/elements/0/confirm/title/text", "must be less than 101 characters"),
    ([actions(button(confirm=confirm(text=mrkdwn(301))))], "/blocks/0/elements/0/confirm/text/text", "must be less than 301 characters"),
    ([actions(button(confirm=confirm(deny=plain(31))))], "/blocks/0/elements/0/confirm/deny/text", "must be less than 31 characters"),
    ([{"type": "divider"}] * 51, "/blocks", "no more than 50 items allowed"),
    ([TABLE, TABLE], "/blocks", "only_one_table_allowed"),
    ([CHART] * 3, "/blocks", "no more than 2 data_visualization blocks allowed"),
    ([{"type": "marquee"}], "/blocks/0/type", "unsupported type: marquee"),
    ([{"type": "alert", "text": plain()}], "/blocks/0/type", "unsupported type: alert in message"),
    ([{"type": "divider", "block_id": "x"}] * 2, "/blocks", "`block_id` already exists: x"),
    ([{"type": "plan", "title": "p", "tasks": [TASK | {"status": "done"}]}], "/blocks/0/tasks/0/status",
     "must be one of ['complete', 'error', 'in_progress', 'pending']"),
    ([TASK | {"status": "pending"}], "/blocks/0/status", "must be one of ['complete', 'error', 'in_progress']"),
    ([CHART | {"title": "x" * 51}], "/blocks/0/title", "must be less than 51 characters"),
    ([{"type": "container", "title": plain(), "child_blocks": [section()]}], "/blocks/0/child_blocks/0",
     "must define either `text` or `fields`"),
    ([{"type": "markdown", "text": "x" * 12_001}], "/blocks", "markdown must be less than 12001 characters"),
    ([{"type": "actions", "elements": 3}], "/blocks/0", "failed to match all allowed schemas"),
    ({"type": "divider"}, "/blocks", "must be an array of objects"),
]  # fmt: skip


@pytest.mark.parametrize(("blocks", "pointer", "message"), REFUSED)
def test_slack_names_what_it_refuses(blocks: object, pointer: str, message: str) -> None:
    assert (pointer, message) in [(one.pointer, one.message) for one in validate.blocks(blocks)]


@pytest.mark.parametrize(
    "blocks",
    [
        [{"type": "header", "text": plain(150)}, section(text=mrkdwn(3000), accessory=button())],
        [section(fields=[mrkdwn(2000)] * 10), TABLE, CHART, CHART],
        [{"type": "plan", "title": "p", "tasks": [TASK | {"status": "pending"}]}],
        [{"type": "container", "title": plain(), "is_collapsible": True, "child_blocks": [{"type": "divider"}]}],
        [actions(button(confirm=confirm(), value="x" * 2000, accessibility_label="x" * 75))],
    ],
)
def test_what_slack_takes_is_taken(blocks: list[dict[str, Any]]) -> None:
    assert validate.blocks(blocks) == []


def modal(**fields: Any) -> dict[str, Any]:
    return {"type": "modal", "title": plain(), "blocks": [], **fields}


INPUT = {"type": "input", "label": plain(), "element": {"type": "plain_text_input"}}


@pytest.mark.parametrize(
    ("view", "pointer"),
    [
        (modal(title=plain(25)), "/view/title/text"),
        (modal(blocks=[INPUT]), "/view/submit"),
        (modal(blocks=[TABLE], submit=plain()), "/view/blocks/0/type"),
        (modal(blocks=[{"type": "divider"}] * 101), "/view/blocks"),
        (modal(private_metadata="x" * 3001), "/view/private_metadata"),
        ({"type": "panel"}, "/view/type"),
        ("words", "/view"),
        ({"type": "home", "blocks": [{"type": "alert", "text": plain()}]}, "/view/blocks/0/type"),
    ],
)
def test_views_have_their_own_rules(view: object, pointer: str) -> None:
    assert pointer in [one.pointer for one in validate.view(view)]


def test_an_alert_and_an_input_are_fine_in_a_modal() -> None:
    alert = {"type": "alert", "level": "warning", "text": mrkdwn()}
    assert validate.view(modal(blocks=[alert, INPUT], submit=plain(24))) == []
