"""Sends one claimed thing to Slack or PagerDuty; where an earlier try may have worked, it looks before it posts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from bot import blocks
from bot.contract import Block, Card
from bot.errors import Misconfigured, NotFound, Refused

log = structlog.get_logger(__name__)

# `since` is by the database's clock and a message's timestamp by Slack's: a post must not look older than its row.
CLOCKS = timedelta(minutes=5)

# Slack's codes for a message whose layout, not whose sending, is wrong.
_LAYOUT = frozenset({"invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long", "invalid_attachments"})


class Chat(Protocol):
    """The part of Slack that delivers messages."""

    async def post(
        self,
        channel: str,
        text: str,
        blocks: Sequence[Block],
        *,
        thread: str | None = None,
        metadata: Mapping[str, object] | None = None,
        broadcast: bool = False,
    ) -> str:
        """Post and return the timestamp."""
        ...

    async def update(self, channel: str, ts: str, text: str, blocks: Sequence[Block]) -> None:
        """Replace a message."""
        ...

    async def whisper(
        self, channel: str, user: str, text: str, blocks: Sequence[Block], *, thread: str | None = None
    ) -> None:
        """Post what one person sees."""
        ...

    async def find_post(self, channel: str, card_id: str, oldest: datetime, *, thread: str | None = None) -> str | None:
        """Find a message by the id in its metadata, in a channel or in one thread of it."""
        ...


class Pager(Protocol):
    """The part of PagerDuty that takes events."""

    async def send_event(self, event: Mapping[str, object]) -> str:
        """Send an event and return the dedup key."""
        ...

    async def send_change(self, payload: Mapping[str, object]) -> None:
        """Send a change event."""
        ...


@dataclass(frozen=True, kw_only=True)
class Spot:
    """Where a message goes and how it is found again. `unsure` means that an earlier try may have posted it."""

    id: str
    channel: str
    since: datetime
    unsure: bool
    ts: str | None = None
    thread: str | None = None
    broadcast: bool = False


async def show(chat: Chat, spot: Spot, card: Card) -> str:
    """Update the message, or post it if there is none yet; return its timestamp. Raises the client's errors."""
    ts = spot.ts or await _earlier(chat, spot)
    if ts is None:
        return await tell(chat, spot, card)
    for attempt in _layouts(card):
        try:
            await chat.update(spot.channel, ts, attempt.text, attempt.blocks)
        except NotFound as error:
            if error.facts.get("error") != "message_not_found":
                raise
            log.warning("card_was_deleted", card=spot.id)
            return await tell(chat, spot, card)
        except Refused as error:
            _reraise_unless_layout(error, spot.id)
        else:
            return ts
    raise Refused(f"Slack takes no layout of {spot.id}")


async def tell(chat: Chat, spot: Spot, card: Card) -> str:
    """Post a message, in ever plainer layouts if Slack refuses them; return its timestamp."""
    metadata = {"card_id": spot.id}
    for attempt in _layouts(card):
        try:
            return await chat.post(
                spot.channel,
                attempt.text,
                attempt.blocks,
                thread=spot.thread,
                metadata=metadata,
                broadcast=spot.broadcast,
            )
        except Refused as error:
            _reraise_unless_layout(error, spot.id)
    raise Refused(f"Slack takes no layout of {spot.id}")


async def reply(chat: Chat, spot: Spot, card: Card) -> str:
    """Post in a thread unless an earlier try already did; return the timestamp."""
    return await _earlier(chat, spot) or await tell(chat, spot, card)


async def whisper(chat: Chat, payload: Mapping[str, object]) -> str:
    """Tell one person. Nobody can look whether an earlier try worked, so it may be said twice."""
    card = Card(text=str(payload["text"]), blocks=_blocks(payload))
    thread = payload.get("thread")
    for attempt in _layouts(card):
        try:
            await chat.whisper(
                str(payload["channel"]),
                str(payload["user"]),
                attempt.text,
                attempt.blocks,
                thread=str(thread) if thread else None,
            )
        except Refused as error:
            _reraise_unless_layout(error, "whisper")
        else:
            return "whispered"
    raise Refused("Slack takes no layout of the message")


async def page(pager: Pager | None, kind: str, payload: Mapping[str, object]) -> str:
    """Hand an event to PagerDuty; the same dedup key is the same alert, so sending it again is harmless."""
    if pager is None:
        raise Misconfigured("PagerDuty is not configured: PAGERDUTY_ROUTING_KEY is missing")
    if kind == "page":
        return await pager.send_event(payload)
    await pager.send_change(payload)
    return "recorded"


def said(payload: Mapping[str, object]) -> Card:
    """Return the message in an outbox row."""
    return Card(text=str(payload["text"]), blocks=_blocks(payload))


async def _earlier(chat: Chat, spot: Spot) -> str | None:
    if not spot.unsure:
        return None
    return await chat.find_post(spot.channel, spot.id, spot.since - CLOCKS, thread=spot.thread)


def _layouts(card: Card) -> tuple[Card, ...]:
    # A page or a decision must never be lost to a layout error.
    return (card, blocks.plainer(card), blocks.plainest(card.text)) if card.blocks else (card,)


def _reraise_unless_layout(error: Refused, subject: str) -> None:
    if error.facts.get("error") not in _LAYOUT:
        raise error
    log.error("layout_refused", subject=subject, reasons=error.facts.get("reasons"))


def _blocks(payload: Mapping[str, object]) -> tuple[Block, ...]:
    given = payload.get("blocks")
    return tuple(block for block in given if isinstance(block, Mapping)) if isinstance(given, list | tuple) else ()
