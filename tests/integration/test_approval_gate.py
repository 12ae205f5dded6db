"""The gate in the database: of two clicks one is first, whatever the order of their transactions, and all is recorded."""

import asyncio
from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy import exc

from bot import store as database_store
from bot.errors import NotFound
from commands.approval import gate, store
from commands.approval.records import ApprovalState, Choice, Policy
from tests.builders import BOB, CHARLIE, JANE, NOON, approval, changed

LATER = NOON + timedelta(minutes=1)
CAROL = changed(BOB, id="U0CAROL", name="Carol", email="carol@company.com")


async def ask(database, plan_hash="abc123", needed=1):
    wanted = gate.request_for(
        "dep_1", plan_hash, Policy(needed=needed), JANE, now=NOON, expires_at=NOON + timedelta(minutes=30)
    )
    async with database.transaction() as session:
        return await gate.ask(session, wanted, now=NOON)


async def click(database, person, choice=Choice.APPROVE, *, shown="abc", now=LATER, reason=""):
    async with database.transaction() as session:
        vote = gate.vote_of(person, choice, now=now, reason=reason)
        return await gate.decide(session, "dep_1", vote, person, shown=shown, now=now)


async def rows(database, query):
    async with database.transaction() as session:
        return [tuple(row) for row in await database_store.execute(session, sa.text(query))]


async def audited(database):
    query = "SELECT actor, action, detail->>'ruling' FROM audit WHERE subject = 'dep_1' ORDER BY id"
    return await rows(database, query)


async def newest(database):
    async with database.transaction() as session:
        return await store.newest(session, "dep_1")


async def test_of_two_approvals_at_the_same_moment_one_decides_and_both_are_recorded(database):
    await ask(database)
    rulings = await asyncio.gather(*(click(database, person) for person in (BOB, CAROL) for _ in range(4)))
    assert sorted(ruling.code for ruling in rulings) == ["already_decided"] * 7 + ["approved"]
    found = await newest(database)
    assert found.state is ApprovalState.APPROVED
    assert len(found.votes) == 1
    kinds = [(action, ruling) for _actor, action, ruling in await audited(database)]
    assert kinds.count(("approval_approve", "approved")) == 1
    assert kinds.count(("approval_approve", "already_decided")) == 7


async def test_an_approval_and_a_denial_at_the_same_moment_are_one_decision(database):
    for _ in range(5):
        await ask(database)
        both = await asyncio.gather(click(database, BOB), click(database, CAROL, Choice.DENY, reason="no"))
        final = {ruling.code for ruling in both} - {"already_decided"}
        found = await newest(database)
        assert len(final) == 1
        assert final == {str(found.state)}
        assert await rows(database, f"SELECT count(*) FROM approval_vote WHERE approval = '{found.id}'") == [(1,)]
        await rows(database, "DELETE FROM approval_vote RETURNING 1")
        await rows(database, "DELETE FROM approval RETURNING 1")


async def test_two_needed_approvals_come_from_two_people_also_when_they_click_at_once(database):
    await ask(database, needed=2)
    first = await asyncio.gather(*(click(database, BOB) for _ in range(3)))
    assert sorted(ruling.code for ruling in first) == ["accepted", "already_voted", "already_voted"]
    twin = changed(BOB, id="U0BOB2", email="BOB@company.com")
    assert (await click(database, twin)).code == "already_voted"
    assert (await click(database, CAROL)).code == "approved"
    assert [vote.person for vote in (await newest(database)).votes] == ["U0BOB", "U0CAROL"]


@pytest.mark.parametrize(
    ("person", "more", "code"),
    [
        (JANE, {}, "four_eyes"),
        (CHARLIE, {}, "no_role"),
        (BOB, {"shown": "fff"}, "plan_changed"),
        (BOB, {"now": NOON + timedelta(minutes=30)}, "expired"),
    ],
)
async def test_a_refused_click_changes_nothing_and_is_recorded_with_its_reason(database, person, more, code):
    await ask(database)
    assert (await click(database, person, **more)).code == code
    found = await newest(database)
    assert (found.state, found.votes) == (ApprovalState.OPEN, ())
    assert (await audited(database))[-1] == (person.id, "approval_approve", code)


async def test_asking_again_for_the_same_plan_is_the_same_request_and_another_plan_voids_it(database):
    first = await ask(database)
    assert (await ask(database)).id == first.id
    second = await ask(database, "def456")
    assert second.id != first.id
    assert (await click(database, BOB, shown="abc")).code == "plan_changed"
    assert (await click(database, BOB, shown="def")).code == "approved"
    states = await rows(database, "SELECT id, state FROM approval ORDER BY id")
    assert states == [(first.id, "voided"), (second.id, "approved")]


async def test_a_changed_plan_voids_even_what_was_approved_and_only_the_newest_plan_is_covered(database):
    await ask(database)
    await click(database, BOB)
    async with database.transaction() as session:
        assert await gate.covers(session, "dep_1", "abc123")
        assert not await gate.covers(session, "dep_1", "def456")
        assert not await gate.covers(session, "dep_2", "abc123")
        assert await gate.void(session, "dep_1") is ApprovalState.VOIDED
        assert not await gate.covers(session, "dep_1", "abc123")
    assert (await click(database, CAROL)).code == "plan_changed"
    again = await ask(database)
    assert again.state is ApprovalState.OPEN
    assert again.votes == ()


async def test_the_database_refuses_a_second_open_request_and_a_second_vote(database):
    await ask(database)
    with pytest.raises(exc.IntegrityError, match="approval_one_open"):
        async with database.transaction() as session:
            await store.add(session, approval(id="dep_1:other"))
    await click(database, BOB)
    with pytest.raises(exc.IntegrityError):
        async with database.transaction() as session:
            await store.add_vote(session, "dep_1:1", gate.vote_of(BOB, Choice.APPROVE, now=LATER))


async def test_expiry_and_a_click_at_the_same_moment_are_one_outcome(database):
    async def expire():
        async with database.transaction() as session:
            return await gate.expire(session, "dep_1")

    await ask(database)
    state, ruling = await asyncio.gather(expire(), click(database, BOB))
    assert (state, ruling.code) in {(ApprovalState.EXPIRED, "expired"), (ApprovalState.APPROVED, "approved")}
    assert (await newest(database)).state is state
    assert await expire() is state


async def test_nothing_to_decide_is_said_so(database):
    with pytest.raises(NotFound, match="Nothing was changed"):
        await click(database, BOB)
    assert await audited(database) == []
