"""Delivers the outbox: claims what is due, hands it to `bot/delivery.py`, records what came of it.

Three lanes run side by side, so that a page waits for nothing but PagerDuty: `page`, `talk` (replies and whispers) and
`card`. Outcome and listeners are one transaction.
"""

import asyncio
import logging
import random
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeAlias

import structlog
from sqlmodel.ext.asyncio.session import AsyncSession

from bot import claims, delivery, metrics, outbox
from bot.claims import ClaimedCard, ClaimedRow
from bot.clients.notify import Listener
from bot.contract import Card
from bot.delivery import Chat, Pager, Spot
from bot.errors import Conflict, Misconfigured, OpsError, OutcomeUnknown, Throttled, Unavailable
from bot.outbox import Lane
from bot.settings import Settings
from bot.store import Database

LANES: tuple[Lane, ...] = ("page", "talk", "card")
AT_ONCE = 8
POLL = timedelta(seconds=1)
LONGEST = claims.CLAIM - timedelta(seconds=5)
FIRST_PAUSE = timedelta(seconds=2)
LONGEST_PAUSE = timedelta(seconds=60)
# A refusal may be cured by a person (invite the bot to the channel), so it too is tried for about ten minutes.
REFUSALS = 12

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Sent:
    """What came of one try. `first_failure` is true once for each thing that did not go through at once."""

    key: str
    kind: str
    subject: str
    ok: bool
    first_failure: bool
    answer: str
    attempts: int


Renderer: TypeAlias = Callable[[AsyncSession, str], Awaitable[Card]]
Listening: TypeAlias = Callable[[AsyncSession, Sent], Awaitable[None]]


