"""Block Kit becomes HTML that shows everything and trusts nobody; and text for transcripts."""

from typing import Any

import pytest

from bot.sandbox.slack import markdown, mrkdwn, panel, plain_text, render, rich_text
from bot.sandbox.slack.records import Message
from bot.sandbox.slack.workspace import Workspace

WORKSPACE = Workspace(now=lambda: 1_800_000_000.0)
EVIL = "<script>alert(1)</script>"


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("*bold* _em_ ~gone~", "<strong>bold</strong> <em>em</em> <s>gone</s>"),
        ("2*3*4 snake_case_name", "2*3*4 snake_case_name"),
        ("`*raw* <@U0JANE>`", "<code>*raw* &lt;@U0JANE&gt;</code>"),
        ("a\n```x\n*y*```\nb", "a<pre>x\n*y*</pre>b"),
        ("<@U0JANE>", '<span class="mention user">@jane</span>'),
        ("<!subteam^S0DBA|@x>", '<span class="mention group">@obs-dba</span>'),
        ("<!subteam^S9|@other>", '<span class="mention group">@other</span>'),
        ("<#C0ALERTS>", '<span class="mention place">#llm-observatory-alerts</span>'),
        ("<!channel>", '<span class="mention everyone">@channel</span>'),
        ("&lt;!channel&gt; &amp;", "&lt;!channel&gt; &amp;"),
        ("<https://a.example/?a=1&amp;b=2|label>",
         '<a href="https://a.example/?a=1&amp;b=2" target="_blank" rel="noopener noreferrer">label</a>'),
        ("<javascript:alert(1)|click>", "click"),
        ("one\ntwo", "one<br>two"),
        (":tada: :nonsense:", "🎉 :nonsense:"),
        ("<!date^nonsense^{time}|14:05 UTC>", "14:05 UTC"),
        ("\ue0000\ue001", "0"),
    ],
)  # fmt: skip
def test_mrkdwn_becomes_safe_html(text: str, html: str) -> None:
    assert mrkdwn.html(WORKSPACE, text) == html


def test_a_date_is_shown_in_the_form_that_was_asked_for() -> None:
    html = mrkdwn.html(WORKSPACE, "<!date^1762351200^{date_num} {time_secs}|fallback>")
    assert "2025-11-0" in html
    assert ":00</time>" in html


def test_quotes_lose_their_marks() -> None:
    assert mrkdwn.html(WORKSPACE, "&gt; one\n&gt; two\nthree") == "<blockquote>one<br>two</blockquote>three"


def text(words: str, kind: str = "plain_text") -> dict[str, str]:
    return {"type": kind, "text": words}


def option(value: str) -> dict[str, Any]:
    return {"text": text(value), "value": value}


def rich(words: str) -> dict[str, Any]:
    section = {"type": "rich_text_section", "elements": [{"type": "text", "text": words, "style": {"bold": True}}]}
    return {"type": "rich_text", "elements": [section]}


BUTTON = {"type": "button", "action_id": "a", "text": text(EVIL), "value": EVIL, "confirm": {
    "title": text("Sure?"), "text": text("*all*", "mrkdwn"), "confirm": text("Yes"), "deny": text("No")}}  # fmt: skip
