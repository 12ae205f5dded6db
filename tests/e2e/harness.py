"""The whole bot on a local Slack: real Bolt, real client, real PostgreSQL, the cloud of `tests/world.py`.

A test says what it expects to be told; whatever the bot said beyond that fails the test on leaving.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from bot import app, claims
from bot.clients.slack import Slack
from bot.contract import Role
from bot.people import People
from bot.sandbox.slack import LocalSlack, plain_text
from bot.sandbox.slack.records import SLACKBOT, Limits, Message
from bot.services import Services
from bot.settings import Config, Settings
from bot.slack.manifest import manifest
from commands import registry
from commands.rollout import card, store
from commands.rollout.records import OPEN_STATES, State
from tests.builders import environment
from tests.fakes import FakePagerDuty
from tests.world import QUICK, Cloud

SECRET = "sandbox-signing-secret"
HOME = "llm-observatory-alerts"
ENDS = tuple(state for state in State if state not in OPEN_STATES)
ROLES = {
    Role.DEPLOYER: ("obs-deployers",),
    Role.APPROVER: ("obs-approvers",),
    Role.DBA: ("obs-dba",),
    Role.ONCALL: ("obs-oncall",),
}
PATIENCE = 20.0
# What the thread of an undisturbed deployment says, in this order.
COURSE = (
    "Waiting for 1 approval",
    "Approved by Bob Williams",
    "Started: v0.1.0 to production",
    "*Start storage-green",
    "*Wait until green is healthy*",
    "*Verify green",
    "*Switch the traffic to green*",
    "*Observe the traffic on green*",
    "*Watch errors and latency*",
    "*Drain blue*",
    "v0.1.0 is live on production",
    "Record of deployment",
    "*Hold blue ready for rollback*",
    "*Retire blue*",
    "Finished v0.1.0 to production",
)


async def until(check, seconds=PATIENCE):
    """Wait until the check (plain or async) returns something true, and return it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = check()
        found = await found if asyncio.iscoroutine(found) else found
        if found:
            return found
        await asyncio.sleep(0.02)
    raise AssertionError("it did not happen in time")


