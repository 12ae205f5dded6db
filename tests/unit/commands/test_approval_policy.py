"""Four eyes, role, expiry, plan and finality, decided without any I/O."""

from datetime import timedelta

import pytest

from bot.contract import Person, Role
from commands.approval import gate, policy
from commands.approval.records import ApprovalState, Choice, Policy
from tests.builders import BOB, CHARLIE, JANE, NOON, approval, changed


def ruled(person, *, choice=Choice.APPROVE, shown="abc", now=NOON, **fields):
    request = approval(**fields)
    return policy.rule(request, gate.vote_of(person, choice, now=now, reason="no"), person, shown=shown, now=now)


def test_one_approver_who_is_not_the_author_approves():
    assert ruled(BOB).code == "approved"


def test_the_author_may_not_approve():
    assert ruled(JANE).code == "four_eyes"


def test_the_author_may_not_approve_with_a_second_account_of_the_same_mail():
    twin = Person(id="U0OTHER", name="Jane 2", email="JANE@company.com", roles=frozenset({Role.APPROVER}))
    assert ruled(twin).code == "four_eyes"


def test_the_author_may_withdraw():
    assert ruled(JANE, choice=Choice.DENY).code == "denied"


@pytest.mark.parametrize("choice", list(Choice))
def test_somebody_without_the_role_decides_nothing(choice):
    assert ruled(CHARLIE, choice=choice).code == "no_role"


def test_a_role_lost_since_the_request_counts_as_no_role():
    assert ruled(changed(BOB, roles=frozenset())).code == "no_role"


def test_after_the_expiry_nobody_approves():
    assert ruled(BOB, now=NOON + timedelta(minutes=30)).code == "expired"


def test_a_button_of_an_older_plan_is_refused():
    assert ruled(BOB, shown="0ld").code == "plan_changed"


def test_an_approval_that_names_no_plan_counts_only_while_there_was_one_plan():
    assert ruled(BOB, shown="").code == "approved"
    assert ruled(BOB, shown="", id="dep_1:2").code == "plan_unnamed"
    assert ruled(BOB, shown="abc123", id="dep_1:2").code == "approved"


def test_two_approvals_need_two_people():
    first = gate.vote_of(BOB, Choice.APPROVE, now=NOON)
    two = Policy(needed=2)
    assert ruled(BOB, policy=two).code == "accepted"
    assert ruled(BOB, policy=two, votes=(first,)).code == "already_voted"
    alice = Person(id="U0ALICE", name="Alice", email="a@company.com", roles=frozenset({Role.APPROVER}))
    assert ruled(alice, policy=two, votes=(first,)).code == "approved"


@pytest.mark.parametrize("state", [ApprovalState.APPROVED, ApprovalState.DENIED])
def test_a_late_click_is_told_who_was_first_and_when(state):
    vote = gate.vote_of(BOB, Choice.APPROVE, now=NOON)
    ruling = ruled(BOB, state=state, votes=(vote,), now=NOON + timedelta(seconds=20))
    assert ruling.code == "already_decided"
    assert "by Bob Williams 20 s ago" in ruling.sentence


@pytest.mark.parametrize("state", [ApprovalState.EXPIRED, ApprovalState.VOIDED])
def test_a_closed_request_is_not_decided(state):
    assert not ruled(BOB, state=state).counted
