"""The durable engine: starts DBOS, enqueues and signals in the caller's transaction, and parks what runs at the end.

A workflow is started and signalled through DBOS's own SQL functions, so a click is one transaction. Whoever runs
workflows holds a lease (`bot/lease.py`); a process that cannot prove its lease must end at once.
"""

import asyncio
import json
import logging
import os
import socket
import uuid
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeAlias

import sqlalchemy as sa
import structlog
from dbos import DBOS, DBOSClient, DBOSConfig, DBOSPortableJSONSerializer, StepOptions
from sqlmodel.ext.asyncio.session import AsyncSession

from bot import errors, store
from bot.errors import OpsError, OutcomeUnknown, Unavailable
from bot.lease import EXPIRY, Keeper
from bot.services import Services

Json: TypeAlias = Mapping[str, "Json"] | list["Json"] | str | int | float | bool | None

APPLICATION = "opsbot"
# DBOS's default is a hash of the workflows' source, with which an upgrade strands every run in flight.
VERSION = "1"
QUEUE = "opsbot"
TOPIC = "signal"
POLL = timedelta(milliseconds=100)
# Waiting for people or for the end of the hold counts as running, so this bounds memory (15 kB each), not load.
CONCURRENCY = 1000
GRACE = timedelta(seconds=15)
LONGEST_PAUSE = timedelta(seconds=30)

log = structlog.get_logger(__name__)

_START = sa.text("""
    SELECT dbos.enqueue_workflow(
        workflow_name => :workflow, queue_name => :queue, workflow_id => :id, app_version => :version,
        application_name => :application, positional_args => CAST(CAST(:args AS text[]) AS json[]))
""")

_SIGNAL = sa.text("""
    SELECT dbos.send_message(workflow_uuid, CAST(:message AS json), :topic, :key) FROM dbos.workflow_status
    WHERE workflow_uuid = :id AND status IN ('ENQUEUED', 'PENDING', 'DELAYED')
""")

_COUNTS = sa.text("""
    SELECT name, status, count(*) AS runs FROM dbos.workflow_status
    WHERE status IN ('ENQUEUED', 'PENDING', 'DELAYED') GROUP BY name, status
""")


@dataclass(kw_only=True)
class _Engine:
    services: Services
    keeper: Keeper | None = None
    closing: bool = False
    steps: int = 0
    courses: set[asyncio.Task[object]] = field(default_factory=set)


_engine: _Engine | None = None


async def launch(services: Services, *, executor: bool, on_lost: Callable[[str], None] | None = None) -> None:
    """Start the engine on the running loop; without `executor` this process only enqueues and signals.

    `on_lost` is called when this process may no longer run workflows; by default the process ends. Raises Unavailable.
    """
    global _engine  # noqa: PLW0603  DBOS itself is one per process, and workflows have no other way to their services
    if _engine is not None:
        raise RuntimeError("the durable engine is already launched in this process")
    engine = _Engine(services=services)
    if executor:
        name = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        engine.keeper = Keeper(services.database.url, name, VERSION, on_lost or _end)
        await engine.keeper.start()
    _engine = engine
    if engine.keeper:
        await _launch_dbos(services.database.url, engine.keeper.executor)
        log.info("durable_engine_started", executor=engine.keeper.executor)


async def close(grace: timedelta = GRACE) -> None:
    """Take no more work, let effects under way finish, park the courses where they are, and give them back."""
    global _engine  # noqa: PLW0603
    engine = _engine
    if engine is None:
        return
    if engine.keeper:
        engine.closing = True
        await _park(engine, grace)
        # DBOS joins its threads, which may need this loop: closing it from here would wait for itself.
        with ThreadPoolExecutor(1) as thread:
            await asyncio.get_running_loop().run_in_executor(thread, DBOS.destroy)
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(thread_name_prefix="opsbot"))
        await engine.keeper.stop()
    _engine = None


def services() -> Services:
    """Return the collaborators; the first line of every workflow."""
    return _running().services


def executor_id() -> str:
    """Return the name under which this process runs workflows; another one after every start."""
    keeper = _running().keeper
    return keeper.executor if keeper else ""


async def start(session: AsyncSession, workflow: str, id: str, *args: Json) -> None:  # noqa: A002
    """Enqueue a workflow in the caller's transaction; an id that exists already is left as it is."""
    await store.execute(
        session,
        _START,
        workflow=workflow,
        queue=QUEUE,
        id=id,
        version=VERSION,
        application=APPLICATION,
        args=[json.dumps(value) for value in args],
    )


async def signal(session: AsyncSession, id: str, message: Mapping[str, Json], *, key: str) -> bool:  # noqa: A002
    """Send a message to a workflow in the caller's transaction; the same key is one message.

    Returns False, and sends nothing, when there is no such workflow or it has ended.
    """
    text = json.dumps(message)
    sent = await store.execute(session, _SIGNAL, id=id, message=text, topic=TOPIC, key=f"{id}:{key}")
    return sent.first() is not None


async def receive(timeout: timedelta) -> dict[str, Json] | None:  # noqa: ASYNC109
    """Wait, inside a workflow, for the next signal; None when none came in time. The deadline survives restarts."""
    _enter()
    message: dict[str, Json] | None = await DBOS.recv_async(TOPIC, timeout_seconds=timeout.total_seconds())
    return message


