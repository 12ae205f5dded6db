"""Builders stay within Slack's limits, untrusted text stays inert, and the check finds what Slack would refuse."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot import blocks
from bot.contract import Card

NASTY = "<!channel> & <@U1|x> *bold* `code`"
LONG = "x" * 20_000


def every_block(text):
    """One of each builder, filled with the same text."""
    ask = blocks.confirm(text, text, yes=text, no=text, style="danger")
    return [
        blocks.header(text),
        blocks.section(blocks.escape(text)),
        blocks.section(blocks.escape(text), accessory=blocks.button(text, "open", text)),
        blocks.fields(*[(blocks.escape(text), blocks.escape(text))] * 12),
        blocks.context(*[blocks.escape(text)] * 12),
        blocks.divider(),
        blocks.actions(
            "row",
            blocks.button(text, "go", text, style="danger", confirm=ask),
            blocks.link(text, "https://x.y", "docs"),
        ),
        blocks.rich(text),
        blocks.code(text),
        blocks.plan(text, [blocks.task(f"t{n}", text, "pending", details=text, output=text) for n in range(60)]),
        blocks.table([[text] * 25] * 120, right=(1,)),
        blocks.text_input("why", text, initial="y", hint=text, multiline=True, optional=True),
        blocks.select_input("where", text, [("production", text), ("staging", text)], initial="staging"),
        blocks.checkbox_input("sure", text, "yes", text, ticked=True),
    ]


@pytest.mark.parametrize("text", ["v0.1.0", NASTY, LONG, "", " ", "é" * 4000, "&" * 5000])
def test_every_builder_makes_blocks_that_slack_takes_whatever_the_text(text):
    assert blocks.check(every_block(text)) == ()


@given(st.text(max_size=200))
def test_any_text_at_all_makes_valid_blocks(text):
    assert blocks.check(every_block(text)) == ()


@given(st.text(max_size=80))
def test_escaped_text_holds_no_markup_and_comes_back_unchanged(text):
    inert = blocks.escape(text)
    assert "<" not in inert
    assert ">" not in inert
    assert blocks.unescape(inert) == text


@given(st.text(alphabet="a<>&!@|", max_size=60), st.integers(min_value=2, max_value=60))
def test_a_cut_never_ends_inside_an_entity(text, limit):
    shortened = blocks.cut(blocks.escape(text), limit)
    assert len(shortened) <= limit
    assert "&" not in shortened.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "")


def test_a_cut_never_ends_inside_a_mention():
    assert blocks.cut("hello <!date^1762351200^{time}|14:00 UTC>", 20) == "hello …"


def test_a_time_is_shown_in_the_readers_zone_and_in_utc_elsewhere():
    at = datetime(2025, 11, 5, 14, 0, tzinfo=UTC)
    assert blocks.time(at) == "<!date^1762351200^{time}|14:00 UTC>"
    assert blocks.time(at, "{date_short} {time}") == "<!date^1762351200^{date_short} {time}|14:00 UTC>"


def test_a_button_tells_a_screen_reader_what_it_does():
    button = blocks.button("Approve", "approve", "dep_1", label="Approve deploy of v0.1.0 to production")
    assert button["accessibility_label"] == "Approve deploy of v0.1.0 to production"
    assert blocks.button("Approve", "approve", "dep_1")["accessibility_label"] == "Approve"


def test_a_form_returns_its_value_and_keeps_its_texts_within_the_view_limits():
    form = blocks.modal("deploy_form", "x" * 40, [blocks.text_input("why", "Why?")], submit="Reject", value="dep_1")
    assert form["private_metadata"] == "dep_1"
    assert len(form["title"]["text"]) == 24
    assert form["submit"]["text"] == "Reject"


@pytest.mark.parametrize(
    ("block", "finding"),
    [
        ({"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}, "150"),
        ({"type": "section"}, "text or fields"),
        ({"type": "section", "text": {"type": "mrkdwn", "text": ""}}, "empty"),
        ({"type": "section", "fields": [{"type": "mrkdwn", "text": "x" * 2001}]}, "2000"),
        ({"type": "section", "text": {"type": "mrkdwn", "text": "x"}, "colour": "red"}, "colour"),
        ({"type": "plan", "title": "p", "tasks": [{"type": "task_card", "task_id": "a", "title": "t", "status": "done"}]}, "done"),
        (blocks.actions("a", {**blocks.button("x", "y", "z"), "style": "green"}), "style"),
        (blocks.actions("a", {**blocks.button("x", "y", "z"), "text": {"type": "mrkdwn", "text": "x"}}), "plain text"),
        ({"type": "header"}, "text"),
    ],
)  # fmt: skip
def test_the_check_finds_what_slack_would_refuse(block, finding):
    assert any(finding in one for one in blocks.check([block])), blocks.check([block])


def test_the_check_counts_blocks_tables_charts_and_ids():
    table = blocks.table([["a"]])
    chart = {"type": "data_visualization", "title": "p95"}
    row = blocks.actions("same", blocks.button("x", "y", "z"))
    assert "more than one table" in blocks.check([table, table])
    assert "more than two charts" in blocks.check([chart] * 3)
    assert "block ids are not unique" in blocks.check([row, row])
    assert "51 blocks, Slack takes 50" in blocks.check([blocks.divider()] * 51)


def test_block_types_newer_than_the_models_pass():
    assert blocks.check([{"type": "data_visualization", "title": "p95"}]) == ()


def test_the_plainer_card_says_everything_in_sections():
    card = Card(
        text="Deploying v0.1.0",
        blocks=(
            blocks.header("Deploying <v0.1.0>"),
            blocks.plan("Step 2", [blocks.task("b", "Backup", "complete", output="1 min"), blocks.task("s", "Shift", "pending")]),
            blocks.fields(("Strategy", "blue-green")),
            blocks.table([["Metric", "Canary"], ["p95", "<142>"]]),
            blocks.code("SELECT 1 < 2"),
            blocks.actions("row", blocks.button("Abort", "abort", "dep_1")),
            blocks.context("by Jane"),
        ),
    )  # fmt: skip
    plainer = blocks.plainer(card)
    said = "\n".join(block["text"]["text"] for block in plainer.blocks)
    assert {block["type"] for block in plainer.blocks} == {"section"}
    for words in (
        "Deploying &lt;v0.1.0&gt;",
        ":white_check_mark: Backup · 1 min",
        ":white_circle: Shift",
        "blue-green",
    ):
        assert words in said
    assert "p95 · &lt;142&gt;" in said
    assert "SELECT 1 &lt; 2" in said
    assert "by Jane" in said
    assert blocks.check(plainer.blocks) == ()
    assert blocks.plain(card) == plainer.blocks


def test_the_plainest_card_is_its_sentence():
    assert blocks.plainest("Rolled back") == Card(text="Rolled back")


@given(st.text(max_size=300))
def test_a_plainer_card_is_valid_whatever_was_in_it(text):
    assert blocks.check(blocks.plainer(Card(text="t", blocks=tuple(every_block(text)))).blocks) == ()
