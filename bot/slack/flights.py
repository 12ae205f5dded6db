"""Counts the listeners that are still at work, so that a stop can wait for them; Bolt itself lets go of them."""

import asyncio
from datetime import timedelta

from slack_bolt.async_app import AsyncApp
from slack_bolt.listener.async_listener_completion_handler import AsyncCustomListenerCompletionHandler
from slack_bolt.listener.async_listener_start_handler import AsyncCustomListenerStartHandler


class Flights:
    """The listeners of one app between their start and their end."""

    def __init__(self, app: AsyncApp) -> None:
        self._count = 0
        self._idle = asyncio.Event()
        self._idle.set()
        runner = app.listener_runner
        runner.listener_start_handler = AsyncCustomListenerStartHandler(app.logger, self.started)
        runner.listener_completion_handler = AsyncCustomListenerCompletionHandler(app.logger, self.ended)

    @property
    def count(self) -> int:
        """How many are at work now."""
        return self._count

    async def started(self) -> None:
        """Count one more."""
        self._count += 1
        self._idle.clear()

    async def ended(self) -> None:
        """Count one less."""
        self._count -= 1
        if self._count == 0:
            self._idle.set()

    async def land(self, grace: timedelta) -> bool:
        """Wait until none is at work; False when the grace was not enough."""
        try:
            await asyncio.wait_for(self._idle.wait(), grace.total_seconds())
        except TimeoutError:
            return False
        return True
