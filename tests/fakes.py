"""Fakes that record what they were told and answer; a queued failure is raised once, in the order it was queued."""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from bot.contract import Block
from bot.errors import OpsError


@dataclass(kw_only=True)
class Message:
    """What the fake Slack shows."""

    channel: str
    ts: str
    text: str
    blocks: tuple[Block, ...]
    thread: str | None = None
    broadcast: bool = False
    card_id: str | None = None
    edits: int = 0


@dataclass
class FakeSlack:
    """Slack's messages. `failures` are raised before anything happens, `lost` after it happened."""

    messages: list[Message] = field(default_factory=list)
    whispers: list[tuple[str, str, str]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    failures: deque[OpsError] = field(default_factory=deque)
    lost: deque[OpsError] = field(default_factory=deque)
    delay: float = 0.0

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
        await self._begin("post")
        ts = f"{1700000000 + len(self.messages)}.000100"
        card_id = str(metadata["card_id"]) if metadata else None
        self.messages.append(
            Message(
                channel=channel,
                ts=ts,
                text=text,
                blocks=tuple(blocks),
                thread=thread,
                broadcast=broadcast,
                card_id=card_id,
            )
        )
        self._end()
        return ts

    async def update(self, channel: str, ts: str, text: str, blocks: Sequence[Block]) -> None:
        await self._begin("update")
        message = next(one for one in self.messages if (one.channel, one.ts) == (channel, ts))
        message.text, message.blocks, message.edits = text, tuple(blocks), message.edits + 1
        self._end()

    async def whisper(
        self, channel: str, user: str, text: str, blocks: Sequence[Block], *, thread: str | None = None
    ) -> None:
        await self._begin("whisper")
        self.whispers.append((channel, user, text))
        self._end()

    async def find_post(self, channel: str, card_id: str, oldest: datetime, *, thread: str | None = None) -> str | None:
        await self._begin("find_post")
        found = (
            one.ts for one in self.messages if (one.channel, one.card_id, one.thread) == (channel, card_id, thread)
        )
        return next(found, None)

    def texts(self, thread: str | None = None) -> list[str]:
        """Return what was said in a thread, or in channels."""
        return [one.text for one in self.messages if one.thread == thread]

    async def _begin(self, call: str) -> None:
        self.calls.append(call)
        await asyncio.sleep(self.delay)
        if self.failures:
            raise self.failures.popleft()

    def _end(self) -> None:
        if self.lost:
            raise self.lost.popleft()


@dataclass
class FakePagerDuty:
    """PagerDuty's Events API: one alert for each dedup key."""

    events: list[Mapping[str, object]] = field(default_factory=list)
    changes: list[Mapping[str, object]] = field(default_factory=list)
    failures: deque[OpsError] = field(default_factory=deque)
    lost: deque[OpsError] = field(default_factory=deque)
    delay: float = 0.0

    async def send_event(self, event: Mapping[str, object]) -> str:
        await asyncio.sleep(self.delay)
        if self.failures:
            raise self.failures.popleft()
        self.events.append(event)
        if self.lost:
            raise self.lost.popleft()
        return str(event["dedup_key"])

    async def send_change(self, payload: Mapping[str, object]) -> None:
        if self.failures:
            raise self.failures.popleft()
        self.changes.append(payload)

    def alerts(self) -> set[str]:
        """Return the dedup keys of all alerts."""
        return {str(event["dedup_key"]) for event in self.events}
