"""What the crash tests share: a world that outlives the bot, and worker processes that die in it."""

import asyncio
import inspect
import multiprocessing
import pickle
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import sqlalchemy as sa
from aiohttp import web

from bot import claims, store
from commands.rollout import card
from commands.rollout.records import OPEN_STATES, State
from tests.builders import BOB
from tests.crash import deploy_worker
from tests.fakes import FakePagerDuty, FakeSlack
from tests.world import Cloud, Stage

ENDS = tuple(state for state in State if state not in OPEN_STATES)
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.crash.deploy_worker"])
# A dead process's lease and claims run out by themselves after 10 and 30 s; here that time has passed at once.
_LATER = (
    "UPDATE executor_lease SET expires_at = now() - interval '1 second'",
    "UPDATE outbox SET next_at = now() WHERE state = 'pending' AND claim IS NOT NULL",
    "UPDATE card SET next_at = now() WHERE claim IS NOT NULL",
)


@dataclass
class Fate:
    """Kills at every point it is asked about, once, if the point is wanted."""

    wanted: object = lambda _point: False
    deaths: list[str] = field(default_factory=list)

    async def strikes(self, point):
        """Tell the worker whether to die at this point."""
        if point in self.deaths or not self.wanted(point):
            return False
        self.deaths.append(point)
        return True


@dataclass
class Play:
    """The world of one test, and the workers in it."""

    on: Stage
    fate: Fate
    address: str
    spans: object
    beat: float
    workers: list = field(default_factory=list)

    def hire(self):
        """Start one more worker process."""
        arguments = (self.on.services.database.url, self.address, self.spans, self.beat)
        worker = FORKS.Process(target=deploy_worker.run, args=arguments, daemon=True)
        worker.start()
        self.workers.append(worker)
        return worker

    async def until(self, check, seconds=60.0):
        """Wait for the check; whoever has died is followed by another."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = await check()
            if found:
                return found
            if self.workers and not any(worker.is_alive() for worker in self.workers):
                await self.later()
                self.hire()
            await asyncio.sleep(0.02)
        raise AssertionError(f"it did not happen in time; deaths: {self.fate.deaths}; {await self._last()}")

    async def later(self):
        """Let the time pass after which the dead are known to be dead."""
        async with self.on.services.database.transaction() as session:
            for statement in _LATER:
                await store.execute(session, sa.text(statement))

    async def reached(self, deployment_id, *states, seconds=60.0):
        """Wait for one of the states."""

        async def look():
            found = await self.on.get(deployment_id)
            return found if found.state in states else None

        return await self.until(look, seconds)

    async def ended(self, deployment_id, seconds=120.0):
        """Wait for the end, and until everything has been told."""
        done = await self.reached(deployment_id, *ENDS, seconds=seconds)

        async def quiet():
            async with self.on.services.database.transaction() as session:
                query = sa.text("SELECT status FROM dbos.workflow_status WHERE workflow_uuid = :id")
                status = (await store.execute(session, query, id=deployment_id)).scalar()
                return status == "SUCCESS" and not await claims.waiting(session)

        await self.until(quiet, 30.0)
        return done

    async def approved(self):
        """Jane asks, Bob approves."""
        await self.on.command("v0.1.0 production")
        deployment = await self.on.only()
        waiting = await self.reached(deployment.id, State.WAITING, *ENDS)
        value = f"{waiting.id}:{waiting.plan_hash[:16]}"
        assert (await self.on.click(card.APPROVE, waiting.id, BOB, value=value)).text.startswith("Approved")
        return waiting

    async def _last(self):
        async with self.on.services.database.transaction() as session:
            query = sa.text("SELECT action, detail FROM audit ORDER BY id DESC LIMIT 5")
            return [tuple(row) for row in await store.execute(session, query)]


@asynccontextmanager
async def play(database, *, wanted=None, cloud=None, spans=None, beat=0.1):
    """Serve the world on loopback and kill every worker on leaving."""
    cloud, slack, pagerduty = cloud or Cloud(), FakeSlack(), FakePagerDuty()
    fate = Fate(wanted=wanted or (lambda _point: False))
    parts = {"cloud": cloud, "slack": slack, "pagerduty": pagerduty, "fate": fate}
    spans = spans or deploy_worker.durations()
    runner = web.AppRunner(_server(parts), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    around = deploy_worker.services(database, spans, cloud=cloud, slack=slack, pagerduty=pagerduty)
    stage = Stage(services=around, cloud=cloud, slack=slack, pagerduty=pagerduty)
    made = Play(on=stage, fate=fate, address=f"http://127.0.0.1:{runner.addresses[0][1]}", spans=spans, beat=beat)
    try:
        made.hire()
        yield made
    finally:
        for worker in made.workers:
            worker.kill()
            worker.join()
        await runner.cleanup()


def _server(parts):
    async def answer(request):
        part, name, args, options = pickle.loads(await request.read())
        try:
            value = getattr(parts[part], name)(*args, **options)
            value = await value if inspect.isawaitable(value) else value
        except Exception as error:  # noqa: BLE001  it is the worker's, and raised there
            return web.Response(body=pickle.dumps((False, error)))
        return web.Response(body=pickle.dumps((True, value)))

    app = web.Application()
    app.router.add_post("/", answer)
    return app
