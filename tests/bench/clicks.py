"""In the sandbox's world: approve click → first AWS write, where that time goes, and how long the outbox takes."""

import asyncio
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg

from bot import outbox
from bot.sandbox.sandbox import Sandbox
from bot.sandbox.slack.records import Change, Message
from bot.store import Database
from commands.rollout import card
from tests.bench import servers
from tests.bench.figures import Figure, median, percentile

SPEED = 60.0
DEPLOYMENTS = 12
WARM_UPS = 2
REPLIES = 200
GOAL_MS = 150.0
PATIENCE = 30.0
_FIRST_WRITES = ("RegisterTaskDefinition", "UpdateService")
# From the approval's receive to the first step that writes; `dbos` keeps when each began and ended.
_STEPS = "SELECT function_name, started_at_epoch_ms, completed_at_epoch_ms FROM dbos.operation_outputs WHERE workflow_uuid = %s"


@dataclass(frozen=True, kw_only=True)
class Click:
    """One approval, in milliseconds since the click was sent."""

    write: float
    parts: Mapping[str, float]


async def measure(home: Path) -> list[Figure]:
    """Deploy a dozen times, one after the other, then send two hundred replies."""
    sandbox = Sandbox(home=home, speed=SPEED)
    try:
        await sandbox.start()
        # The first of each environment opens connections and loads AWS's models, once in the life of a process.
        clicks = [await _deployment(sandbox, number) for number in range(WARM_UPS + DEPLOYMENTS)]
        waits = await _replies(sandbox)
        assert sandbox.bot is not None
        assert sandbox.bot._process is not None
        busy = servers.memory(sandbox.bot._process.pid)
    finally:
        await sandbox.stop()
    return [*_click_figures(clicks), *_reply_figures(waits), _memory_figure(busy)]


async def _deployment(sandbox: Sandbox, number: int) -> Click:
    """Ask, approve, wait for the first write, abort, and wait until the environment is free and quiet again."""
    environment = ("staging", "production")[number % 2]
    jane, bob = sandbox.slack.user("jane"), sandbox.slack.user("bob")
    told = await jane.command(f"/deploy v0.1.0 {environment}")
    found = re.search(r"dep_\w+", told.text)
    if found is None:
        raise RuntimeError(f"the deployment was not begun: {told.text}")
    deployment = found[0]
    shown = await _message(sandbox, lambda one: _is_card(one, deployment) and one.text.startswith("Approval needed"))
    seen = len(sandbox.world.calls())
    clicked = time.time()
    await bob.click(card.APPROVE, message_ts=shown.ts)
    acked = time.time()
    written = await _first_write(sandbox, seen)
    await jane.command(f"/deploy abort {deployment}")
    await _message(sandbox, lambda one: one.thread_ts == shown.ts and "*Aborted" in one.text)
    parts = await asyncio.to_thread(_parts, sandbox, deployment, clicked, acked)
    await asyncio.sleep(0.5)
    return Click(write=(written - clicked) * 1e3, parts=parts)


async def _message(sandbox: Sandbox, matches: Callable[[Message], bool]) -> Message:
    return await sandbox.slack.wait(matches, PATIENCE)


def _is_card(message: Message, deployment: str) -> bool:
    return (message.metadata or {}).get("event_payload", {}).get("card_id") == deployment and not message.is_reply


async def _first_write(sandbox: Sandbox, seen: int) -> float:
    async with asyncio.timeout(PATIENCE):
        while True:
            for call in sandbox.world.calls()[seen:]:
                if call.what.startswith(_FIRST_WRITES):
                    return call.at.timestamp()
            await asyncio.sleep(0.01)


def _parts(sandbox: Sandbox, deployment: str, clicked: float, acked: float) -> dict[str, float]:
    """Return what was over when, in milliseconds since the click."""
    with psycopg.connect(_database_url(sandbox), connect_timeout=5) as connection:
        steps = {name: (began, ended) for name, began, ended in connection.execute(_STEPS, (deployment,)) if began}
    found = {"click acknowledged": (acked - clicked) * 1e3}
    for name in ("look_again", "prepare"):
        if name in steps:
            found[f"{name} begins"] = steps[name][0] - clicked * 1e3
            found[f"{name} ends"] = steps[name][1] - clicked * 1e3
    return found


async def _replies(sandbox: Sandbox) -> list[float]:
    """Return the milliseconds from a committed row to its message in Slack, one reply after the other."""
    thread = next(_cards(sandbox))
    posted: dict[str, float] = {}
    arrived = asyncio.Event()

    def note(change: Change) -> None:
        if change.new and change.message is not None:
            posted[change.message.text] = time.perf_counter()
            arrived.set()

    database, waits = Database(_database_url(sandbox)), []
    try:
        with sandbox.slack.workspace.listening(note):
            for number in range(REPLIES):
                text = f"reply {number}"
                async with database.transaction() as session:
                    await outbox.say(session, key=f"bench:{number}", card=thread, text=text)
                committed = time.perf_counter()
                async with asyncio.timeout(PATIENCE):
                    while text not in posted:
                        arrived.clear()
                        await arrived.wait()
                waits.append((posted[text] - committed) * 1e3)
                await asyncio.sleep(random.uniform(0.0, 0.05))
    finally:
        await database.close()
    return waits


def _database_url(sandbox: Sandbox) -> str:
    assert sandbox.bot is not None
    return sandbox.bot._environment["DATABASE_URL"]


def _cards(sandbox: Sandbox) -> Iterator[str]:
    for message in sandbox.slack.messages("llm-observatory-alerts"):
        if message.metadata is not None:
            yield message.metadata["event_payload"]["card_id"]


def _click_figures(clicks: Sequence[Click]) -> list[Figure]:
    warming, counted = clicks[:WARM_UPS], clicks[WARM_UPS:]
    writes = [click.write for click in counted]
    parts = {name: median([click.parts[name] for click in counted if name in click.parts]) for name in counted[0].parts}
    way = ", ".join(f"{name} {at:.0f}" for name, at in parts.items())
    return [
        Figure(
            key="click_to_write_p50_ms",
            name="approve click → first AWS write, p50",
            value=median(writes),
            unit="ms",
            goal=GOAL_MS,
            how=f"{len(writes)} deployments, fastest {min(writes):.0f}; medians in ms after the click: {way}",
        ),
        Figure(
            key="click_to_write_p95_ms",
            name="approve click → first AWS write, p95",
            value=percentile(writes, 0.95),
            unit="ms",
            how=f"the first of each environment, not counted, took at most {max(one.write for one in warming):.0f} ms",
        ),
    ]


def _reply_figures(waits: Sequence[float]) -> list[Figure]:
    how = f"{len(waits)} replies, one at a time, woken by NOTIFY"
    return [
        Figure(
            key=f"outbox_p{share * 100:.0f}_ms",
            name=f"outbox: committed → in Slack, p{share * 100:.0f}",
            value=percentile(waits, share),
            unit="ms",
            how=how,
        )
        for share in (0.5, 0.99)
    ]


def _memory_figure(busy: float) -> Figure:
    how = f"resident, after {WARM_UPS + DEPLOYMENTS} deployments with AWS's clients loaded"
    return Figure(key="busy_memory_mb", name="memory of `opsbot serve`, after work", value=busy, unit="MB", how=how)