class Sender:
    """Delivers until stopped. Any number of processes may run one on the same database."""

    def __init__(
        self,
        *,
        database: Database,
        slack: Chat,
        pagerduty: Pager | None,
        renderers: Mapping[str, Renderer],
        listeners: Sequence[Listening],
        settings: Settings,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._database = database
        self._slack = slack
        self._pagerduty = pagerduty
        self._renderers = renderers
        self._listeners = listeners
        self._gap = settings.config.durations.card_gap
        self._jitter = jitter
        self._wakes = {lane: asyncio.Event() for lane in LANES}
        self._paused_until = dict.fromkeys(LANES, 0.0)
        self._tasks: dict[Lane, set[asyncio.Task[None]]] = {lane: set() for lane in LANES}
        self._stopping = False

    async def run(self) -> None:
        """Deliver until `stop` is called or the task is cancelled; what is under way gets its time to end."""
        listener = asyncio.create_task(Listener(self._database.url, outbox.CHANNEL, self._wake).run())
        try:
            await asyncio.gather(*(self._serve(lane) for lane in LANES))
            await asyncio.gather(*(task for tasks in self._tasks.values() for task in tasks), return_exceptions=True)
        finally:
            listener.cancel()
            await asyncio.gather(listener, return_exceptions=True)

    def stop(self) -> None:
        """Claim nothing more."""
        self._stopping = True
        self._wake("")

    def _wake(self, lane: str) -> None:
        for name, event in self._wakes.items():
            if lane in ("", name):
                event.set()

    async def _serve(self, lane: Lane) -> None:
        wake = self._wakes[lane]
        while not self._stopping:
            wake.clear()
            try:
                pause = await self._claim(lane)
            except Unavailable as error:
                log.warning("outbox_unreachable", lane=lane, reason=error.sentence)
                pause = POLL.total_seconds()
            if not self._stopping:
                await _wait(wake, pause)

    async def _claim(self, lane: Lane) -> float:
        """Start what is due; return for how many seconds there is nothing more to do unless woken."""
        idle = POLL.total_seconds()
        most = AT_ONCE - len(self._tasks[lane])
        paused = self._paused_until[lane] - asyncio.get_running_loop().time()
        if most <= 0 or paused > 0:
            return min(max(paused, 0.05), idle)
        claim = uuid.uuid4().hex
        claimed: Sequence[ClaimedCard | ClaimedRow]
        async with self._database.transaction() as session:
            due = await claims.due(session, lane, self._gap)
            if due is None or due > 0:
                return idle if due is None else min(due + 0.005, idle)
            if lane == "card":
                claimed = await claims.cards(session, gap=self._gap, most=most, claim=claim)
            else:
                claimed = await claims.rows(session, lane, most=most, claim=claim)
        for one in claimed:
            task = asyncio.create_task(self._deliver(lane, one))
            self._tasks[lane].add(task)
            task.add_done_callback(lambda done: self._ended(lane, done))
        return 0.0 if len(claimed) == most else idle

    def _ended(self, lane: Lane, task: asyncio.Task[None]) -> None:
        self._tasks[lane].discard(task)
        self._wakes[lane].set()
        # A defect in a renderer or listener costs its own message a wait, never the lane.
        if not task.cancelled() and task.exception() is not None:
            log.error("delivery_failed", lane=lane, exc_info=task.exception())

    async def _deliver(self, lane: Lane, claimed: ClaimedCard | ClaimedRow) -> None:
        kind: str = "card" if isinstance(claimed, ClaimedCard) else claimed.kind
        try:
            with metrics.SEND_SECONDS.labels(kind).time():
                async with asyncio.timeout(LONGEST.total_seconds()):
                    answer = await self._hand_over(claimed)
        except TimeoutError:
            slow = OutcomeUnknown(f"Not finished within {LONGEST.total_seconds():.0f} s; it will be tried again")
            await self._failed(lane, claimed, slow)
        except OpsError as error:
            await self._failed(lane, claimed, error)
        else:
            metrics.SENDS.labels(kind, "sent").inc()
            async with self._database.transaction() as session:
                if isinstance(claimed, ClaimedCard):
                    await claims.card_sent(session, claimed, answer)
                else:
                    await claims.row_sent(session, claimed, answer)
                await self._tell(session, claimed, answer, ok=True)

    async def _hand_over(self, claimed: ClaimedCard | ClaimedRow) -> str:
        if isinstance(claimed, ClaimedCard):
            async with self._database.transaction() as session:
                card = await self._renderers[claimed.kind](session, claimed.id)
            return await delivery.show(self._slack, _spot(claimed), card)
        if claimed.kind == "say":
            return await delivery.reply(self._slack, await self._thread(claimed), delivery.said(claimed.payload))
        if claimed.kind == "whisper":
            return await delivery.whisper(self._slack, claimed.payload)
        return await delivery.page(self._pagerduty, claimed.kind, claimed.payload)

    async def _thread(self, row: ClaimedRow) -> Spot:
        async with self._database.transaction() as session:
            place = await outbox.card_place(session, str(row.card))
        if place is None or place.ts is None:
            raise Conflict(f"The card {row.card} of a reply is gone")
        return Spot(
            id=row.key,
            channel=place.channel,
            since=row.created_at,
            unsure=row.unsure,
            thread=place.ts,
            broadcast=bool(row.payload.get("broadcast")),
        )

    async def _failed(self, lane: Lane, claimed: ClaimedCard | ClaimedRow, error: OpsError) -> None:
        pause = self._pause(error, claimed.attempts)
        unsure = isinstance(error, OutcomeUnknown)
        kind = "card" if isinstance(claimed, ClaimedCard) else claimed.kind
        over = isinstance(claimed, ClaimedRow) and _is_over(claimed, error)
        if isinstance(error, Throttled):
            self._paused_until[lane] = asyncio.get_running_loop().time() + pause.total_seconds()
        metrics.SENDS.labels(kind, "given_up" if over else error.code).inc()
        log.log(
            *(logging.ERROR if over else logging.WARNING, "send_given_up" if over else "send_failed"),
            kind=kind,
            subject=_subject(claimed),
            attempts=claimed.attempts,
            reason=error.sentence,
        )
        async with self._database.transaction() as session:
            if isinstance(claimed, ClaimedCard):
                await claims.card_failed(session, claimed, pause, unsure=unsure)
            else:
                await claims.row_failed(session, claimed, error.sentence, pause, unsure=unsure, over=over)
            await self._tell(session, claimed, error.sentence, ok=False)

    async def _tell(self, session: AsyncSession, claimed: ClaimedCard | ClaimedRow, answer: str, *, ok: bool) -> None:
        sent = _outcome(claimed, answer, ok=ok)
        for listener in self._listeners:
            await listener(session, sent)

    def _pause(self, error: OpsError, attempts: int) -> timedelta:
        asked = error.facts.get("retry_after")
        if isinstance(asked, int | float):
            return timedelta(seconds=asked + self._jitter())
        longest = min(FIRST_PAUSE * float(2 ** min(attempts - 1, 10)), LONGEST_PAUSE)
        return longest * (0.5 + self._jitter() / 2)


async def _wait(wake: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await wake.wait()
    except TimeoutError:
        return


def _spot(card: ClaimedCard) -> Spot:
    return Spot(id=card.id, channel=card.channel, since=card.created_at, unsure=card.unsure, ts=card.ts)


def _is_over(row: ClaimedRow, error: OpsError) -> bool:
    if row.kind == "page" or isinstance(error, Unavailable):
        return False
    patient = row.kind == "say" and not isinstance(error, Misconfigured)
    return row.attempts >= (REFUSALS if patient else 1)


def _subject(claimed: ClaimedCard | ClaimedRow) -> str:
    return claimed.id if isinstance(claimed, ClaimedCard) else claimed.subject


def _outcome(claimed: ClaimedCard | ClaimedRow, answer: str, *, ok: bool) -> Sent:
    if isinstance(claimed, ClaimedCard):
        key, kind, first = f"card:{claimed.id}:{claimed.rev}", "card", claimed.attempts == 1
    else:
        key, kind, first = claimed.key, claimed.kind, not claimed.answer
    return Sent(
        key=key,
        kind=kind,
        subject=_subject(claimed),
        ok=ok,
        first_failure=not ok and first,
        answer=answer,
        attempts=claimed.attempts,
    )
