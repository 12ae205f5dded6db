"""One Socket Mode connection that stays up: slack_sdk's client, and a watchdog for the states it never leaves."""

import asyncio
import logging
from collections.abc import Callable
from datetime import timedelta

import structlog
from slack_bolt.adapter.socket_mode.async_handler import AsyncSocketModeHandler

# Slack's own pings tell within 3 s that a connection is gone; the SDK's default of 10 s leaves a gap of 10 s.
PING_SECONDS = 3
# Checks in a row without a connection before the address is thrown away, and before the whole client is.
FAILED_CHECKS = 2
HOPELESS_CHECKS = 30
CLOSE = timedelta(seconds=5)

log = structlog.get_logger(__name__)


class Line:
    """A connection to Slack. `build` makes a fresh handler; `check` is called every second."""

    def __init__(self, build: Callable[[], AsyncSocketModeHandler]) -> None:
        self._build = build
        self._handler = build()
        self._failed = 0
        self._connecting: asyncio.Task[None] | None = None

    def connect(self) -> asyncio.Task[None]:
        """Begin to connect; the SDK tries until it is connected or closed."""
        self._connecting = asyncio.create_task(self._handler.connect_async())  # type: ignore[no-untyped-call]
        return self._connecting

    @property
    def connected(self) -> bool:
        """Tell whether Slack can reach us over this line now."""
        client = self._handler.client
        session = client.current_session
        return self._failed == 0 and not client.closed and session is not None and not session.closed

    async def check(self) -> None:
        """Look once, and help where the SDK is stuck."""
        client = self._handler.client
        if await client.is_connected():
            if self._failed >= FAILED_CHECKS:
                log.info("slack_socket_recovered", checks=self._failed)
            self._failed = 0
            return
        self._failed += 1
        if self._failed == FAILED_CHECKS:
            log.warning("slack_socket_down")
        if self._failed >= FAILED_CHECKS:
            # slack_sdk 3.47 retries a single-use address for ever after a failed handshake; without one it asks anew.
            client.wss_uri = None
        if self._failed % HOPELESS_CHECKS == 0:
            await self._replace()

    async def close(self) -> None:
        """Disconnect, and wait for the SDK's own tasks, which it only cancels."""
        client = self._handler.client
        try:
            await asyncio.wait_for(client.close(), CLOSE.total_seconds())  # type: ignore[no-untyped-call]
        except TimeoutError:
            log.warning("slack_socket_close_timed_out")
            await client.aiohttp_client_session.close()
        tasks = (self._connecting, client.message_processor, client.current_session_monitor, client.message_receiver)
        running = [task for task in tasks if task is not None]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _replace(self) -> None:
        log.warning("slack_socket_replaced", checks=self._failed)
        await self.close()
        self._handler = self._build()
        self.connect()


class Discreet(logging.Filter):
    """Keeps the kind of an SDK trouble and drops the rest: its messages hold addresses with tickets, and repeat."""

    def __init__(self) -> None:
        super().__init__()
        self._last = ""

    def filter(self, record: logging.LogRecord) -> bool:
        """Turn a record into one event; the record itself is not written."""
        kind = record.exc_info[0] if record.exc_info else None
        trouble = kind.__name__ if kind else record.funcName
        if trouble != self._last:
            log.warning("slack_socket_trouble", trouble=trouble)
        self._last = trouble
        return False
