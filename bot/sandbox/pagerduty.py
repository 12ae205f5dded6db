"""PagerDuty over HTTP: the Events API v2 and the part of the REST API that the bot uses."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from bot.sandbox import pager, pagerduty_shapes
from bot.sandbox.pager import Incident, Pager, Rejected

OUTAGES = ("error", "hang", "reset", "throttle")
_LARGEST_EVENT = 512 * 1024
_HANG_SECONDS = 60.0


class PagerDuty:
    """The server. `outage` is None or one of OUTAGES: answers 503, hangs, cuts the connection, answers 429."""

    def __init__(self) -> None:
        self.pager = Pager()
        self.outage: str | None = None
        self._healed = asyncio.Event()

    def fail(self, outage: str | None) -> None:
        """Start or end an outage; who hangs is let go when it ends."""
        self.outage = outage
        if outage is None:
            self._healed.set()
        else:
            self._healed.clear()

    def events(self) -> web.Application:
        """Return the routes of the Events API."""
        application = web.Application(middlewares=[self._guard], client_max_size=_LARGEST_EVENT)
        application.router.add_post("/v2/enqueue", self._enqueue)
        application.router.add_post("/v2/change/enqueue", self._enqueue_change)
        return application

    def rest(self) -> web.Application:
        """Return the routes of the REST API."""
        application = web.Application(middlewares=[self._guard, _authorized])
        router = application.router
        router.add_get("/incidents", self._incidents)
        router.add_get("/incidents/{id}", self._incident)
        router.add_put("/incidents/{id}", self._change_incident)
        router.add_get("/incidents/{id}/notes", self._notes)
        router.add_post("/incidents/{id}/notes", self._add_note)
        router.add_get("/oncalls", _answering(pagerduty_shapes.oncalls))
        router.add_get("/users", _answering(pagerduty_shapes.users))
        router.add_get("/abilities", _answering(pagerduty_shapes.abilities))
        router.add_get(f"/escalation_policies/{pager.POLICY}", _answering(pagerduty_shapes.policy))
        router.add_get(f"/services/{pager.SERVICE}", _answering(pagerduty_shapes.service))
        return application

    @web.middleware
    async def _guard(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        match self.outage:
            case "error":
                return web.Response(status=503, text="Service Unavailable")
            case "throttle":
                return web.json_response(
                    {"status": "throttle exceeded", "message": "Requests for this service are arriving too quickly."},
                    status=429,
                    headers={"ratelimit-reset": "30"},
                )
            case "hang" | "reset" as way:
                if way == "hang":
                    await _wait(self._healed)
                if request.transport is not None:
                    request.transport.abort()
                return web.Response(status=503)
        try:
            return await handler(request)
        except web.HTTPNotFound:
            return _error(404, 2100, "Not Found")

    async def _enqueue(self, request: web.Request) -> web.Response:
        try:
            key = self.pager.accept(await _object(request), datetime.now(UTC))
        except Rejected as error:
            return _invalid(error)
        return web.json_response({"status": "success", "message": "Event processed", "dedup_key": key}, status=202)

    async def _enqueue_change(self, request: web.Request) -> web.Response:
        try:
            self.pager.accept_change(await _object(request), datetime.now(UTC))
        except Rejected as error:
            return _invalid(error)
        return web.json_response({"status": "success", "message": "Change event processed"}, status=202)

    async def _incidents(self, request: web.Request) -> web.Response:
        query = request.query
        statuses = set(query.getall("statuses[]", ["triggered", "acknowledged", "resolved"]))
        services = query.getall("service_ids[]", [pager.SERVICE])
        key = query.get("incident_key")
        found = [
            incident
            for incident in self.pager.incidents.values()
            if incident.status in statuses and key in {None, incident.dedup_key} and pager.SERVICE in services
        ]
        limit, offset = int(query.get("limit", "25")), int(query.get("offset", "0"))
        shown = [pagerduty_shapes.incident(each) for each in found[offset : offset + limit]]
        more = len(found) > offset + limit
        return web.json_response(
            {"incidents": shown, "limit": limit, "offset": offset, "more": more, "total": None},
        )

    async def _incident(self, request: web.Request) -> web.Response:
        return web.json_response({"incident": pagerduty_shapes.incident(self._found(request))})

    async def _change_incident(self, request: web.Request) -> web.Response:
        incident = self._found(request)
        by = request.headers.get("From", "")
        if not any(user.email == by for user in pager.ROSTER):
            return _error(400, 1008, "Requester User Not Found")
        try:
            self.pager.change(incident, (await _object(request)).get("incident"), by, datetime.now(UTC))
        except Rejected as error:
            return _error(400, 2001, "Invalid Input Provided", error.findings)
        return web.json_response({"incident": pagerduty_shapes.incident(incident)})

    async def _notes(self, request: web.Request) -> web.Response:
        return web.json_response({"notes": self._found(request).notes})

    async def _add_note(self, request: web.Request) -> web.Response:
        incident = self._found(request)
        by = next((user for user in pager.ROSTER if user.email == request.headers.get("From")), None)
        if by is None:
            return _error(400, 1008, "Requester User Not Found")
        try:
            note = (await _object(request)).get("note")
        except Rejected as error:
            return _error(400, 2001, "Invalid Input Provided", error.findings)
        if not isinstance(note, dict) or not note.get("content"):
            return _error(400, 2001, "Invalid Input Provided", ["Note content is missing"])
        kept = {
            "id": f"PNOTE{len(incident.notes) + 1:03d}",
            "content": str(note["content"]),
            "created_at": datetime.now(UTC).isoformat(),
        }
        incident.notes.append(kept)
        return web.json_response({"note": {**kept, "user": pagerduty_shapes.user_reference(by)}}, status=200)

    def _found(self, request: web.Request) -> Incident:
        incident = self.pager.incidents.get(request.match_info["id"])
        if incident is None:
            raise web.HTTPNotFound
        return incident


@web.middleware
async def _authorized(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    if request.headers.get("Authorization") != f"Token token={pager.API_KEY}":
        return _error(401, 2006, "Authentication failed")
    return await handler(request)


def _answering(shape: Callable[[], dict[str, Any]]) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response(shape())

    return answer


async def _object(request: web.Request) -> dict[str, Any]:
    try:
        body = json.loads(await request.text())
    except ValueError as error:
        raise Rejected(["JSON is malformed"]) from error
    if not isinstance(body, dict):
        raise Rejected(["Event object is invalid"])
    return body


async def _wait(healed: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(_HANG_SECONDS):
            await healed.wait()
    except TimeoutError:
        return


def _invalid(error: Rejected) -> web.Response:
    body = {"status": "invalid event", "message": "Event object is invalid", "errors": error.findings}
    return web.json_response(body, status=400)


def _error(status: int, code: int, message: str, findings: list[str] | None = None) -> web.Response:
    error: dict[str, object] = {"message": message, "code": code}
    return web.json_response({"error": error | ({"errors": findings} if findings else {})}, status=status)
