"""What is to be told outside, written in the caller's transaction; `bot/sender.py` delivers it.

A card is one live Slack message: callers only mark it stale, the sender renders it from the database when it sends.
Everything else is a row of the outbox with a unique key, so that writing it twice is one message.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlmodel import Field, SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from bot.contract import Block
from bot.store import NOW, Moment

CHANNEL = "opsbot_outbox"

Lane: TypeAlias = Literal["card", "talk", "page"]
Kind: TypeAlias = Literal["card", "say", "whisper", "page", "change"]


class CardRow(SQLModel, table=True):
    """One live message. It is stale while `rev` is ahead of `sent_rev`."""

    __tablename__ = "card"
    __table_args__ = (sa.Index("ix_card_stale", "next_at", postgresql_where=sa.text("rev > sent_rev")),)

    id: str = Field(primary_key=True)
    kind: str
    channel: str
    ts: str | None = None
    rev: int = 1
    sent_rev: int = 0
    created_at: datetime | None = Field(default=None, sa_type=Moment, sa_column_kwargs=NOW)
    sent_at: datetime | None = Field(default=None, sa_type=Moment)
    next_at: datetime | None = Field(default=None, sa_type=Moment, sa_column_kwargs=NOW)
    attempts: int = 0
    claim: str | None = None


class OutboxRow(SQLModel, table=True):
    """One message or page. A claim moves `next_at`, the time of the next try, forward: so a dead claim expires."""

    __tablename__ = "outbox"
    __table_args__ = (
        sa.Index("ix_outbox_due", "lane", "next_at", postgresql_where=sa.text("state = 'pending'")),
        sa.Index("ix_outbox_card", "card", "id", postgresql_where=sa.text("state = 'pending'")),
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=sa.BigInteger)
    key: str = Field(unique=True)
    lane: str
    kind: str
    subject: str
    card: str | None = None
    payload: dict[str, Any] = Field(default_factory=dict, sa_type=JSONB)
    state: str = "pending"
    attempts: int = 0
    created_at: datetime | None = Field(default=None, sa_type=Moment, sa_column_kwargs=NOW)
    next_at: datetime | None = Field(default=None, sa_type=Moment, sa_column_kwargs=NOW)
    done_at: datetime | None = Field(default=None, sa_type=Moment)
    claim: str | None = None
    answer: str = ""


@dataclass(frozen=True, kw_only=True)
class CardPlace:
    """Where a card is; `ts` is None until it has been posted."""

    channel: str
    ts: str | None


async def show_card(session: AsyncSession, *, card: str, kind: str, channel: str) -> None:
    """Create the live message, or mark it stale so that it is rendered again."""
    statement = insert(CardRow).values(id=card, kind=kind, channel=channel, rev=1, sent_rev=0, attempts=0)
    statement = statement.on_conflict_do_update(index_elements=["id"], set_={"rev": sa.text("card.rev + 1")})
    await session.exec(statement.returning(_wake("card")))


async def say(
    session: AsyncSession, *, key: str, card: str, text: str, blocks: Sequence[Block] = (), broadcast: bool = False
) -> None:
    """Reply in the card's thread. It waits until the card has been posted; replies of one card keep their order."""
    payload = {"text": text, "blocks": list(blocks), "broadcast": broadcast}
    await _put(session, OutboxRow(key=key, lane="talk", kind="say", subject=card, card=card, payload=payload))


async def whisper(
    session: AsyncSession,
    *,
    key: str,
    channel: str,
    user: str,
    text: str,
    blocks: Sequence[Block] = (),
    thread: str | None = None,
) -> None:
    """Tell one person something that only she sees."""
    payload = {"channel": channel, "user": user, "text": text, "blocks": list(blocks), "thread": thread}
    await _put(session, OutboxRow(key=key, lane="talk", kind="whisper", subject=user, payload=payload))


async def page(session: AsyncSession, *, key: str, subject: str, event: Mapping[str, object]) -> None:
    """Send a PagerDuty Events v2 event (`event_action`, `dedup_key`, `payload`, …); its lane never waits for Slack."""
    await _put(session, OutboxRow(key=key, lane="page", kind="page", subject=subject, payload=dict(event)))


async def change(session: AsyncSession, *, key: str, payload: Mapping[str, object]) -> None:
    """Send a PagerDuty change event (`summary`, `timestamp`, `source`, `custom_details`)."""
    await _put(session, OutboxRow(key=key, lane="page", kind="change", subject=key, payload=dict(payload)))


async def card_place(session: AsyncSession, card: str) -> CardPlace | None:
    """Return where the card is, or None when there is no such card."""
    row = await session.get(CardRow, card, populate_existing=True)
    return CardPlace(channel=row.channel, ts=row.ts) if row else None


async def _put(session: AsyncSession, row: OutboxRow) -> None:
    values = row.model_dump(exclude={"id", "created_at", "next_at", "done_at", "claim"})
    statement = insert(OutboxRow).values(values).on_conflict_do_nothing(index_elements=["key"])
    await session.exec(statement.returning(_wake(row.lane)))


def _wake(lane: str) -> sa.Function[None]:
    """Return the call that wakes the senders at commit; in RETURNING it costs no statement of its own."""
    return sa.func.pg_notify(CHANNEL, lane)
