"""Something outside fails for a while: the deployment goes on or goes back, nothing is lost, nothing is doubled."""

import asyncio
import re
import shutil
import tempfile
from pathlib import Path

import pytest
import sqlalchemy as sa

from bot import schema, store
from bot.clients import embedded
from bot.errors import OutcomeUnknown, Throttled, Unavailable
from bot.sandbox.slack import plain_text
from bot.store import Database
from commands.rollout.records import State
from tests.builders import BLUE, GREEN
from tests.e2e.harness import COURSE, ENDS, settled, slow, town, until
from tests.world import Cloud

NOTHING = "Nothing was changed"
HAPPY = ["storage-green 6", "weights 0/100", "storage-blue 0"]
BACK = ["storage-green 6", "weights 0/100", "weights 100/0"]
SLOW_DOWN = Throttled("AWS asks to slow down", retry_after=0.05)
# Deadlines that a fault of a few seconds does not reach, as minutes are not reached by seconds in production.
PATIENT = {"prepare": 30_000, "verify": 30_000, "observe": 30_000, "drain": 30_000, "approval": 60_000}


async def started(there):
    """Jane asks, Bob approves, work begins."""
    deployment = await there.asked()
    await there.told(COURSE[0])
    await there.approve(deployment)
    await there.told(COURSE[1])
    await there.told(COURSE[2])
    return deployment


def in_order(thread, texts):
    """Each text is said exactly once, in this order."""
    places = []
    for text in texts:
        found = [number for number, line in enumerate(thread) if text in line]
        assert len(found) == 1, f"{text!r} was said {len(found)} times"
        places += found
    assert places == sorted(places)


@pytest.mark.parametrize("fault", ["rate_limited", "down"])
async def test_while_slack_is_away_the_deployment_goes_on_and_the_thread_catches_up_in_order(database, fault):
    """Slack answers 429, or not at all, from the approval until the new version is live; then it is back."""
    async with town(database) as there:
        deployment = await started(there)
        there.slack.faults.set(fault, on=True)
        assert (await there.reached(deployment.id, State.SUCCEEDED)).outcome.code == "done"
        assert there.cloud.writes == HAPPY
        assert len(there.thread(deployment.id)) < len(COURSE)
        there.slack.faults.set(fault, on=False)
        await there.told_all(COURSE[3:], seconds=40)
        in_order(there.thread(deployment.id), COURSE)
        await settled(there)
        assert "Succeeded" in plain_text(there.card(deployment.id))
        await until(lambda: there.slack.connections)
        await there.slack.user("alice").command("/deploy status")
        await there.told("No deployment is running", to="alice")


async def test_a_page_goes_out_while_slack_is_down(database):
    """The release is bad and Slack is down: the traffic is back and on-call is paged before Slack is."""
    async with town(database) as there:
        there.cloud.error_share = 0.02
        deployment = await started(there)
        there.slack.faults.down = True
        assert (await there.reached(deployment.id, *ENDS)).state is State.ROLLED_BACK
        await until(lambda: there.pagerduty.events)
        assert there.slack.faults.down
        assert there.cloud.writes == BACK
        there.slack.faults.down = False
        texts = [*COURSE[3:8], "*Watch errors and latency*", "Rolled back v0.1.0", "P1 incident"]
        await there.told_all([*texts, "accepted the page", "Record of deployment"], seconds=40)
        in_order(there.thread(deployment.id), texts)
        assert len(there.pagerduty.events) == 1


@pytest.mark.parametrize("how", ["drop", "500"])
async def test_replies_lost_after_a_post_double_nothing(database, how):
    """Slack takes every message and loses its answer, for the card and for half of the thread."""
    async with town(database) as there:
        there.slack.faults.lose_reply_after_post = how
        await there.slack.user("jane").command("/deploy v0.1.0 production")
        await there.told("Understood:", to="jane")
        deployment = await there.newest()
        await there.told(deployment.id)
        there.slack.faults.lose_reply_after_post = ""
        await there.told(COURSE[0])
        await there.approve(deployment)
        there.slack.faults.lose_reply_after_post = how
        await there.told_all(COURSE[1:4], seconds=40)
        there.slack.faults.lose_reply_after_post = ""
        await there.told_all(COURSE[4:], seconds=40)
        in_order(there.thread(deployment.id), COURSE)
        assert there.cloud.writes == HAPPY


@pytest.mark.parametrize("call", ["digest", "rule", "service", "firing", "scalar"])
async def test_what_cannot_be_read_at_preflight_refuses_and_changes_nothing(database, call):
    """AWS throttles, or Prometheus is away, when the plan is made: unknown is not good."""
    async with town(database) as there:
        there.cloud.down = {call}
        deployment = await there.asked()
        assert deployment.state is State.REFUSED
        await there.told("Not started v0.1.0", f"{call} does not answer", NOTHING)
        there.nothing_changed()
        there.cloud.down = set()
        again = await there.asked()
        assert again.state is State.WAITING
        await there.told(COURSE[0])