INPUTS = [
    {"type": "plain_text_input", "action_id": "a", "initial_value": EVIL, "multiline": True},
    {"type": "number_input", "action_id": "b", "is_decimal_allowed": True},
    {"type": "static_select", "action_id": "c", "options": [option(EVIL)], "initial_option": option(EVIL)},
    {"type": "multi_users_select", "action_id": "d", "initial_users": ["U0BOB"]},
    {"type": "radio_buttons", "action_id": "e", "options": [option("x")]},
    {"type": "checkboxes", "action_id": "f", "options": [option("x")], "initial_options": [option("x")]},
    {"type": "datepicker", "action_id": "g", "initial_date": "2026-01-01"},
]
POINTS = [{"label": "a", "value": 1}, {"label": EVIL, "value": 3}]
AXES = {"categories": ["a", EVIL], "x_label": "x", "y_label": "y"}
BLOCKS: list[dict[str, Any]] = [
    {"type": "header", "text": text(EVIL), "level": 2},
    {"type": "section", "text": text(EVIL, "mrkdwn"), "fields": [text(EVIL, "mrkdwn")], "accessory": BUTTON},
    {"type": "context", "elements": [text(EVIL, "mrkdwn"), {"type": "image", "image_url": EVIL, "alt_text": EVIL}]},
    {"type": "actions", "elements": [BUTTON, {"type": "overflow", "action_id": "o", "options": [option(EVIL)]}]},
    {"type": "divider"},
    {"type": "image", "image_url": '"><script>', "alt_text": EVIL, "title": text(EVIL)},
    *({"type": "input", "label": text(EVIL), "hint": text(EVIL), "element": element} for element in INPUTS),
    rich(EVIL),
    {"type": "table", "rows": [[{"type": "raw_text", "text": EVIL}], [rich(EVIL)], [{"type": "raw_number", "value": 3}]]},
    {"type": "data_table", "caption": EVIL, "rows": [[{"type": "raw_text", "text": EVIL}]] * 2},
    *({"type": "data_visualization", "title": EVIL, "chart": {"type": kind, "series": [{"name": EVIL, "data": POINTS}],
       "axis_config": AXES}} for kind in ("line", "bar", "area")),
    {"type": "data_visualization", "title": EVIL, "chart": {"type": "pie", "segments": POINTS}},
    {"type": "plan", "title": EVIL, "tasks": [{"task_id": "1", "title": EVIL, "status": "error", "details": rich(EVIL)}]},
    {"type": "task_card", "task_id": "1", "title": EVIL, "status": "in_progress", "output": rich(EVIL)},
    {"type": "container", "title": text(EVIL), "subtitle": text(EVIL), "is_collapsible": True, "child_blocks": [{"type": "divider"}]},
    {"type": "card", "title": text(EVIL, "mrkdwn"), "body": text(EVIL), "actions": [BUTTON]},
    {"type": "carousel", "elements": [{"type": "card", "title": text(EVIL)}]},
    {"type": "alert", "level": "warning", "text": text(EVIL)},
    {"type": "markdown", "text": f"# {EVIL}\n- **a** `{EVIL}`\n```\n{EVIL}\n```\n[x](javascript:alert)"},
    {"type": "video", "title": text(EVIL), "video_url": "https://v.example", "alt_text": EVIL, "thumbnail_url": EVIL},
    {"type": "file", "external_id": EVIL, "source": "remote"},
    {"type": "something_new", "text": EVIL},
]  # fmt: skip


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block["type"])
def test_every_block_renders_and_no_text_becomes_markup(block: dict[str, Any]) -> None:
    workspace = Workspace(now=lambda: 1.0)
    dressed = workspace.dress([block])
    html = render.blocks(render.Scene(workspace=workspace), dressed)
    assert f'class="block {block["type"]}"' in html
    assert "<script" not in html
    assert "javascript:alert" not in html.replace("[x](javascript:alert)", "")


def test_typed_values_and_errors_come_back_in_a_form() -> None:
    block = {"type": "input", "block_id": "why", "label": text("Why?"), "element": INPUTS[0]}
    scene = render.Scene(workspace=WORKSPACE, values={("why", "a"): "typed"}, errors={"why": "Say more"})
    html = render.block(scene, block)
    assert ">typed</textarea>" in html
    assert "Say more" in html


def test_rich_text_parses_nothing() -> None:
    assert rich_text.html(WORKSPACE, rich("*a* <@U0JANE>")) == "<p><strong>*a* &lt;@U0JANE&gt;</strong></p>"


def test_markdown_knows_headings_lists_and_emphasis() -> None:
    assert markdown.html("## A\n- **b**\n- c\n\n> d `e`") == (
        "<h3>A</h3><ul><li><strong>b</strong></li><li>c</li></ul><blockquote>d <code>e</code></blockquote>"
    )


def test_a_message_reads_as_plain_text() -> None:
    blocks = [
        {"type": "header", "text": text("Deploy v1")},
        {"type": "section", "text": text("Asked by <@U0JANE|jane> at <!date^1^{time}|14:00> &amp; waits", "mrkdwn")},
        {"type": "plan", "title": "Step 1", "tasks": [{"task_id": "1", "title": "Check", "status": "complete", "output": rich("9 s")}]},
        {"type": "table", "rows": [[{"type": "raw_text", "text": "a"}, {"type": "raw_text", "text": "b"}]]},
        {"type": "actions", "elements": [BUTTON | {"text": text("Approve")}]},
    ]  # fmt: skip
    message = Message(channel="C", ts="1.0", user="U", text="fallback", blocks=blocks)
    assert plain_text(message) == (
        "fallback\nDeploy v1\nAsked by @jane at 14:00 & waits\nStep 1\n✓ Check (9 s)\na | b\n[Approve]"
    )


def test_an_empty_world_is_a_quiet_panel() -> None:
    parts = panel.sections({})
    assert parts["environments"] == ""
    assert "Nobody was paged" in parts["pages"]
