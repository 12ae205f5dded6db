"""Socket Mode: tickets, connections, hello and disconnect frames, and one acknowledgement per envelope."""

import asyncio
import contextlib
import itertools
from dataclasses import dataclass
from typing import Final

import aiohttp
from aiohttp import web

from bot.sandbox.slack.faults import Faults
from bot.sandbox.slack.grants import Grants
from bot.sandbox.slack.records import APP, Json, Limits

OPEN_HOURS: Final = 18_060


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one delivery: `ok` with the app's answer, or Slack's own error code."""

    status: str
    body: Json


@dataclass(frozen=True, kw_only=True, eq=False)
class _Connection:
    socket: web.WebSocketResponse
    transport: asyncio.Transport | None


class Hub:
    """All websockets of the app; every envelope goes to exactly one of them."""

    def __init__(self, grants: Grants, faults: Faults, limits: Limits) -> None:
        self._grants = grants
        self._faults = faults
        self._limits = limits
        self._connections: list[_Connection] = []
        self._waiting: dict[str, asyncio.Future[Json]] = {}
        self._turn = itertools.count()
        self._envelopes = itertools.count(1)

    @property
    def connected(self) -> int:
        """Return the number of open websockets."""
        return len(self._connections)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one websocket from its ticket to its end."""
        ticket_is_good = self._grants.spend_ticket(request.query.get("ticket", ""))
        if self._faults.down:
            return web.Response(status=503)
        if not ticket_is_good or self._faults.stale_ticket:
            return web.Response(status=401, text="invalid ticket")
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        if self.connected >= self._limits.connections:
            await socket.send_json({"type": "disconnect", "reason": "too_many_websockets"})
            await socket.close()
            return socket
        connection = _Connection(socket=socket, transport=request.transport)
        self._connections.append(connection)
        try:
            await socket.send_json(self._hello())
            await self._listen(socket)
        finally:
            self._forget(connection)
        return socket

    async def deliver(self, kind: str, payload: Json, *, attempt: int = 0, reason: str = "") -> Outcome:
        """Send one envelope to one connection and wait 3 s for its acknowledgement."""
        if self._faults.down or not self._connections:
            return Outcome(status="dispatch_failed", body={})
        name = f"envelope-{next(self._envelopes)}"
        envelope: Json = {
            "envelope_id": name,
            "type": kind,
            "payload": payload,
            "accepts_response_payload": kind != "events_api",
        }
        if kind == "events_api":
            envelope |= {"retry_attempt": attempt, "retry_reason": reason}
        answer: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self._waiting[name] = answer
        connection = self._connections[next(self._turn) % len(self._connections)]
        try:
            await connection.socket.send_json(envelope)
            return Outcome(status="ok", body=await asyncio.wait_for(answer, self._limits.ack))
        except TimeoutError:
            return Outcome(status="operation_timeout", body={})
        except ConnectionError:
            return Outcome(status="dispatch_failed", body={})
        finally:
            self._waiting.pop(name, None)

    def drop(self) -> None:
        """Cut every connection without a goodbye."""
        for connection in tuple(self._connections):
            self._forget(connection)
            if connection.transport is not None:
                connection.transport.abort()

    async def refresh(self, reason: str = "refresh_requested") -> None:
        """Ask every connection to come back on a new address, as Slack does every few hours."""
        for connection in tuple(self._connections):
            with contextlib.suppress(ConnectionError):
                await connection.socket.send_json({"type": "disconnect", "reason": reason})

    async def close(self) -> None:
        """Say goodbye to every connection."""
        for connection in tuple(self._connections):
            self._forget(connection)
            await connection.socket.close()

    def _hello(self) -> Json:
        return {
            "type": "hello",
            "num_connections": self.connected,
            "debug_info": {"host": "sandbox", "approximate_connection_time": OPEN_HOURS},
            "connection_info": {"app_id": APP},
        }

    async def _listen(self, socket: web.WebSocketResponse) -> None:
        async for frame in socket:
            if frame.type is not aiohttp.WSMsgType.TEXT or not frame.data.startswith("{"):
                continue
            answer = frame.json()
            loop = asyncio.get_running_loop()
            loop.call_later(
                self._faults.delay_acks, self._acknowledge, answer.get("envelope_id"), answer.get("payload") or {}
            )

    def _acknowledge(self, name: str, body: Json) -> None:
        waiting = self._waiting.get(name)
        if waiting is not None and not waiting.done():
            waiting.set_result(body)

    def _forget(self, connection: _Connection) -> None:
        if connection in self._connections:
            self._connections.remove(connection)