async def test_throttling_in_the_middle_of_the_work_is_waited_out(database):
    """AWS throttles each kind of call a few times after the approval."""
    async with town(database) as there:
        deployment = await there.asked()
        await there.told(COURSE[0])
        calls = ("revision_for", "update", "suspend", "set_weights", "resume")
        there.cloud.failures = {call: [SLOW_DOWN] * 2 for call in calls}
        await there.approve(deployment)
        assert (await there.reached(deployment.id, *ENDS)).state is State.SUCCEEDED
        await there.told_all(COURSE[1:])
        assert there.cloud.writes == HAPPY
        assert there.cloud.suspended == set()
        assert not any(there.cloud.failures.values())


@pytest.mark.parametrize("moment", ["set_weights", "set_weights_reply"])
async def test_an_unknown_outcome_of_the_switch_is_read_before_anything_is_repeated(database, moment):
    """The write of the weights times out: once before it took effect, once after."""
    async with town(database) as there:
        deployment = await there.asked()
        await there.told(COURSE[0])
        there.cloud.failures = {moment: [OutcomeUnknown("no answer to modify_rule")]}
        await there.approve(deployment)
        assert (await there.reached(deployment.id, *ENDS)).state is State.SUCCEEDED
        await there.told_all(COURSE[1:])
        assert there.cloud.writes == HAPPY


class Lost(Cloud):
    """The first write of the weights takes effect, its reply is lost, and then the rule cannot be read either."""

    async def set_weights(self, arn, weights):
        await super().set_weights(arn, weights)
        if len(self.writes) == 2:
            self.down = {"rule"}
            raise OutcomeUnknown("no answer to modify_rule")


async def test_a_switch_that_nobody_can_confirm_is_taken_back(database):
    """Whether the traffic moved cannot be known for a while, so it is treated as moved."""
    async with town(database, cloud=Lost()) as there:
        deployment = await started(there)
        await until(lambda: "weights 100/0" in there.cloud.writes)
        there.cloud.down = set()
        done = await there.reached(deployment.id, *ENDS)
        assert (done.state, done.outcome.code) == (State.ROLLED_BACK, "switch_unknown")
        assert there.cloud.writes == BACK
        texts = [":x: *Switch the traffic", "the weights are unknown", "P1 incident", "accepted the page", "Record of"]
        await there.told_all([*COURSE[3:6], *texts])


async def test_the_way_back_is_written_although_the_weights_cannot_be_read(database):
    """The release is bad, and describe_rules answers no more; the way back needs no reading and scaling is freed."""
    async with town(database) as there:
        there.cloud.error_share = 0.02
        deployment = await started(there)
        await until(lambda: "weights 0/100" in there.cloud.writes)
        there.cloud.down = {"rule"}
        there.cloud.failures = {"resume": [SLOW_DOWN] * 3, "set_weights_reply": [OutcomeUnknown("no answer")]}
        await until(lambda: "weights 100/0" in there.cloud.writes)
        there.cloud.down = set()
        assert (await there.reached(deployment.id, *ENDS)).state is State.ROLLED_BACK
        assert there.cloud.weights == {BLUE: 100, GREEN: 0}
        assert there.cloud.suspended == set()
        texts = [*COURSE[3:8], ":x: *Watch errors", "Rolled back", "P1 incident", "accepted the page", "Record of"]
        await there.told_all(texts)


async def test_a_prometheus_that_comes_back_during_observation_is_waited_for(database):
    """Prometheus restarts just after the switch."""
    async with town(database, durations=slow(**PATIENT)) as there:
        deployment = await started(there)
        await until(lambda: "weights 0/100" in there.cloud.writes)
        there.cloud.down = {"scalar"}
        await there.told_all(COURSE[3:7])
        await asyncio.sleep(0.3)
        assert (await there.get(deployment.id)).state is State.RUNNING
        there.cloud.down = set()
        assert (await there.reached(deployment.id, *ENDS)).state is State.SUCCEEDED
        await there.told_all(COURSE[7:])
        assert there.cloud.writes == HAPPY


async def test_traffic_that_nobody_can_see_goes_back_and_asks_for_a_person(database):
    """Prometheus never returns after the switch: neither the way out nor the way back can be confirmed."""
    async with town(database) as there:
        deployment = await started(there)
        await until(lambda: "weights 0/100" in there.cloud.writes)
        there.cloud.down = {"scalar"}
        done = await there.reached(deployment.id, *ENDS)
        assert (done.state, done.outcome.code) == (State.DEGRADED, "traffic_unverified")
        assert there.cloud.writes == BACK
        await there.told("Needs a person now", "The way back is not confirmed", "aws elbv2 modify-rule")
        await until(lambda: there.pagerduty.events)
        assert there.pagerduty.events[0]["payload"]["severity"] == "critical"
        await there.told_all([*COURSE[3:7], ":x: *Observe", "P0 incident", "accepted the page", "Record of deployment"])


