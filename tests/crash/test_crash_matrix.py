"""The bot is killed at every durable step, before and after its effect: same end, nothing twice, nothing lost."""

import os
import re

import pytest

from bot.errors import Unavailable
from bot.store import Database
from commands.approval import store as approvals
from commands.approval.records import ApprovalState
from commands.rollout import card
from commands.rollout.records import State
from tests.builders import BOB
from tests.conftest import TEMPLATE
from tests.crash.scaffold import play

HAPPY = ["storage-green 6", "weights 0/100", "storage-blue 0"]
BACK = ["storage-green 6", "weights 0/100", "weights 100/0"]
# Looks that repeat until something is true: the first two of each stand for the rest.
LOOKS = ("idle", "traffic", "reading", "moment", "ask")
STEPS = [
    "make_plan",
    "ask",
    "look_again",
    "mark",
    "prepare",
    "idle",
    "verify",
    "switch",
    "traffic",
    "baseline",
    "reading",
]
HAPPY_STEPS = {*STEPS, "open_hold", "moment", "retire", "finish"}
HARM_STEPS = {*STEPS, "switch_back", "resume_scaling", "withdraw", "finish"}


def first_ones(point):
    """Die at every step; of looks that repeat, at the first two."""
    name, number = point.split(" ")[1].split(":")
    return int(number) <= 2 if name in LOOKS else True


async def told(on, deployment_id):
    """Return what Slack shows, without times, ids of incidents, and what only restarts say."""
    thread = [one.text for one in on.slack.messages if one.thread and "Resumed after a restart" not in one.text]
    words = [re.sub(r"inc_\w+|`dep_\w+`|\(?\d+(\.\d+)? ?(ms|s|min)\)?|<!date[^>]*>", "", text) for text in thread]
    return [text.splitlines()[0][:60] for text in words]


async def course(database, wanted, **cloud):
    """Deploy with these kills; return the world at its end and what it says of itself."""
    async with play(database, wanted=wanted) as played:
        on = played.on
        for name, value in cloud.items():
            setattr(on.cloud, name, value)
        waiting = await played.approved()
        done = await played.ended(waiting.id)
        shown = [one for one in on.slack.messages if not one.thread]
        found = {
            "state": done.state,
            "code": done.outcome.code,
            "progress": [(item.step, item.status) for item in done.progress],
            "writes": on.cloud.writes,
            "suspended": on.cloud.suspended,
            "cards": len(shown),
            "card": str(done.state) in shown[0].text,
            "alerts": len(on.pagerduty.alerts()),
            "thread": await told(on, waiting.id),
            "approvers": done.approvers,
        }
        return found, played.fate.deaths


@pytest.fixture
async def other_database(postgres):
    """A second database of this test, so that the two courses do not meet."""
    name = f"matrix_{os.getpid()}"
    other = Database(postgres.create(name, template=TEMPLATE))
    yield other
    await other.close()
    postgres.drop(name)


@pytest.mark.timeout(200)
@pytest.mark.parametrize(
    ("share", "end", "steps"),
    [(0.0, (State.SUCCEEDED, HAPPY, 0), HAPPY_STEPS), (0.02, (State.ROLLED_BACK, BACK, 1), HARM_STEPS)],
    ids=["happy", "harm"],
)
async def test_killed_at_every_step_it_ends_as_if_it_had_never_been(database, other_database, share, end, steps):
    """One deployment is left alone; the other's bot dies twice at each of its steps."""
    calm, deaths = await course(database, None, error_share=share)
    assert deaths == []
    assert (calm["state"], calm["writes"], calm["alerts"]) == end
    assert calm["cards"] == 1
    found, deaths = await course(other_database, first_ones, error_share=share)
    assert found == calm
    died = {(point.split(" ")[0], point.split(" ")[1].split(":")[0]) for point in deaths}
    assert died >= {(moment, step) for moment in ("before", "after") for step in steps}
    print(f"{len(deaths)} kills")  # noqa: T201  shown with -s


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_plan_that_changed_is_not_carried_out_because_of_a_kill(database, moment):
    """The image moves after the approval, and the bot dies just when it has noticed: Bob must be asked again."""
    async with play(database, wanted=lambda point: point == f"{moment} look_again:1") as played:
        on = played.on
        await on.command("v0.1.0 production")
        deployment = await on.only()
        waiting = await played.reached(deployment.id, State.WAITING)
        on.cloud.images["v0.1.0"] = "sha256:moved"
        await on.click(card.APPROVE, waiting.id, BOB, value=f"{waiting.id}:{waiting.plan_hash[:16]}")

        async def asked_again():
            async with on.services.database.transaction() as session:
                newest = await approvals.newest(session, waiting.id)
            return newest if newest.plan_hash != waiting.plan_hash else None

        newest = await played.until(asked_again)
        assert newest.state is ApprovalState.OPEN
        assert on.cloud.writes == []
        assert played.fate.deaths == [f"{moment} look_again:1"]
        now = await played.reached(waiting.id, State.WAITING)
        assert now.approvers == ()
        reply = await on.click(card.APPROVE, now.id, BOB, value=f"{now.id}:{now.plan_hash[:16]}")
        assert reply.text.startswith("Approved")
        done = await played.ended(waiting.id)
        assert done.state is State.SUCCEEDED
        assert on.cloud.writes == HAPPY
        assert on.said().count("has changed since it was approved") == 1


async def test_killed_while_a_question_is_open_it_still_goes_back_on_silence(database):
    """Prometheus is away during the watch, and the bot dies before and after it asks."""
    async with play(database, wanted=lambda point: "put_question" in point) as played:
        waiting = await played.approved()

        async def watching():
            return "Observe the traffic on green" in played.on.said()

        await played.until(watching)
        played.on.cloud.down = {"scalar"}

        async def back():
            return "weights 100/0" in played.on.cloud.writes

        await played.until(back)
        played.on.cloud.down = set()
        done = await played.ended(waiting.id)
        assert (done.state, done.outcome.code) == (State.ROLLED_BACK, "unanswered_blind")
        assert played.fate.deaths == ["before put_question:1", "after put_question:1"]
        assert played.on.said().count("is doubtful") == 1
        assert len(played.on.pagerduty.events) == 1


async def test_killed_with_a_page_not_yet_taken_it_is_taken_once(database):
    """The bot dies right after it wrote the end, while PagerDuty refuses; the next one delivers the page."""
    async with play(database, wanted=lambda point: point == "after finish:1") as played:
        played.on.cloud.error_share = 0.02
        played.on.pagerduty.failures.extend([Unavailable("PagerDuty does not answer")] * 2)
        waiting = await played.approved()
        done = await played.ended(waiting.id)
        assert done.state is State.ROLLED_BACK
        assert played.fate.deaths == ["after finish:1"]
        assert len(played.on.pagerduty.events) == 1
        assert played.on.said().count("accepted the page") == 1
