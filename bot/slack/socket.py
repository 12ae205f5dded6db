"""Socket Mode: two connections, so that one reconnects while the other answers, watched every second."""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta

import aiohttp
import structlog
from slack_bolt.adapter.socket_mode.async_handler import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp

from bot.clients.slack import TIMEOUT, SocketClient, SocketRequest, web_client
from bot.errors import Misconfigured
from bot.settings import Settings
from bot.slack.flights import Flights
from bot.slack.line import PING_SECONDS, Discreet, Line

CONNECTIONS = 2
STAGGER = timedelta(seconds=1)
START = timedelta(seconds=3)
CHECK = timedelta(seconds=1)
# Envelopes at work at once; one that waits longer than QUEUE would miss Slack's 3 s anyway.
CONCURRENCY = 64
QUEUE = timedelta(seconds=1)
# How long a stop waits for acks, which need the connections, and then for what goes on after them.
ACKS = timedelta(seconds=3)
GRACE = timedelta(seconds=20)
BUSY = "opsbot is too busy to answer in time. Nothing was changed: please try again in a moment."

_DISCREET = Discreet()
log = structlog.get_logger(__name__)


class Sockets:
    """All connections of this process to Slack. `now` only measures the age of the last message."""

    def __init__(
        self,
        app: AsyncApp,
        settings: Settings,
        *,
        now: Callable[[], datetime],
        connections: int = CONNECTIONS,
        concurrency: int = CONCURRENCY,
    ) -> None:
        if settings.slack_app_token is None:
            raise Misconfigured("Socket Mode needs SLACK_APP_TOKEN (xapp-…, scope connections:write)")
        self._app = app
        self._token = settings.slack_app_token.get_secret_value()
        self._url = settings.slack_api_url
        self._now = now
        self._connections = connections
        self._slots = asyncio.Semaphore(concurrency)
        self._flights = Flights(app)
        self._lines: list[Line] = []
        self._receiving: set[asyncio.Task[object] | None] = set()
        self._closing = False
        self._last: datetime | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Connect, and return after the first connection or 3 s: without Slack the bot starts all the same."""
        self._session = aiohttp.ClientSession(timeout=TIMEOUT)
        self._lines = [Line(self._handler) for _ in range(self._connections)]
        first = self._lines[0].connect()
        self._keeper = asyncio.create_task(self._keep())
        await asyncio.wait({first}, timeout=START.total_seconds())

    async def stop(self, grace: timedelta = GRACE) -> None:
        """Take nothing new, let what is at work be answered, disconnect, and wait for its rest."""
        self._closing = True
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        if self._receiving:
            await asyncio.wait({task for task in self._receiving if task}, timeout=ACKS.total_seconds())
        await asyncio.gather(*(line.close() for line in self._lines))
        if not await self._flights.land(grace):
            log.warning("slack_listeners_left", count=self._flights.count)
        if self._session is not None:
            await self._session.close()

    def connected(self) -> int:
        """Count the connections over which Slack reaches us now."""
        return sum(line.connected for line in self._lines)

    def last_message_age(self, now: datetime) -> timedelta | None:
        """Tell how long ago Slack last said anything; None before the first word."""
        return None if self._last is None else now - self._last

    async def _keep(self) -> None:
        # Staggered, so that Slack does not refresh both at the same moment for ever after.
        for line in self._lines[1:]:
            await asyncio.sleep(STAGGER.total_seconds())
            line.connect()
        while True:
            await asyncio.sleep(CHECK.total_seconds())
            for line in self._lines:
                await line.check()

    def _handler(self) -> AsyncSocketModeHandler:
        web = web_client(self._token, self._url, self._session)
        handler = AsyncSocketModeHandler(
            self._app, self._token, logger=_logger(), web_client=web, ping_interval=PING_SECONDS
        )
        # The SDK would take a proxy from the environment for loopback, too.
        handler.client.proxy = web.proxy
        handler.client.on_message_listeners.append(self._note)

        async def receive(client: SocketClient, request: SocketRequest) -> None:
            await self._receive(handler, client, request)

        handler.client.socket_mode_request_listeners[:] = [receive]
        return handler

    async def _receive(self, handler: AsyncSocketModeHandler, client: SocketClient, request: SocketRequest) -> None:
        """Dispatch one envelope; the SDK runs each in a task of its own and has no limit."""
        if self._closing:
            return
        task = asyncio.current_task()
        self._receiving.add(task)
        try:
            if await self._slot():
                await self._dispatch(handler, request)
            else:
                await self._refuse(client, request)
        finally:
            self._receiving.discard(task)

    async def _slot(self) -> bool:
        try:
            await asyncio.wait_for(self._slots.acquire(), QUEUE.total_seconds())
        except TimeoutError:
            return False
        return True

    async def _dispatch(self, handler: AsyncSocketModeHandler, request: SocketRequest) -> None:
        try:
            await handler.handle(handler.client, request)
        finally:
            self._slots.release()

    async def _refuse(self, client: SocketClient, request: SocketRequest) -> None:
        """Say so where Slack can show it; unanswered, events come again and clicks get Slack's own warning."""
        log.warning("slack_envelope_refused", type=request.type)
        if request.type == "slash_commands":
            answer = {"response_type": "ephemeral", "text": BUSY}
            await client.send_socket_mode_response({"envelope_id": request.envelope_id, "payload": answer})

    async def _note(self, _message: aiohttp.WSMessage) -> None:
        self._last = self._now()


def _logger() -> logging.Logger:
    logger = logging.getLogger("bot.slack.socket_sdk")
    logger.setLevel(logging.WARNING)
    logger.addFilter(_DISCREET)
    return logger
