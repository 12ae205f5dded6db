"""Courses of a deployment on the real engine and database, with a cloud in memory: the state machine of blue-green."""

import asyncio
import time

import pytest

from bot.errors import Conflict, OutcomeUnknown, Refused, Unavailable
from commands.rollout import card
from commands.rollout.records import OPEN_STATES, State
from tests.builders import BLUE, BOB, CHARLIE, GREEN, JANE, changed
from tests.world import QUICK, Cloud, stage


async def until(check, seconds=15.0):
    """Wait until the check returns something true, and return it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = await check()
        if found:
            return found
        await asyncio.sleep(0.02)
    raise AssertionError("it did not happen in time")


async def reached(on, deployment_id, *states, seconds=15.0):
    async def look():
        found = await on.get(deployment_id)
        return found if found.state in states else None

    return await until(look, seconds)


async def asked(on, text="v0.1.0 production"):
    """Jane asks, and the plan waits for approval."""
    await on.command(text)
    deployment = await on.only()
    return await reached(on, deployment.id, State.WAITING, *ENDS)


async def approved(on, **fields):
    deployment = await asked(on)
    await on.click(card.APPROVE, deployment.id, BOB, value=f"{deployment.id}:{deployment.plan_hash[:16]}", **fields)
    return deployment


ENDS = tuple(state for state in State if state not in OPEN_STATES)


async def test_an_approved_deployment_moves_the_traffic_watches_it_and_retires_the_old_colour(database):
    async with stage(database) as on:
        deployment = await approved(on)
        done = await reached(on, deployment.id, *ENDS)
        assert done.state is State.SUCCEEDED, done.outcome
        assert on.cloud.writes == ["storage-green 6", "weights 0/100", "storage-blue 0"]
        assert [item.status for item in done.progress] == ["complete"] * 9
        assert on.pagerduty.events == []
        assert "v0.1.0 is live on production" in on.said()
        assert "Record of deployment" in on.said()


async def test_the_same_command_delivered_twice_is_one_deployment(database):
    async with stage(database) as on:
        first = await on.command("v0.1.0 production", key="same")
        again = await on.command("v0.1.0 production", key="same")
        assert first == again
        assert len([m for m in on.slack.messages if not m.thread]) <= 1


async def test_a_second_deployment_of_the_environment_is_refused_by_name(database):
    async with stage(database) as on:
        deployment = await asked(on)
        with pytest.raises(Refused, match=f"production is taken by {deployment.id}"):
            await on.command("v0.1.0 production", BOB)


async def test_somebody_without_the_role_may_not_ask(database):
    async with stage(database) as on:
        with pytest.raises(Refused, match="role deployer"):
            await on.command("v0.1.0 production", CHARLIE)


async def test_the_author_may_not_approve_and_double_clicks_are_answered(database):
    async with stage(database) as on:
        deployment = await asked(on)
        value = f"{deployment.id}:{deployment.plan_hash[:16]}"
        refused = await on.click(card.APPROVE, deployment.id, JANE, value=value)
        assert "someone else" in refused.text
        both = await asyncio.gather(*(on.click(card.APPROVE, deployment.id, BOB, value=value) for _ in range(2)))
        assert sorted(reply.text.split(" by ")[0] for reply in both) == ["Already approved", "Approved"]
        assert (await reached(on, deployment.id, *ENDS)).state is State.SUCCEEDED
        assert on.cloud.writes.count("weights 0/100") == 1


async def test_a_denial_ends_it_with_its_reason(database):
    async with stage(database) as on:
        deployment = await asked(on)
        value = f"{deployment.id}:{deployment.plan_hash[:16]}"
        form = await on.click(card.REJECT, deployment.id, BOB, value=value)
        assert form.view is not None
        empty = on.request(person=BOB, value=value, fields={"reason": " "})
        views = __import__("commands.deploy").deploy.COMMAND.views
        assert (await views["deploy_reject_form"](empty, on.services)).errors
        full = on.request(person=BOB, value=value, fields={"reason": "not on a Friday"})
        await views["deploy_reject_form"](full, on.services)
        done = await reached(on, deployment.id, *ENDS)
        assert done.state is State.DENIED
        assert "not on a Friday" in done.outcome.reason
        assert on.cloud.writes == []


async def test_an_unanswered_request_expires_and_frees_the_environment(database):
    quick = QUICK.model_copy(update={"approval": QUICK.approval / 20})
    async with stage(database, durations=quick) as on:
        deployment = await asked(on)
        done = await reached(on, deployment.id, *ENDS)
        assert done.state is State.EXPIRED
        late = await on.click(card.APPROVE, deployment.id, BOB, value=f"{deployment.id}:{deployment.plan_hash[:16]}")
        assert "expired" in late.text
        await on.command("v0.1.0 production", BOB)
        assert on.cloud.writes == []


async def test_a_changed_plan_voids_the_approval_and_asks_again_naming_the_difference(database):
    async with stage(database) as on:
        deployment = await asked(on)
        on.cloud.images["v0.1.0"] = "sha256:moved"
        await on.click(card.APPROVE, deployment.id, BOB, value=f"{deployment.id}:{deployment.plan_hash[:16]}")

        async def other():
            found = await on.get(deployment.id)
            return found if found.plan_hash != deployment.plan_hash else None

        now = await until(other)
        await until(lambda: _true("has changed since it was approved" in on.said()))
        assert "sha256:moved" in on.said()
        stale = await on.click(card.APPROVE, deployment.id, BOB, value=f"{deployment.id}:{deployment.plan_hash[:16]}")
        assert "plan has changed" in stale.text or "voided" in stale.text

        async def approve_new():
            reply = await on.click(card.APPROVE, now.id, BOB, value=f"{now.id}:{now.plan_hash[:16]}")
            return reply.text.startswith("Approved")

        await until(approve_new)
        assert (await reached(on, deployment.id, *ENDS)).state is State.SUCCEEDED


async def _true(value):
    return value


async def test_two_percent_errors_go_back_before_anything_else_and_page_once(database):
    async with stage(database) as on:
        on.cloud.error_share = 0.02
        deployment = await approved(on)
        done = await reached(on, deployment.id, *ENDS)
        assert done.state is State.ROLLED_BACK
        assert on.cloud.writes == ["storage-green 6", "weights 0/100", "weights 100/0"]
        await until(lambda: _true(len(on.pagerduty.events) == 1))
        details = on.pagerduty.events[0]["payload"]["custom_details"]
        assert details["deployment"] == deployment.id
        assert "2.00%" in details["evidence"][0] or "2.00%" in on.pagerduty.events[0]["payload"]["summary"]
        assert details["thread"].startswith("https://sandbox.slack.com/archives/")
        await until(lambda: _true("accepted the page" in on.said()))
        refused = await asked(on)
        assert refused.state is State.REFUSED
        assert refused.outcome.code == "known_bad"


async def test_a_colour_that_never_gets_healthy_leaves_blue_untouched(database):
    async with stage(database) as on:
        on.cloud.sick = True
        deployment = await approved(on)
        done = await reached(on, deployment.id, *ENDS)
        assert (done.state, done.outcome.code) == (State.FAILED, "never_healthy")
        assert on.cloud.writes == ["storage-green 6", "storage-green 0"]
        assert on.cloud.weights == {BLUE: 100, GREEN: 0}
        await until(lambda: _true(len(on.pagerduty.events) == 1))


async def test_a_failed_verification_never_switches(database):
    async with stage(database) as on:
        deployment = await asked(on)
        on.cloud.health_status = 500
        await on.click(card.APPROVE, deployment.id, BOB, value=f"{deployment.id}:{deployment.plan_hash[:16]}")
        done = await reached(on, deployment.id, *ENDS)
        assert (done.state, done.outcome.code) == (State.FAILED, "verification")
        assert "weights 0/100" not in on.cloud.writes


async def test_traffic_that_does_not_follow_is_switched_back_and_degraded_when_unconfirmed(database):
    async with stage(database) as on:
        on.cloud.frozen_traffic = True
        deployment = await approved(on)
        done = await reached(on, deployment.id, *ENDS)
        assert (done.state, done.outcome.code) == (State.ROLLED_BACK, "traffic_unverified")
        assert on.cloud.weights == {BLUE: 100, GREEN: 0}


async def test_weights_changed_by_somebody_else_stop_the_switch(database):
    async with stage(database) as on:
        deployment = await asked(on)

        class Meddled(Cloud):
            async def set_weights(self, arn, weights):
                raise Conflict("must not be reached")

        on.cloud.__class__ = Meddled
        await on.click(card.APPROVE, deployment.id, BOB, value=f"{deployment.id}:{deployment.plan_hash[:16]}")
        await until(lambda: _true(on.cloud.tasks["storage-green"] == 6))
        on.cloud.weights = {BLUE: 95, GREEN: 5}
        done = await reached(on, deployment.id, *ENDS)
        assert (done.state, done.outcome.code) == (State.FAILED, "switch_drift")
        assert on.cloud.weights == {BLUE: 95, GREEN: 5}


async def test_a_lost_reply_of_the_switch_is_read_before_anything_is_repeated(database):
    async with stage(database) as on:
        deployment = await asked(on)
        on.cloud.failures["set_weights_reply"] = [OutcomeUnknown("no answer")]
        await on.click(card.APPROVE, deployment.id, BOB, value=f"{deployment.id}:{deployment.plan_hash[:16]}")
        done = await reached(on, deployment.id, *ENDS)
        assert done.state is State.SUCCEEDED


async def test_throttling_during_the_work_is_waited_out(database):
    async with stage(database) as on:
        deployment = await asked(on)
        on.cloud.failures = {"update": [Unavailable("slow down")] * 2}
        await on.click(card.APPROVE, deployment.id, BOB, value=f"{deployment.id}:{deployment.plan_hash[:16]}")
        assert (await reached(on, deployment.id, *ENDS)).state is State.SUCCEEDED


async def test_an_unreadable_preflight_refuses_and_says_so(database):
    async with stage(database) as on:
        on.cloud.failures = {"rule": [Unavailable("AWS does not answer")]}
        deployment = await asked(on)
        assert deployment.state is State.REFUSED
        assert "AWS does not answer" in deployment.outcome.reason
        await until(lambda: _true("Nothing was changed" in on.said()))


async def test_a_dry_run_shows_the_plan_and_changes_nothing(database):
    async with stage(database) as on:
        await on.command("v0.1.0 production --dry-run")
        deployment = await on.only()
        done = await reached(on, deployment.id, *ENDS)
        assert done.state is State.PLANNED
        assert on.cloud.writes == []
        assert (await asked(on)).state is State.WAITING


@pytest.mark.parametrize("moment", ["waiting", "running", "holding"])
async def test_an_abort_is_accepted_in_every_state_and_ends_on_the_old_colour(database, moment):
    long = QUICK.model_copy(update={"bake": QUICK.bake * 50, "hold": QUICK.hold * 50})
    durations = {"waiting": QUICK, "running": long, "holding": QUICK.model_copy(update={"hold": QUICK.hold * 50})}
    async with stage(database, durations=durations[moment]) as on:
        deployment = await asked(on)
        if moment != "waiting":
            await on.click(card.APPROVE, deployment.id, BOB, value=f"{deployment.id}:{deployment.plan_hash[:16]}")
            await until(lambda: _true("weights 0/100" in on.cloud.writes))
        if moment == "holding":
            await reached(on, deployment.id, State.HOLDING)
        await on.click(card.ABORT, deployment.id, CHARLIE)
        done = await reached(on, deployment.id, *ENDS)
        assert done.state is State.ABORTED, done.outcome
        assert on.cloud.weights == {BLUE: 100, GREEN: 0}
        assert on.pagerduty.events == []
        if moment == "holding":
            # The record that was written when it went live is not the last word.
            await until(lambda: _true("*Rollback performed:* yes" in on.said().rpartition("*Record of")[2]))
        with pytest.raises(Refused, match="already aborted"):
            await on.click(card.ABORT, deployment.id, CHARLIE)


async def test_a_pause_holds_before_the_next_step_until_it_is_resumed(database):
    long = QUICK.model_copy(update={"bake": QUICK.bake * 4})
    async with stage(database, durations=long) as on:
        deployment = await approved(on)
        await until(lambda: _true("weights 0/100" in on.cloud.writes))
        await on.click(card.PAUSE, deployment.id, JANE)
        await reached(on, deployment.id, State.PAUSED)
        await asyncio.sleep(1.0)
        assert (await on.get(deployment.id)).state is State.PAUSED
        await on.click(card.RESUME, deployment.id, JANE)
        assert (await reached(on, deployment.id, *ENDS)).state is State.SUCCEEDED


@pytest.mark.parametrize(
    ("answer", "state"), [(card.KEEP, State.SUCCEEDED), (card.BACK, State.ROLLED_BACK), (None, State.ROLLED_BACK)]
)
async def test_doubt_is_asked_about_and_silence_goes_back(database, answer, state):
    async with stage(database) as on:
        on.cloud.error_share = 0.007
        deployment = await approved(on)

        async def question():
            found = await on.get(deployment.id)
            return found if found.question else None

        await until(question)

        async def current():
            """The card shows what is read now, not only what was asked about."""
            return next((one.detail for one in (await on.get(deployment.id)).progress if "P95" in one.detail), None)

        await until(current)
        if answer:
            on.cloud.error_share = 0.0
            await on.click(answer, deployment.id, CHARLIE)
        done = await reached(on, deployment.id, *ENDS)
        assert done.state is state, done.outcome


async def test_deploying_onto_a_held_colour_needs_consent_and_ends_the_old_hold(database):
    long = QUICK.model_copy(update={"hold": QUICK.hold * 50})
    async with stage(database, durations=long) as on:
        first = await approved(on)
        await reached(on, first.id, State.HOLDING)
        on.cloud.images["v0.2.0"] = "sha256:new"
        with pytest.raises(Refused, match="--replace-hold"):
            await on.command("v0.2.0 production")
        await on.command("v0.2.0 production --replace-hold", key="second")

        async def second():
            async with on.services.database.transaction() as session:
                from commands.rollout import store  # noqa: PLC0415

                return next((one for one in await store.latest(session) if one.id != first.id), None)

        other = await until(second)
        waiting = await reached(on, other.id, State.WAITING, *ENDS)
        assert waiting.state is State.WAITING, waiting.outcome
        assert (await on.get(first.id)).state is State.HOLDING
        await on.click(card.APPROVE, other.id, BOB, value=f"{other.id}:{waiting.plan_hash[:16]}")
        ended = await reached(on, first.id, *ENDS)
        assert (ended.state, ended.outcome.code) == (State.SUCCEEDED, "replaced")
        await reached(on, other.id, State.HOLDING)
        await on.click(card.ABORT, other.id, BOB)
        await reached(on, other.id, State.ABORTED)


async def test_a_staging_without_approvals_runs_at_once(database):
    async with stage(database, approvals=0) as on:
        await on.command("v0.1.0 production")
        deployment = await on.only()
        assert (await reached(on, deployment.id, *ENDS)).state is State.SUCCEEDED


async def test_a_lost_role_is_noticed_at_the_click(database):
    async with stage(database) as on:
        deployment = await asked(on)
        stripped = changed(BOB, roles=frozenset())
        reply = await on.click(
            card.APPROVE, deployment.id, stripped, value=f"{deployment.id}:{deployment.plan_hash[:16]}"
        )
        assert "Only people with the role approver" in reply.text


async def test_an_abort_behind_another_signal_still_comes_before_the_next_step(database):
    async with stage(database) as on:
        deployment = await asked(on)
        on.cloud.health_status = 500
        await on.click(card.APPROVE, deployment.id, BOB, value=f"{deployment.id}:{deployment.plan_hash[:16]}")
        await until(lambda: _true(on.cloud.tasks["storage-green"] == 6))
        await on.click(card.PAUSE, deployment.id, JANE)
        await on.click(card.ABORT, deployment.id, CHARLIE)
        on.cloud.health_status = 200
        done = await reached(on, deployment.id, *ENDS)
        assert done.state is State.ABORTED
        assert "weights 0/100" not in on.cloud.writes
