"""Which processes may run workflows: a lease row each, kept alive here, and the takeover of those that expired.

DBOS recovers only the work of its own executor id, so taking over a dead replica is ours. The recipe and its numbers:
row before launch, heartbeat every 2 s on its own connection, expiry after 10 s by the database's clock, a reaper that
puts the dead one's work back in the queue and deletes its lease in one transaction.
"""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import sqlalchemy as sa
import structlog
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Field, SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from bot import store
from bot.errors import Unavailable
from bot.store import Database, Moment

EXPIRY = timedelta(seconds=10)
BEAT = timedelta(seconds=2)

log = structlog.get_logger(__name__)

# The same columns as DBOS's own recovery (SystemDatabase.reenqueue_for_recovery), but in our transaction.
_REQUEUE = sa.text("""
    UPDATE dbos.workflow_status
    SET status = 'ENQUEUED', owner_xid = NULL, started_at_epoch_ms = NULL,
        updated_at = (extract(epoch FROM now()) * 1000)::bigint,
        queue_name = coalesce(queue_name, '_dbos_internal_queue')
    WHERE status = 'PENDING' AND application_version = :version AND executor_id = ANY(:executors)
""")

_EXPIRED = sa.text("""
    SELECT executor FROM executor_lease WHERE expires_at < now() AND version = :version FOR UPDATE SKIP LOCKED
""")

# A process that lost its lease may still have claimed a workflow in the moment before it ended.
_ORPHANS = sa.text("""
    SELECT DISTINCT w.executor_id FROM dbos.workflow_status w
    WHERE w.status = 'PENDING' AND w.application_version = :version
      AND NOT EXISTS (SELECT 1 FROM executor_lease l WHERE l.executor = w.executor_id)
""")


_DELETE = sa.text("DELETE FROM executor_lease WHERE executor = ANY(:executors)")


class LeaseRow(SQLModel, table=True):
    """The right of one process to run workflows of one application version."""

    __tablename__ = "executor_lease"

    executor: str = Field(primary_key=True)
    version: str
    expires_at: datetime | None = Field(default=None, sa_type=Moment, sa_column_kwargs={"nullable": False})


async def take(session: AsyncSession, executor: str, version: str) -> None:
    """Begin a lease. Its executor id must never have been used before."""
    values = {"executor": executor, "version": version, "expires_at": sa.func.now() + EXPIRY}
    await session.exec(insert(LeaseRow).values(values))


async def renew(session: AsyncSession, executor: str) -> bool:
    """Prolong a lease; False when it is gone."""
    statement = sa.text("UPDATE executor_lease SET expires_at = now() + :expiry WHERE executor = :executor RETURNING 1")
    row = await store.execute(session, statement, expiry=EXPIRY, executor=executor)
    return row.first() is not None


async def reap(session: AsyncSession, version: str) -> tuple[str, ...]:
    """Put the work of expired leases back in the queue, delete them, and return whose it was."""
    expired = [row.executor for row in await store.execute(session, _EXPIRED, version=version)]
    orphans = [row.executor_id for row in await store.execute(session, _ORPHANS, version=version)]
    dead = (*expired, *orphans)
    if dead:
        await _give_back(session, dead, version)
    return dead


async def release(session: AsyncSession, executor: str, version: str) -> None:
    """End a lease in good order: whatever this process still held may be run by another at once."""
    await _give_back(session, (executor,), version)


async def _give_back(session: AsyncSession, executors: tuple[str, ...], version: str) -> None:
    await store.execute(session, _REQUEUE, executors=list(executors), version=version)
    await store.execute(session, _DELETE, executors=list(executors))


class Keeper:
    """Renews one lease and reaps others'. Calls `on_lost` once, from any thread, when this process must end.

    The renewal runs on the event loop on purpose: a process whose loop hangs stops renewing, its work moves on, and the
    watching thread, which needs no loop, ends it.
    """

    def __init__(
        self,
        database_url: str,
        executor: str,
        version: str,
        on_lost: Callable[[str], None],
        *,
        expiry: timedelta = EXPIRY,
    ) -> None:
        self.executor = executor
        self.version = version
        self._database = Database(database_url, pool=1)
        self._on_lost = on_lost
        self._expiry = expiry
        self._renewed = time.monotonic()
        self._stopped = threading.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Take the lease and begin to keep it. Raises Unavailable."""
        began = time.monotonic()
        async with self._database.transaction() as session:
            await take(session, self.executor, self.version)
        self._renewed = began
        self._tasks = [asyncio.create_task(self._repeat(self._beat)), asyncio.create_task(self._repeat(self._reap))]
        threading.Thread(target=self._watch, name="lease-watch", daemon=True).start()

    def age(self) -> timedelta:
        """Return how long ago the lease was last renewed."""
        return timedelta(seconds=time.monotonic() - self._renewed)

    async def stop(self) -> None:
        """Give the lease and everything still held back."""
        self._stopped.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        try:
            async with self._database.transaction() as session:
                await release(session, self.executor, self.version)
        except Unavailable as error:
            log.warning("lease_not_released", executor=self.executor, reason=error.sentence)
        finally:
            await self._database.close()

    async def _repeat(self, act: Callable[[], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(BEAT.total_seconds())
            try:
                async with asyncio.timeout(EXPIRY.total_seconds() / 2):
                    await act()
            except (Unavailable, TimeoutError) as error:
                log.warning("lease_database_unreachable", executor=self.executor, reason=str(error))

    async def _beat(self) -> None:
        began = time.monotonic()
        async with self._database.transaction() as session:
            alive = await renew(session, self.executor)
        if alive:
            self._renewed = began
        else:
            self._lose("its lease was taken over")

    async def _reap(self) -> None:
        async with self._database.transaction() as session:
            dead = await reap(session, self.version)
        if dead:
            log.warning("work_taken_over", executor=self.executor, dead=dead)

    def _watch(self) -> None:
        while not self._stopped.wait(0.5):
            if self.age() > self._expiry:
                self._lose(f"its lease was not renewed for {self._expiry.total_seconds():.0f} s")

    def _lose(self, reason: str) -> None:
        if not self._stopped.is_set():
            self._stopped.set()
            self._on_lost(reason)
