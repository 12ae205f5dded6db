"""The storage service behind its load balancer: the answers a user gets from the colour that takes the request.

The request goes to a colour by the test rule's header or by the weights that work, and within it to a healthy task; a
colour without one answers 503, as a load balancer does.
"""

import asyncio
import random
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from bot.sandbox import places, releases
from bot.sandbox.samples import NAME
from bot.sandbox.scraper import Scraper
from bot.sandbox.traffic import Side, Target

_KEPT_TRACES = 1000
_MOST_LISTED = 1000
_REAL_SECONDS = 0.004
_SCHEMA_VERSION = "006"


class Balancer:
    """One environment's load balancer and what stands behind it. Traces are kept in memory for both colours."""

    def __init__(self, environment: str, scraper: Scraper, *, clock: Callable[[], int], seed: int = 1) -> None:
        self._environment = environment
        self._scraper = scraper
        self._clock = clock
        self._dice = random.Random(seed)
        self.traces: deque[dict[str, Any]] = deque(maxlen=_KEPT_TRACES)

    def application(self) -> web.Application:
        """Return the routes; mount them under any prefix."""
        application = web.Application()
        application.router.add_get("/health", self._health)
        application.router.add_get("/metrics", self._metrics)
        application.router.add_get("/api/v1/traces", self._list)
        application.router.add_post("/api/v1/traces", self._store)
        return application

    async def _health(self, request: web.Request) -> web.Response:
        colour, target = self._target(request)
        release = _release(target)
        started = self._clock()
        await self._work(release)
        connected = release.gets_healthy
        body = {
            "status": "healthy" if connected else "unhealthy",
            "version": target.version,
            "color": colour,
            "timestamp": datetime.now(UTC).isoformat(),
            "database": {
                "postgres": {
                    "status": "connected" if connected else "error: pool timed out while waiting for a connection",
                    "schema_version": _SCHEMA_VERSION,
                },
                "redis": {"status": "connected"},
            },
            "pool_stats": {"size": 20, "active": 5, "idle": 15, "max": 20},
            "check_duration_ms": self._clock() - started,
        }
        return web.json_response(body, status=200 if connected else 500)

    async def _metrics(self, request: web.Request) -> web.Response:
        colour, target = self._target(request)
        self._scraper.catch_up(self._clock())
        wanted = {"environment": self._environment, "color": colour, "instance": target.instance}
        lines = [
            f"{_series(dict(labels))} {value:g}"
            for labels, value in self._scraper.traffic.scrape(self._scraper.views).items()
            if wanted.items() <= dict(labels).items()
        ]
        return web.Response(text="\n".join(lines) + "\n", headers={"Content-Type": "text/plain; version=0.0.4"})

    async def _store(self, request: web.Request) -> web.Response:
        colour, target = self._target(request)
        try:
            trace = await request.json()
        except ValueError:
            return web.json_response({"error": "body is not JSON"}, status=400)
        if not isinstance(trace, dict):
            return web.json_response({"error": "a trace is a JSON object"}, status=400)
        await self._work(_release(target))
        kept = {"trace_id": uuid.uuid4().hex, **trace, "received_at": datetime.now(UTC).isoformat()}
        self.traces.append(kept)
        return web.json_response({"trace_id": kept["trace_id"], "color": colour}, status=201)

    async def _list(self, request: web.Request) -> web.Response:
        colour, target = self._target(request)
        limit = request.query.get("limit", "100")
        if not limit.isdigit() or not 1 <= int(limit) <= _MOST_LISTED:
            return web.json_response({"error": f"limit is 1 to {_MOST_LISTED}"}, status=400)
        await self._work(_release(target))
        newest = list(self.traces)[::-1][: int(limit)]
        return web.json_response({"traces": newest, "count": len(newest), "color": colour})

    async def _work(self, release: releases.Release) -> None:
        # Real seconds: what a person or a probe waits here is no wait of the runbook, so the speed does not shorten it.
        await asyncio.sleep(_REAL_SECONDS * release.slowness)

    def _target(self, request: web.Request) -> tuple[str, Target]:
        """Choose who answers. The test rule reaches tasks that fail their health checks only when no other is left."""
        view = self._scraper.views[self._environment]
        colour = request.headers.get(places.TEST_HEADER, "")
        if colour not in places.COLOURS:
            colour = self._by_weight(view.effective)
        side = view.sides[colour]
        candidates = [target for target in side.targets if target.healthy] or _failing_open(side)
        if not candidates:
            raise web.HTTPServiceUnavailable(text="503 Service Temporarily Unavailable")
        return colour, self._dice.choice(candidates)

    def _by_weight(self, weights: Mapping[str, int]) -> str:
        colours = [colour for colour, weight in weights.items() if weight]
        if not colours:
            raise web.HTTPServiceUnavailable(text="503 Service Temporarily Unavailable")
        return self._dice.choices(colours, [weights[colour] for colour in colours])[0]


def _failing_open(side: Side) -> list[Target]:
    """A load balancer whose targets all fail sends to all of them; that is how an unhealthy release shows its 500."""
    return [target for target in side.targets if not _release(target).gets_healthy]


def _release(target: Target) -> releases.Release:
    return releases.RELEASES.get(target.version, releases.RELEASES[releases.LIVE])


def _series(labels: dict[str, str]) -> str:
    name = labels.pop(NAME)
    return name + "{" + ",".join(f'{key}="{value}"' for key, value in labels.items()) + "}"
