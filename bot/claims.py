"""Who delivers what: claims on the outbox, each one SQL statement, and the record of what came of them.

A claim ends by itself when its process dies. It is wiped when the outcome is known, so whoever finds one left over
knows that an earlier try may have worked.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlmodel.ext.asyncio.session import AsyncSession

from bot import store
from bot.outbox import CHANNEL, Lane

# Longer than the longest delivery, or two processes could deliver the same thing.
CLAIM = timedelta(seconds=30)

_CARDS_DUE = sa.text("""
    SELECT extract(epoch FROM min(greatest(next_at, sent_at + :gap)) - now()) FROM card WHERE rev > sent_rev
""")

_ROWS_DUE = sa.text("""
    SELECT extract(epoch FROM min(next_at) - now()) FROM outbox o WHERE state = 'pending' AND lane = :lane
      AND (kind <> 'say' OR EXISTS (SELECT 1 FROM card c WHERE c.id = o.card AND c.ts IS NOT NULL))
""")

_CLAIM_CARDS = sa.text("""
    WITH due AS (
        SELECT id, claim FROM card
        WHERE rev > sent_rev AND next_at <= now() AND (sent_at IS NULL OR sent_at + :gap <= now())
        ORDER BY next_at LIMIT :most FOR UPDATE SKIP LOCKED)
    UPDATE card SET claim = :claim, attempts = attempts + 1, next_at = now() + :lease FROM due WHERE card.id = due.id
    RETURNING card.id, kind, channel, ts, rev, attempts, created_at, due.claim IS NOT NULL AS unsure
""")

# Replies wait for their card and for the replies before them; change events let pages pass.
_CLAIM_ROWS = sa.text("""
    WITH due AS (
        SELECT o.id, o.claim FROM outbox o
        WHERE o.state = 'pending' AND o.lane = :lane AND o.next_at <= now() AND (o.kind <> 'say' OR (
            EXISTS (SELECT 1 FROM card c WHERE c.id = o.card AND c.ts IS NOT NULL) AND NOT EXISTS (
                SELECT 1 FROM outbox e WHERE e.state = 'pending' AND e.card = o.card AND e.id < o.id)))
        ORDER BY o.kind = 'change', o.next_at, o.id LIMIT :most FOR UPDATE SKIP LOCKED)
    UPDATE outbox SET claim = :claim, attempts = attempts + 1, next_at = now() + :lease FROM due
    WHERE outbox.id = due.id
    RETURNING outbox.id, key, kind, subject, card, payload, attempts, answer, created_at,
        due.claim IS NOT NULL AS unsure
""")

_CARD_SENT = sa.text("""
    UPDATE card SET ts = :ts, sent_rev = greatest(sent_rev, :rev), sent_at = now(), next_at = now(),
        attempts = 0, claim = NULL WHERE id = :id
""")

_CARD_FAILED = sa.text("UPDATE card SET next_at = now() + :pause, claim = :claim WHERE id = :id")

_ROW_SENT = sa.text("""
    UPDATE outbox SET state = 'sent', done_at = now(), answer = :answer, claim = NULL WHERE id = :id
""")

_ROW_FAILED = sa.text("""
    UPDATE outbox SET state = CAST(:state AS varchar), next_at = now() + :pause, answer = :answer, claim = :claim,
        done_at = CASE WHEN CAST(:state AS varchar) = 'failed' THEN now() END
    WHERE id = :id
""")

_WAKE = sa.text("SELECT pg_notify(:channel, 'talk')")

_WAITING = sa.text("""
    SELECT lane, count(*) AS things, extract(epoch FROM now() - min(since)) AS age FROM (
        SELECT lane, created_at AS since FROM outbox WHERE state = 'pending'
        UNION ALL SELECT 'card', coalesce(sent_at, created_at) FROM card WHERE rev > sent_rev) AS waiting
    GROUP BY lane
""")


@dataclass(frozen=True, kw_only=True)
class ClaimedCard:
    """A stale card. `unsure`: an earlier try may have posted it."""

    id: str
    kind: str
    channel: str
    ts: str | None
    rev: int
    attempts: int
    created_at: datetime
    unsure: bool


@dataclass(frozen=True, kw_only=True)
class ClaimedRow:
    """A row of the outbox. `answer` is what the last failed try said; `unsure` as for a card."""

    id: int
    key: str
    kind: str
    subject: str
    card: str | None
    payload: Mapping[str, object]
    attempts: int
    answer: str
    created_at: datetime
    unsure: bool


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """What is in one lane: how many things, and the age of the oldest in seconds."""

    things: int
    age: float


async def due(session: AsyncSession, lane: Lane, gap: timedelta) -> float | None:
    """Return in how many seconds the next thing of the lane is due; None when nothing waits."""
    if lane == "card":
        seconds = (await store.execute(session, _CARDS_DUE, gap=gap)).scalar()
    else:
        seconds = (await store.execute(session, _ROWS_DUE, lane=lane)).scalar()
    return None if seconds is None else float(seconds)


async def cards(session: AsyncSession, *, gap: timedelta, most: int, claim: str) -> tuple[ClaimedCard, ...]:
    """Claim stale cards; `gap` is the least time between two updates of one."""
    rows = await store.execute(session, _CLAIM_CARDS, gap=gap, most=most, claim=claim, lease=CLAIM)
    return tuple(ClaimedCard(**row._mapping) for row in rows)  # noqa: SLF001  SQLAlchemy's public name for it


async def rows(session: AsyncSession, lane: Lane, *, most: int, claim: str) -> tuple[ClaimedRow, ...]:
    """Claim what is due in a lane of the outbox."""
    found = await store.execute(session, _CLAIM_ROWS, lane=lane, most=most, claim=claim, lease=CLAIM)
    return tuple(ClaimedRow(**row._mapping) for row in found)  # noqa: SLF001


async def card_sent(session: AsyncSession, card: ClaimedCard, ts: str) -> None:
    """Record where the card is and what it showed; replies that waited for it may go."""
    await store.execute(session, _CARD_SENT, id=card.id, ts=ts, rev=card.rev)
    if card.ts != ts:
        await store.execute(session, _WAKE, channel=CHANNEL)


async def card_failed(session: AsyncSession, card: ClaimedCard, pause: timedelta, *, unsure: bool) -> None:
    """Let the card be tried again after a pause."""
    await store.execute(session, _CARD_FAILED, id=card.id, pause=pause, claim="unsure" if unsure else None)


async def row_sent(session: AsyncSession, row: ClaimedRow, answer: str) -> None:
    """Record that it was delivered."""
    await store.execute(session, _ROW_SENT, id=row.id, answer=answer)


async def row_failed(
    session: AsyncSession, row: ClaimedRow, answer: str, pause: timedelta, *, unsure: bool, over: bool
) -> None:
    """Let it be tried again after a pause, or, when it is `over`, never."""
    await store.execute(
        session,
        _ROW_FAILED,
        id=row.id,
        answer=answer,
        pause=pause,
        claim="unsure" if unsure else None,
        state="failed" if over else "pending",
    )


async def waiting(session: AsyncSession) -> dict[str, Waiting]:
    """Return what waits in each lane that is not empty."""
    found = await store.execute(session, _WAITING)
    return {row.lane: Waiting(things=row.things, age=float(row.age)) for row in found}
