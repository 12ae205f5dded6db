"""The card of a deployment in every state: accepted by Slack's models, never a live mention, buttons only for now."""

from datetime import timedelta

import pytest

from bot import blocks
from bot.settings import Durations
from commands.checks import failed, passed, warned
from commands.rollout import card, messages, plans
from commands.rollout.records import OPEN_STATES, Outcome, Progress, State, Status
from tests.builders import NOON, changed, deployment, plan, side

EVIL = "<!channel> *bold* & <@U0JANE>"
FINDINGS = (passed("image", "there"), warned("alerts", "firing", EVIL), failed("rule", "weights", EVIL))


def shown(state, **changes):
    values = {"state": state, "findings": FINDINGS, **changes}
    if state not in OPEN_STATES:
        values["outcome"] = Outcome(state=state, code="x", reason=EVIL, evidence=(EVIL,))
    return deployment(**values)


def progress(status=Status.RUNNING):
    done = Progress(
        step="prepare", status=Status.DONE, detail=EVIL, started_at=NOON, finished_at=NOON + timedelta(seconds=9)
    )
    return (done, Progress(step="stabilise", status=status, detail=EVIL, started_at=NOON))


def parsed(value):
    """Yield every text in which Slack would see a mention; rich text and plain text are inert."""
    if isinstance(value, dict):
        if value.get("type") == "mrkdwn":
            yield value["text"]
        for item in value.values():
            yield from parsed(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from parsed(item)


def buttons(rendered):
    return [
        element["action_id"] for block in rendered.blocks if block["type"] == "actions" for element in block["elements"]
    ]


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("moving", [False, True])
def test_every_state_renders_to_what_slack_accepts(state, moving):
    record = shown(state, progress=progress() if moving else (), requested_by_name=EVIL, ticket=EVIL)
    rendered = card.render(record)
    assert blocks.check(rendered.blocks) == ()
    assert len(rendered.blocks) <= 6
    assert rendered.text
    assert all("<!channel>" not in text for text in [rendered.text, *parsed(rendered.blocks)])


@pytest.mark.parametrize("state", [state for state in State if state not in OPEN_STATES])
def test_a_finished_deployment_has_no_buttons(state):
    assert buttons(card.render(shown(state))) == []


def test_buttons_are_only_what_is_possible_now():
    assert buttons(card.render(shown(State.WAITING))) == [card.APPROVE, card.REJECT, card.SHOW_PLAN]
    assert buttons(card.render(shown(State.RUNNING, progress=progress()))) == [card.PAUSE, card.ABORT]
    assert buttons(card.render(shown(State.PAUSED, progress=progress()))) == [card.RESUME, card.ABORT]
    assert buttons(card.render(shown(State.HOLDING, progress=progress()))) == [card.ABORT]
    asked = shown(State.RUNNING, progress=progress(), question="error rate 0.7 %")
    assert buttons(card.render(asked)) == [card.BACK, card.KEEP]


def test_the_approve_button_carries_the_plan_that_is_shown():
    record = shown(State.WAITING)
    elements = next(block for block in card.render(record).blocks if block["type"] == "actions")["elements"]
    assert elements[0]["value"] == f"dep_1:{record.plan_hash[:16]}"


@pytest.mark.parametrize("state", [state for state in State if state not in OPEN_STATES])
def test_the_announcement_of_the_end_cannot_be_injected(state):
    text = messages.ended(shown(state))
    assert "<!channel>" not in text
    assert "<@U0JANE>" not in text


def test_a_degraded_end_lists_the_commands_to_go_back_by_hand():
    text = messages.ended(shown(State.DEGRADED))
    assert "aws elbv2 modify-rule --rule-arn arn:rule/1" in text
    assert '"Weight":100' in text


def test_the_record_names_who_when_and_what_was_observed():
    record = changed(shown(State.HOLDING, progress=progress()), approvers=("Bob Williams",), started_at=NOON)
    text = messages.record(record, NOON + timedelta(minutes=7))
    assert "*Approved by:* Bob Williams" in text
    assert "*Time since approval:* 7 min" in text
    assert "*Rollback performed:* no" in text


def test_the_plan_shows_every_step_with_its_duration():
    text = messages.plan_text(deployment())
    assert all(item.title in text for item in plan().steps)


def test_a_dry_run_ends_with_its_whole_plan():
    planned = changed(
        deployment(state=State.PLANNED),
        outcome=Outcome(state=State.PLANNED, code="dry_run", reason="This was a dry run; nothing was changed."),
    )
    text = messages.ended(planned)
    assert "nothing was changed.\n" in text
    assert all(item.title in text for item in plan().steps)


def test_a_refusal_gives_its_only_reason_once_and_ends_its_sentences_once():
    reason = "image: v9.9.9 is not there; push it."
    refused = changed(
        deployment(state=State.REFUSED),
        outcome=Outcome(state=State.REFUSED, code="x", reason=reason, evidence=(reason,)),
    )
    assert messages.ended(refused).count("push it") == 1
    assert "push it. Nothing was changed." in messages.ended(refused)
    assert card.render(refused).text.endswith("push it.")


def test_a_sentence_that_begins_with_a_version_keeps_it_as_it_is_written():
    done = changed(
        deployment(state=State.SUCCEEDED), outcome=Outcome(state=State.SUCCEEDED, code="done", reason="v0.1.0 is live")
    )
    assert card.render(done).text.endswith("succeeded. v0.1.0 is live.")
    assert "V0.1.0" not in str(card.render(done).blocks)


def test_checks_that_found_nothing_are_not_counted_with_a_warning_sign():
    calm = str(card.render(shown(State.WAITING, findings=(passed("image", "there"),))).blocks)
    assert "1 passed" in calm
    assert ":warning:" not in calm
    assert ":x:" not in calm
    assert "1 to look at · :x: 1 failed" in str(card.render(shown(State.WAITING)).blocks)


def test_no_step_is_planned_to_take_longer_than_it_may():
    steps = plans.blue_green(Durations(), idle=side("green"), healthy_after=timedelta(hours=1))
    assert all(item.expected <= item.limit for item in steps)


def test_the_question_before_an_abort_says_what_becomes_of_the_traffic():
    untouched = str(card.render(shown(State.RUNNING, progress=progress())).blocks)
    assert "Abort?" in untouched
    assert "gets no traffic" in untouched
    moved = str(card.render(shown(State.HOLDING, progress=progress(), touched=True)).blocks)
    assert "Go back to blue?" in moved
    assert "All traffic of" in moved