@dataclass
class Town:
    """One bot, one Slack, one cloud. Messages that were asked for are ticked off; the rest is unexpected."""

    app: app.App
    slack: LocalSlack
    cloud: Cloud
    pagerduty: FakePagerDuty
    seen: set[int] = field(default_factory=set)

    @property
    def services(self) -> Services:
        """What the bot's handlers work with."""
        return self.app.services

    @property
    def url(self) -> str:
        """Where Slack would post to."""
        return f"http://127.0.0.1:{self.app.port}/slack/events"

    def bot_messages(self) -> list[Message]:
        """Return everything that the bot, or Slack about the bot, ever showed to anybody."""
        people = {user.id for user in self.slack.workspace.users.values() if not user.is_bot}
        everything = (one for history in self.slack.workspace.history.values() for one in history)
        return sorted((one for one in everything if one.user not in people), key=lambda one: one.ts)

    def unexpected(self) -> list[str]:
        """Return what nobody asked for."""
        return [plain_text(one)[:300] for one in self.bot_messages() if id(one) not in self.seen]

    async def told(self, *parts: str, to: str | None = None, seconds: float = PATIENCE) -> str:
        """Wait for one more message with all these parts, shown only to `to` or to everybody, and tick it off."""
        viewer = self.slack.workspace.find_user(to).id if to else None

        def find():
            for one in self.bot_messages():
                text = plain_text(one)
                if id(one) not in self.seen and one.ephemeral_for == viewer and all(part in text for part in parts):
                    return one
            return None

        try:
            found = await until(find, seconds)
        except AssertionError:
            raise AssertionError(f"{to or 'nobody'} was told {parts!r}; there was {self.unexpected()}") from None
        assert found.user != SLACKBOT, "Slack itself had to answer for the bot"
        self.seen.add(id(found))
        return plain_text(found)

    async def told_all(self, texts: Iterable[str], seconds: float = PATIENCE) -> None:
        """Wait for each of these, whatever the order in which they come."""
        for text in texts:
            await self.told(text, seconds=seconds)

    async def count(self) -> int:
        """Return how many deployments were ever recorded."""
        async with self.services.database.transaction() as session:
            found = {one.id for one in (*await store.unfinished(session), *await store.latest(session, most=100))}
            return len(found)

    async def newest(self):
        """Return the newest deployment."""
        async with self.services.database.transaction() as session:
            return max((*await store.unfinished(session), *await store.latest(session)), key=lambda one: one.created_at)

    async def get(self, deployment_id):
        """Return one deployment."""
        async with self.services.database.transaction() as session:
            return await store.get(session, deployment_id)

    async def reached(self, deployment_id, *states, seconds=PATIENCE):
        """Wait until the deployment is in one of the states."""

        async def look():
            found = await self.get(deployment_id)
            return found if found.state in states else None

        return await until(look, seconds)

    async def asked(self, text="v0.1.0 production", who="jane"):
        """Ask as Jane, and return the deployment once it waits for approval or has ended."""
        await self.slack.user(who).command(f"/deploy {text}")
        await self.told("Understood:", to=who)
        deployment = await self.newest()
        await self.told(deployment.id)
        return await self.reached(deployment.id, State.WAITING, *ENDS)

    async def approve(self, deployment, who="bob"):
        """Press Approve once the card shows it."""
        await until(lambda: self.card(deployment.id).elements.get((f"deployment:{deployment.id}", card.APPROVE)))
        await self.press(card.APPROVE, deployment, who)
        await self.told(f"Approved by {self.slack.user(who).user.name}", to=who)

    async def press(self, action, deployment, who, **more):
        """Press a button of the deployment's card."""
        return await self.slack.user(who).click(action, message_ts=self.card(deployment.id).ts, **more)

    def card(self, deployment_id) -> Message:
        """Return the one live card of the deployment."""
        cards = [one for one in self.slack.messages(HOME) if not one.is_reply and deployment_id in plain_text(one)]
        assert len(cards) == 1, f"{len(cards)} cards of {deployment_id}"
        return cards[0]

    def thread(self, deployment_id) -> list[str]:
        """Return what the thread says, in order."""
        ts = self.card(deployment_id).ts
        return [one.text for one in self.slack.messages(HOME, ts)]

    def nothing_changed(self) -> None:
        """Nothing was written anywhere outside, and nobody was paged."""
        assert self.cloud.writes == []
        assert self.pagerduty.events == []
        assert self.pagerduty.changes == []


@asynccontextmanager
async def town(database, *, http=False, durations=QUICK, approvals=1, cloud=None) -> AsyncIterator[Town]:
    """Start everything, and on leaving stop it and look for messages nobody expected."""
    slack = LocalSlack(manifest=manifest(registry.COMMANDS), limits=Limits(retries=(0.0, 0.2, 0.4)))
    url = await slack.start()
    cloud = cloud or Cloud()
    places = {"production": environment(approvals=approvals)}
    settings = Settings(
        slack_bot_token="xoxb-sandbox",
        slack_app_token=None if http else "xapp-sandbox",
        slack_signing_secret=SECRET if http else None,
        slack_api_url=f"{url}/api/",
        port=0,
        config=Config(environments=places, durations=durations, roles=ROLES),
    )
    client, pagerduty = Slack("xoxb-sandbox", base_url=settings.slack_api_url), FakePagerDuty()
    services = Services(
        settings=settings,
        database=database,
        people=People(client, ROLES),
        slack=client,
        pagerduty=pagerduty,
        places={"production": cloud.place()},
        now=app.now,
    )
    running = app.App(role="serve", services=services)
    try:
        await running.start()
        there = Town(app=running, slack=slack, cloud=cloud, pagerduty=pagerduty)
        slack.http_url = there.url if http else None
        yield there
        await settled(there)
        assert there.unexpected() == []
    finally:
        await running.stop()
        await client.close()
        await slack.close()


async def settled(there: Town, seconds: float = PATIENCE) -> None:
    """Wait until nothing waits in the outbox, so that a message too many has had its chance to come."""

    async def empty():
        async with there.services.database.transaction() as session:
            return not await claims.waiting(session)

    await until(empty, seconds)


def slow(**changes) -> object:
    """Return the quick durations with some of them in milliseconds."""
    return QUICK.model_copy(update={name: timedelta(milliseconds=value) for name, value in changes.items()})