async def test_a_blind_watch_asks_and_silence_goes_back(database):
    """Prometheus is away during the watch; nobody answers the question."""
    async with town(database, durations=slow(bake=30_000)) as there:
        deployment = await started(there)
        await there.told_all(COURSE[3:8])
        there.cloud.down = {"scalar"}
        await there.told("is doubtful: metrics could not be read", "without an answer")
        assert there.cloud.writes == HAPPY[:2]
        await until(lambda: "weights 100/0" in there.cloud.writes)
        there.cloud.down = set()
        done = await there.reached(deployment.id, *ENDS)
        assert (done.state, done.outcome.code) == (State.ROLLED_BACK, "unanswered_blind")
        texts = [":x: *Watch errors", "Rolled back", "P1 incident", "accepted the page", "Record of deployment"]
        await there.told_all(texts)
        assert len(there.pagerduty.events) == 1


async def test_a_baseline_that_could_not_be_read_at_once_is_read_later_and_still_guards(database):
    """Prometheus misses the moment in which the baseline is read; the release is three times as slow."""
    async with town(database, durations=slow(bake=5_000, **PATIENT)) as there:
        there.cloud.p95, there.cloud.baseline_misses = 0.9, 1
        deployment = await started(there)
        await there.told_all(COURSE[3:8])
        done = await there.reached(deployment.id, *ENDS)
        assert (done.state, done.outcome.code) == (State.ROLLED_BACK, "harm_latency")
        texts = [":x: *Watch errors", "Rolled back", "P1 incident", "accepted the page", "Record of deployment"]
        await there.told_all(texts)


async def test_pagerduty_down_is_told_once_and_ends_in_exactly_one_event(database):
    """PagerDuty fails twice, then takes the event and loses its answer, then answers."""
    async with town(database) as there:
        there.cloud.error_share = 0.02
        there.pagerduty.failures.extend([Unavailable("PagerDuty does not answer")] * 2)
        there.pagerduty.lost.append(OutcomeUnknown("PagerDuty did not confirm"))
        deployment = await started(there)
        await there.reached(deployment.id, State.ROLLED_BACK)
        texts = [*COURSE[3:8], ":x: *Watch errors", "Rolled back", "P1 incident", "Record of deployment"]
        await there.told_all([*texts, "PagerDuty did not take the page"])
        await there.told("accepted the page", "level 1", seconds=40)
        assert len(there.pagerduty.alerts()) == 1
        assert len({str(event) for event in there.pagerduty.events}) == 1


async def test_a_database_that_drops_every_connection_again_and_again_changes_nothing(database, postgres):
    """For three seconds in the middle of the work every connection of the bot is ended again and again."""
    async with town(database, durations=slow(bake=3_000, **PATIENT)) as there:
        deployment = await started(there)
        await until(lambda: "weights 0/100" in there.cloud.writes)
        admin = Database(postgres.url("postgres"))
        kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"
        for _ in range(15):
            async with admin.transaction() as session:
                await store.execute(session, sa.text(kill), name=database.url.rpartition("/")[2])
            await asyncio.sleep(0.2)
        await admin.close()
        await _finished(there, deployment)


async def test_a_database_that_restarts_changes_nothing(tmp_path):
    """The bot's PostgreSQL is restarted twice in the middle of the work."""
    home = Path(tempfile.mkdtemp(prefix="opsbot-restart-"))
    # Without the tests' usual options: a server that may lose a commit in a crash would prove nothing here.
    server = await asyncio.to_thread(embedded.start, home)
    database = Database(server.url())
    try:
        await schema.upgrade(database)
        async with town(database, durations=slow(bake=3_000, **PATIENT)) as there:
            deployment = await started(there)
            await until(lambda: "weights 0/100" in there.cloud.writes)
            for _ in range(2):
                restart = ("-D", str(home / "data"), "-l", str(home / "data" / "server.log"), "-m", "immediate")
                await asyncio.to_thread(embedded._run, "pg_ctl", *restart, "-w", "restart")
                await asyncio.sleep(0.5)
            await _finished(there, deployment)
    finally:
        await database.close()
        await asyncio.to_thread(server.stop)
        shutil.rmtree(home, ignore_errors=True)


async def _finished(there, deployment):
    async def ended():
        try:
            found = await there.get(deployment.id)
        except Unavailable:
            return None
        return found if found.state in ENDS else None

    done = await until(ended, 40)
    assert done.state is State.SUCCEEDED, done.outcome
    assert there.cloud.writes == HAPPY
    # A message whose delivery could not be recorded is looked up again when its claim has run out, after 30 s.
    await there.told_all(COURSE[3:], seconds=45)
    in_order(there.thread(deployment.id), COURSE)
    assert there.pagerduty.events == []
    await until(lambda: re.search("Succeeded", plain_text(there.card(deployment.id))), 45)
