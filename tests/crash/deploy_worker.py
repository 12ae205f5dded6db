"""One replica of the crash tests: engine and sender of the bot; its world lives outside it and may kill it at a step."""

import asyncio
import os
import pickle
import signal
from collections import Counter
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import aiohttp
import pytest  # noqa: F401  loaded once by the fork server: every child imports the main program of the tests

from bot import durable, lease, log
from bot.sender import Sender
from bot.services import Place, Services
from bot.settings import Config, Durations, Settings
from bot.store import Database
from commands import registry
from tests.builders import environment
from tests.world import QUICK

PARTS = ("elb", "ecs", "ecr", "scaling", "prometheus", "storage")


def durations(**changes) -> Durations:
    """Return quick waits whose deadlines outlast a restart, as minutes outlast seconds in production."""
    minute = dict.fromkeys(("prepare", "verify", "observe", "drain", "approval", "unhealthy"), timedelta(minutes=1))
    return QUICK.model_copy(update=minute | {"bake": timedelta(milliseconds=300)} | changes)


class Outside:
    """One part of the world, behind the methods of its client."""

    workspace_url = "https://sandbox.slack.com/"

    def __init__(self, session: aiohttp.ClientSession, address: str, part: str) -> None:
        self._session = session
        self._address = address
        self._part = part

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)

        async def call(*args, **options):
            body = pickle.dumps((self._part, name, args, options))
            async with self._session.post(self._address, data=body) as answer:
                good, value = pickle.loads(await answer.read())
            if not good:
                raise value
            return value

        return call


def services(database: Database, spans: Durations, **parts) -> Services:
    """Return the collaborators around these parts of a world."""
    config = Config(environments={"production": environment()}, durations=spans)
    return Services(
        settings=Settings().model_copy(update={"config": config}),
        database=database,
        people=SimpleNamespace(),
        slack=parts["slack"],
        pagerduty=parts["pagerduty"],
        places={"production": Place(**dict.fromkeys(PARTS, parts["cloud"]), target=None)},
        now=lambda: datetime.now(UTC),
    )


def deadly(real, fate: Outside):
    """Ask before and after the effect of each step whether to die there; the n-th step of a name is the same in a replay."""
    calls: Counter[str] = Counter()

    async def step(name, act, *args, **options):
        calls[name] += 1
        point = f"{name}:{calls[name]}"

        async def acted(*given):
            await _face(fate, f"before {point}")
            value = await act(*given)
            await _face(fate, f"after {point}")
            return value

        return await real(name, acted, *args, **options)

    return step


def run(url: str, address: str, spans: Durations, beat: float) -> None:
    """Work until killed."""
    asyncio.run(_work(url, address, spans, beat))


async def _work(url: str, address: str, spans: Durations, beat: float) -> None:
    log.configure("critical", "json")
    # The reaper looks sooner than every 2 s, so that a matrix of kills takes seconds; expiry stays what it is.
    lease.BEAT = timedelta(seconds=beat)
    async with aiohttp.ClientSession() as session:
        world = {part: Outside(session, address, part) for part in ("cloud", "slack", "pagerduty", "fate")}
        durable.step = deadly(durable.step, world["fate"])
        around = services(Database(url), spans, **world)
        await durable.launch(around, executor=True)
        sender = Sender(
            database=around.database,
            slack=around.slack,
            pagerduty=around.pagerduty,
            renderers=registry.RENDERERS,
            listeners=registry.LISTENERS,
            settings=around.settings,
        )
        await sender.run()


async def _face(fate: Outside, point: str) -> None:
    if await fate.strikes(point):
        os.kill(os.getpid(), signal.SIGKILL)
