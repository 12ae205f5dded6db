"""The smallest Slack these tests need: a Web API that records and answers as told, response_urls, and Socket Mode."""

import asyncio
import contextlib
import itertools
import json
from dataclasses import dataclass, field

from aiohttp import WSMsgType, web


def ok(**data):
    return web.json_response({"ok": True, **data})


def no(error, status=200, **data):
    headers = {"Retry-After": "7"} if status == 429 else {}
    return web.json_response({"ok": False, "error": error, **data}, status=status, headers=headers)


@dataclass
class SlackServer:
    """`calls` holds (method, arguments); `answers` maps a method to what it returns, a response, a function, or `hang up`."""

    calls: list = field(default_factory=list)
    answers: dict = field(default_factory=dict)
    said: list = field(default_factory=list)
    respond_status: int = 200
    respond_body: str = "ok"
    sockets: list = field(default_factory=list)
    acks: dict = field(default_factory=dict)
    tickets: set = field(default_factory=set)
    refuse_handshakes: int = 0
    _numbers: itertools.count = field(default_factory=lambda: itertools.count(1))

    async def start(self):
        app = web.Application()
        app.router.add_route("*", "/api/{method}", self._api)
        app.router.add_post("/respond", self._respond)
        app.router.add_get("/socket/{ticket}", self._socket)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.base = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        self.url = f"{self.base}/api/"
        self.response_url = f"{self.base}/respond"

    async def stop(self):
        for socket in list(self.sockets):
            await socket.close()
        await self._runner.cleanup()

    def called(self, method):
        return [arguments for name, arguments in self.calls if name == method]

    async def send(self, kind, payload, *, socket=-1, **extra):
        """Send one envelope over one connection and return the payload of its ack."""
        number = str(next(self._numbers))
        self.acks[number] = asyncio.get_running_loop().create_future()
        envelope = {"type": kind, "envelope_id": number, "payload": payload, "accepts_response_payload": True}
        await self.sockets[socket].send_json(envelope | extra)
        return await asyncio.wait_for(self.acks[number], 5)

    async def _api(self, request):
        method = request.match_info["method"]
        arguments = dict(request.query)
        if request.content_type == "application/json":
            arguments |= await request.json()
        else:
            arguments |= dict(await request.post())
        self.calls.append((method, arguments))
        answer = self.answers.get(method, self._default(method, arguments))
        if answer == "hang up":
            request.transport.abort()
            return web.Response()
        if callable(answer):
            answer = answer(arguments)
        if asyncio.iscoroutine(answer):
            answer = await answer
        return answer

    def _default(self, method, arguments):
        match method:
            case "auth.test":
                return lambda _: ok(
                    user_id="UBOT", team="Acme", url="https://acme.slack.com/", team_id="T1", bot_id="B1"
                )
            case "users.info":
                user = {
                    "id": arguments.get("user"),
                    "profile": {"display_name": "Somebody", "email": f"{arguments.get('user')}@x.io"},
                }
                return lambda _: ok(user=user)
            case "usergroups.list":
                return lambda _: ok(usergroups=[{"id": "SAPP", "handle": "obs-approvers", "users": ["UBOB"]}])
            case "conversations.list":
                return lambda _: ok(channels=[{"id": "CHOME", "name": "llm-observatory-alerts"}])
            case "apps.connections.open":
                return lambda _: ok(url=self._ticket())
        return lambda _: ok(ts="1700000000.000100")

    def _ticket(self):
        ticket = f"ticket{next(self._numbers)}"
        self.tickets.add(ticket)
        return f"{self.base.replace('http', 'ws')}/socket/{ticket}"

    async def _respond(self, request):
        self.said.append(await request.json())
        return web.Response(status=self.respond_status, text=self.respond_body)

    async def _socket(self, request):
        ticket = request.match_info["ticket"]
        if self.refuse_handshakes or ticket not in self.tickets:
            self.refuse_handshakes = max(self.refuse_handshakes - 1, 0)
            self.tickets.discard(ticket)
            return web.Response(status=403)
        self.tickets.discard(ticket)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.sockets.append(socket)
        await socket.send_json({"type": "hello", "num_connections": len(self.sockets)})
        async for message in socket:
            if message.type == WSMsgType.TEXT:
                data = json.loads(message.data)
                with contextlib.suppress(asyncio.InvalidStateError):
                    self.acks[data["envelope_id"]].set_result(data.get("payload"))
        self.sockets.remove(socket)
        return socket
