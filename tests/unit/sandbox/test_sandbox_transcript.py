"""The transcript of a story: readable texts, columns that stay, states of a card joined or left out."""

from datetime import UTC, datetime

from bot.sandbox import transcript
from bot.sandbox.cloud import Call
from bot.sandbox.slack.records import Entry

BEGAN = 1000.0
CARD = "1000.000001"


def entry(at, kind, text, *, who="opsbot", where="#alerts", ts=CARD):
    return Entry(at=BEGAN + at, who=who, kind=kind, where=where, text=text, ts=ts)


def told(*entries, calls=(), heard_by=None):
    return transcript.lines(entries, calls, heard_by or {}, BEGAN)


def test_slack_s_escapes_become_what_people_read():
    text = (
        ":white_check_mark: *Done* until <!date^1795437374^{time_secs}|12:36 UTC>, <!here> <@U0JANE> a &amp; b *2*3*4"
    )
    assert transcript.readable(text) == "✅ Done until 12:36 UTC, @here @jane a & b *2*3*4"


def test_a_line_says_when_who_how_and_what():
    lines = told(
        entry(0.0, "command", "/deploy v0.1.0 production", who="jane"),
        entry(0.5, "ephemeral", "You asked for this.", ts="5"),
        entry(1.0, "view", "Reject deployment", where="@bob"),
        heard_by={"5": "jane"},
    )
    assert lines == [
        "   0.00 s  jane       types      /deploy v0.1.0 production",
        "   0.50 s  opsbot     to jane    You asked for this.",
        "   1.00 s  opsbot     asks bob   Reject deployment",
    ]


def test_outside_calls_stand_at_their_time():
    call = Call(
        at=datetime.fromtimestamp(BEGAN + 1, UTC), system="aws", what="ModifyRule blue=0 green=100", outcome="200"
    )
    lines = told(entry(2.0, "post", "after"), entry(0.0, "post", "before"), calls=[call])
    assert [line.split()[-1] for line in lines] == ["before", "200", "after"]
    assert "aws        call       ModifyRule blue=0 green=100 → 200" in lines[1]


def test_equal_states_of_a_card_are_one_line_with_their_number():
    updates = [entry(2.0 * number, "update", "watching") for number in range(5)]
    lines = told(updates[0], entry(1.0, "reply", "news"), *updates[1:])
    assert lines == [
        "   0.00 s  opsbot     card       watching (5 updates until 8.00 s)",
        "   1.00 s  opsbot     in thread  news",
    ]


def test_a_state_that_nobody_could_see_is_left_out():
    lines = told(entry(1.0, "update", "between"), entry(1.05, "update", "step 2"), entry(9.0, "update", "step 3"))
    assert [line.split("card")[1].strip() for line in lines] == ["step 2", "step 3"]


def test_two_cards_are_kept_apart():
    lines = told(entry(1.0, "update", "one"), entry(1.01, "update", "two", ts="7"), entry(3.0, "update", "one"))
    assert len(lines) == 2


def test_long_and_many_lined_messages_keep_to_their_column():
    lines = told(entry(0.0, "reply", "*Record*\n" + "• " + "word " * 60)).pop().split("\n")
    assert len(lines) > 3
    assert all(len(line) <= transcript.WIDTH for line in lines)
    assert lines[1].startswith(" " * 33 + "• word")
    assert lines[2].startswith(" " * 35 + "word")


def test_what_happened_before_the_story_is_no_part_of_it():
    assert told(entry(-5.0, "post", "starting")) == []
