"""The page's routes: what a browser loads, the live stream, and the acts of people (always JSON)."""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from bot.sandbox.slack import panel, shell, views
from bot.sandbox.slack.faults import Faults
from bot.sandbox.slack.gestures import Gestures
from bot.sandbox.slack.records import BOT_USER, Ack, ApiError, Change, Json, User
from bot.sandbox.slack.workspace import Workspace

_PAGE: Final = Path(__file__).parent / "page"
_TYPES: Final = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
_POLICY: Final = "default-src 'self'; img-src * data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'"
_REFRESH_SECONDS: Final = 1.0
_FIRST_USER: Final = "U0JANE"

Body = Mapping[str, Any]
Act = Callable[[User, Body], Awaitable[Ack]]


class Browser:
    """Serves the page. Acts need a JSON body, which no foreign page can send without a preflight."""

    def __init__(
        self,
        workspace: Workspace,
        gestures: Gestures,
        faults: Faults,
        world: Callable[[], Mapping[str, Any]] | None,
        set_fault: Callable[[str, bool], Awaitable[None]] | None,
    ) -> None:
        self._workspace = workspace
        self._gestures = gestures
        self._faults = faults
        self._world = world
        self._set_fault = set_fault
        self._closing = False
        self._streams: set[asyncio.Queue[Json]] = set()

    def routes(self) -> list[web.RouteDef]:
        """Return the page's routes."""
        acts: dict[str, Act] = {
            "type": self._type,
            "click": self._click,
            "operate": self._operate,
            "submit": self._submit,
            "close": self._close_view,
            "home": self._open_home,
            "read": self._read,
            "faults": self._switch,
        }
        return [
            web.get("/", self._index),
            web.get("/archives/{channel}/{ts}", self._permalink),
            web.get("/page/{file}", self._asset),
            web.get("/events", self._events),
            web.get("/ui/frame", self._frame),
            web.get("/ui/thread", self._thread),
            web.get("/ui/traffic", self._traffic),
            *(web.post(f"/ui/{name}", self._acting(act)) for name, act in acts.items()),
        ]

    def close(self) -> None:
        """End every live stream."""
        self._closing = True
        for waiting in self._streams:
            waiting.put_nowait({"kind": "bye"})

    async def _index(self, _request: web.Request) -> web.StreamResponse:
        return _asset("index.html")

    async def _asset(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["file"]
        known = {file.name for file in _PAGE.iterdir()}
        return _asset(name) if name in known else web.Response(status=404)

    async def _permalink(self, request: web.Request) -> web.StreamResponse:
        ts = request.match_info["ts"].removeprefix("p")
        target = f"/?place={request.match_info['channel']}&ts={ts[:-6]}.{ts[-6:]}"
        if "thread_ts" in request.query:
            target += f"&thread={request.query['thread_ts']}"
        raise web.HTTPFound(target)

    async def _frame(self, request: web.Request) -> web.Response:
        user = self._viewer(request.query.get("user"))
        place = request.query.get("place") or "C0ALERTS"
        top = views.top(self._workspace, user.id)
        channel = self._workspace.channels.get(place)
        shown = {
            "user": {"id": user.id, "name": user.name, "title": user.title},
            "sidebar": shell.sidebar(self._workspace, user),
            "people": shell.people(self._workspace, user),
            "place": place,
            "title": self._workspace.users[BOT_USER].name
            if channel is None or channel.im_user
            else f"# {channel.name}",
            "topic": "App Home" if channel is None else channel.topic or "Direct message with the app",
            "html": shell.home(self._workspace, user)
            if channel is None
            else shell.channel(self._workspace, place, user),
            "modal": None if top is None else shell.modal(self._workspace, top),
            "commands": list((self._gestures.manifest or {}).values()),
            "names": self._names(),
        }
        return web.json_response(shown)

    async def _thread(self, request: web.Request) -> web.Response:
        user = self._viewer(request.query.get("user"))
        try:
            parent = self._workspace.find_message(request.query["channel"], request.query["ts"])
        except (ApiError, KeyError):
            return web.json_response({"html": '<p class="empty">This message is gone.</p>'})
        return web.json_response({"html": shell.thread(self._workspace, parent, user)})

    async def _traffic(self, _request: web.Request) -> web.Response:
        return web.json_response({"html": shell.traffic(list(self._workspace.traffic))})

    async def _events(self, request: web.Request) -> web.StreamResponse:
        user = self._viewer(request.query.get("user"))
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        await stream.prepare(request)
        waiting: asyncio.Queue[Json] = asyncio.Queue()

        def changed(change: Change) -> None:
            for event in self._shown(change, user):
                waiting.put_nowait(event)

        self._streams.add(waiting)
        ticking = asyncio.create_task(self._tick(waiting))
        try:
            with self._workspace.listening(changed), contextlib.suppress(ConnectionError):
                while not self._closing:
                    await _send(stream, await waiting.get())
        finally:
            ticking.cancel()
            self._streams.discard(waiting)
        return stream

    async def _tick(self, waiting: asyncio.Queue[Json]) -> None:
        known: dict[str, str] = {}
        while True:
            waiting.put_nowait(self._panel(known))
            await asyncio.sleep(_REFRESH_SECONDS)

    def _panel(self, known: dict[str, str]) -> Json:
        if self._world is None:
            return {"kind": "panel", "parts": {}}
        parts = panel.sections(self._world())
        fresh = {name: html for name, html in parts.items() if known.get(name) != html}
        known.update(fresh)
        return {"kind": "panel", "parts": fresh}

    def _shown(self, change: Change, user: User) -> list[Json]:
        if change.kind == "view" and change.user == user.id:
            top = views.top(self._workspace, user.id)
            return [{"kind": "modal", "html": None if top is None else shell.modal(self._workspace, top)}]
        if change.kind == "home" and change.user == user.id:
            return [{"kind": "home", "html": shell.home(self._workspace, user)}]
        if change.message is None or change.message.ephemeral_for not in {None, user.id}:
            return []
        shown = [self._message(change, user)]
        if change.message.is_reply:
            parent = next(
                (one for one in self._workspace.history[change.message.channel] if one.ts == change.message.thread_ts),
                None,
            )
            if parent is not None and parent.visible_to(user.id):
                shown.append(self._message(Change(kind="message", message=parent), user))
        return shown

    def _message(self, change: Change, user: User) -> Json:
        one = change.message
        assert one is not None
        parent = one.thread_ts if one.is_reply else one.ts
        return {
            "kind": "message",
            "channel": one.channel,
            "ts": one.ts,
            "thread": parent,
            "is_reply": one.is_reply,
            "ephemeral": one.ephemeral_for is not None,
            "counts": change.new and one.user != user.id and shell.in_channel(one),
            "channel_html": None
            if one.deleted or not shell.in_channel(one)
            else shell.message(self._workspace, one, user),
            "thread_html": None if one.deleted else shell.message(self._workspace, one, user, pane="thread"),
        }

    def _acting(self, act: Act) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handle(request: web.Request) -> web.Response:
            if request.content_type != "application/json":
                return web.Response(status=415)
            body = await request.json()
            try:
                ack = await act(self._viewer(body.get("user")), body)
            except (ApiError, KeyError) as error:
                return web.json_response({"status": "failed", "text": str(error)})
            return web.json_response({"status": ack.status, "text": ack.text})

        return handle

    async def _type(self, user: User, body: Body) -> Ack:
        return await self._gestures.type(user, body["channel"], body["text"], body.get("thread") or None)

    async def _click(self, user: User, body: Body) -> Ack:
        message = next((one for one in self._workspace.history[body["channel"]] if one.ts == body["ts"]), None)
        if message is None or message.ephemeral_for not in {None, user.id}:
            raise ApiError("message_not_found")
        key = (body["block"], body["action"])
        return await self._gestures.click(user, message, key, body.get("value"), _typed(body))

    async def _operate(self, user: User, body: Body) -> Ack:
        view = views.find(self._workspace, body["view"])
        view.values.update(_typed(body))
        return await self._gestures.operate(user, view, (body["block"], body["action"]), body.get("value"))

    async def _submit(self, user: User, body: Body) -> Ack:
        view = views.find(self._workspace, body["view"])
        view.values.update(_typed(body))
        return await self._gestures.submit(user, view)

    async def _close_view(self, user: User, body: Body) -> Ack:
        return await self._gestures.close(user, views.find(self._workspace, body["view"]))

    async def _open_home(self, user: User, _body: Body) -> Ack:
        self._gestures.open_home(user)
        return Ack()

    async def _read(self, user: User, body: Body) -> Ack:
        history = self._workspace.history[body["channel"]]
        if history:
            self._workspace.read[user.id, body["channel"]] = history[-1].ts
        return Ack()

    async def _switch(self, _user: User, body: Body) -> Ack:
        if self._set_fault is not None:
            await self._set_fault(str(body["name"]), bool(body["on"]))
        return Ack()

    def _viewer(self, reference: str | None) -> User:
        user = self._workspace.users.get(reference or _FIRST_USER)
        return self._workspace.users[_FIRST_USER] if user is None or user.is_bot else user

    def _names(self) -> list[str]:
        users = [f"@{user.handle}" for user in self._workspace.users.values() if user.handle != "slackbot"]
        return [*users, *(f"@{group.handle}" for group in self._workspace.groups.values())]


def _asset(name: str) -> web.Response:
    file = _PAGE / name
    headers = {"Content-Security-Policy": _POLICY, "Cache-Control": "no-cache"}
    return web.Response(text=file.read_text("utf-8"), content_type=_TYPES[file.suffix], headers=headers)


def _typed(body: Body) -> dict[tuple[str, str], object]:
    return {(block, action): value for block, action, value in body.get("typed", [])}


async def _send(stream: web.StreamResponse, event: Json) -> None:
    await stream.write(f"data: {json.dumps(event)}\n\n".encode())
