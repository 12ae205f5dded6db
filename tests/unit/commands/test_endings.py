"""How a deployment ends: decided from what stopped it and what came of the way back."""

import pytest

from commands.checks import failed
from commands.rollout import endings
from commands.rollout.endings import Stop
from commands.rollout.records import Shift, State
from tests.builders import plan

BACK = Shift(code="done", sentence="blue 100 %, green 0 %: written and read back")
LOST = Shift(code="unknown", sentence="the weights are unknown")


@pytest.mark.parametrize(
    ("code", "state"), [("expired", State.EXPIRED), ("denied", State.DENIED), ("refused", State.REFUSED)]
)
def test_what_never_began_pages_nobody(code, state):
    outcome = endings.of(Stop(code, "because"), None, plan())
    assert (outcome.state, outcome.pages, outcome.touched) == (state, False, False)


def test_a_failure_before_the_switch_leaves_blue_untouched_and_pages():
    outcome = endings.of(Stop("never_healthy", "green did not become healthy"), None, plan())
    assert (outcome.state, outcome.pages, outcome.touched) == (State.FAILED, True, False)
    assert "blue was not touched" in outcome.reason


def test_harm_after_the_switch_is_a_rollback_and_pages():
    outcome = endings.of(Stop("harm_error_rate", "2 % errors"), BACK, plan())
    assert (outcome.state, outcome.pages, outcome.touched) == (State.ROLLED_BACK, True, True)
    assert BACK.sentence in outcome.evidence


def test_an_abort_is_nobodys_emergency():
    assert not endings.of(Stop("aborted", "Jane aborted it"), BACK, plan()).pages
    assert not endings.of(Stop("aborted", "Jane aborted it"), None, plan()).pages


@pytest.mark.parametrize("code", ["harm_error_rate", "aborted"])
def test_an_unconfirmed_way_back_needs_a_person_whatever_began_it(code):
    outcome = endings.of(Stop(code, "stop"), LOST, plan())
    assert (outcome.state, outcome.pages) == (State.DEGRADED, True)
    assert "The way back is not confirmed" in outcome.reason


def test_a_hold_given_up_for_a_newer_deployment_is_a_success():
    assert endings.of(Stop("replaced", "given up for dep_2"), None, plan()).state is State.SUCCEEDED


def test_a_bug_of_ours_pages_and_says_so():
    outcome = endings.broken("watch", ValueError("boom"), touched=True)
    assert (outcome.state, outcome.pages) == (State.DEGRADED, True)
    assert "opsbot itself failed in step watch" in outcome.reason


def test_the_first_of_several_reasons_ends_like_a_sentence():
    found = (failed("image", "gone", "It is gone."), failed("rule", "gone", "It too."))
    assert endings.first_sentence(found) == "image: It is gone (and 1 more)"