async def step(
    name: str,
    act: Callable[..., Awaitable[Json]],
    *args: object,
    attempts: int = 1,
    pause: timedelta = timedelta(seconds=1),
) -> Json:
    """Run one named effect of a workflow and remember its JSON value; it may run again if the process dies within it.

    Our errors are remembered by class and come back the same after a restart. With `attempts`, Unavailable (but never
    OutcomeUnknown) is tried again after `pause`, doubled each time, or after the `retry_after` that was asked for.
    """
    engine = _enter()
    engine.steps += 1
    try:
        options = StepOptions(name=name)
        outcome: dict[str, Json] = await DBOS.run_step_async(options, _effect, act, args, attempts, pause)
    finally:
        engine.steps -= 1
    error = outcome.get("error")
    if isinstance(error, Mapping):
        raise _revived(error)
    return outcome["value"]


async def counts(session: AsyncSession) -> dict[tuple[str, str], int]:
    """Count live workflows by name and status."""
    return {(row.name, row.status): row.runs for row in await store.execute(session, _COUNTS)}


def lease_age() -> timedelta | None:
    """Return how long ago this process's lease was renewed; None when it holds none."""
    return _engine.keeper.age() if _engine and _engine.keeper else None


async def check() -> None:
    """Prove that the engine can do its part here. Raises Unavailable."""
    age = lease_age()
    if age is not None and age > EXPIRY / 2:
        raise Unavailable(f"The durable engine's lease is {age.total_seconds():.0f} s old")
    async with _running().services.database.transaction() as session:
        await store.execute(session, sa.text("SELECT version FROM dbos.dbos_migrations"))


def migrate(url: str) -> None:
    """Bring DBOS's own tables (schema `dbos`) to the version of the installed package; blocks."""
    DBOS.migrate(url)
    client = DBOSClient(system_database_url=url, serializer=DBOSPortableJSONSerializer(), application_name=APPLICATION)
    try:
        # Known before the first launch, the queue is served from its first tenth of a second.
        client.register_queue(QUEUE, worker_concurrency=CONCURRENCY, polling_interval_sec=POLL.total_seconds())
    finally:
        client.destroy()


async def _launch_dbos(url: str, executor: str) -> None:
    config = DBOSConfig(
        name=APPLICATION,
        system_database_url=url,
        application_version=VERSION,
        executor_id=executor,
        serializer=DBOSPortableJSONSerializer(),
        use_listen_notify=True,
        run_migrations=False,
        sys_db_pool_size=10,
        log_level=logging.getLevelName(logging.getLogger("dbos").getEffectiveLevel()),
        max_executor_threads=32,
        notification_listener_polling_interval_sec=1.0,
    )
    DBOS(config=config)
    # Launching here, and not in a thread, makes this loop the one on which every workflow runs.
    DBOS.launch()
    await DBOS.register_queue_async(
        QUEUE, worker_concurrency=CONCURRENCY, polling_interval_sec=POLL.total_seconds(), on_conflict="always_update"
    )


async def _park(engine: _Engine, grace: timedelta) -> None:
    deadline = asyncio.get_running_loop().time() + grace.total_seconds()
    while engine.steps and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    # Cancelled is not an outcome for DBOS: the row stays as it is, and the lease's release puts it back in the queue.
    courses = [task for task in engine.courses if not task.done()]
    for task in courses:
        task.cancel()
    await asyncio.gather(*courses, return_exceptions=True)
    log.info("workflows_parked", workflows=len(courses), steps_unfinished=engine.steps)


def _enter() -> _Engine:
    engine = _running()
    task = asyncio.current_task()
    if task is not None and task not in engine.courses:
        engine.courses.add(task)
        task.add_done_callback(engine.courses.discard)
    if engine.closing:
        raise asyncio.CancelledError
    return engine


async def _effect(
    act: Callable[..., Awaitable[Json]], args: tuple[object, ...], attempts: int, pause: timedelta
) -> dict[str, Json]:
    for attempt in range(1, attempts + 1):
        try:
            # Through JSON at once, so that the first run sees exactly what a replay will see.
            return {"value": json.loads(json.dumps(await act(*args)))}
        except OpsError as error:
            if attempt == attempts or not isinstance(error, Unavailable) or isinstance(error, OutcomeUnknown):
                return {"error": _remembered(error)}
            await asyncio.sleep(_wait(error, attempt, pause))
            _enter()
    raise ValueError("attempts must be at least 1")


def _wait(error: OpsError, attempt: int, pause: timedelta) -> float:
    asked = error.facts.get("retry_after")
    if isinstance(asked, int | float):
        return float(asked)
    doubled: float = pause.total_seconds() * 2 ** min(attempt - 1, 10)
    return min(doubled, LONGEST_PAUSE.total_seconds())


def _remembered(error: OpsError) -> Json:
    facts: Json = json.loads(json.dumps(error.facts, default=str))
    return {"kind": type(error).__name__, "sentence": error.sentence, "facts": facts}


def _revived(remembered: Mapping[str, Json]) -> OpsError:
    kind = getattr(errors, str(remembered["kind"]), OpsError)
    facts = remembered["facts"]
    error: OpsError = kind(str(remembered["sentence"]), **(facts if isinstance(facts, dict) else {}))
    return error


def _running() -> _Engine:
    if _engine is None:
        raise RuntimeError("the durable engine is not launched in this process")
    return _engine


def _end(reason: str) -> None:
    log.error("lease_lost", reason=reason)
    os._exit(1)
