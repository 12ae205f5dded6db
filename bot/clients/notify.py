"""Listens to one PostgreSQL NOTIFY channel on a connection of its own and comes back by itself."""

import asyncio
from collections.abc import Callable

import asyncpg
import structlog

RETRY_SECONDS = 1.0

log = structlog.get_logger(__name__)


class Listener:
    """Calls `wake` with each notification's payload, and with an empty one after each (re)connection.

    Notifications sent while it was away are lost, so whoever is woken must look at the tables and also poll slowly.
    """

    def __init__(self, url: str, channel: str, wake: Callable[[str], None]) -> None:
        self._url = url
        self._channel = channel
        self._wake = wake

    async def run(self) -> None:
        """Listen until cancelled."""
        while True:
            try:
                await self._listen()
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                log.warning("listening_failed", channel=self._channel, reason=type(error).__name__)
            await asyncio.sleep(RETRY_SECONDS)

    async def _listen(self) -> None:
        gone = asyncio.Event()
        settings = {"application_name": "opsbot listen"}
        connection = await asyncpg.connect(self._url, timeout=5, command_timeout=10, server_settings=settings)
        try:
            connection.add_termination_listener(lambda _: gone.set())
            await connection.add_listener(self._channel, lambda *notice: self._wake(str(notice[3])))
            self._wake("")
            await gone.wait()
        finally:
            # Not closed politely: that waits for a server which may be the reason for leaving.
            connection.terminate()
