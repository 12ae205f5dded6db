"""The HTTP side: whether this process lives, whether it is ready, its numbers, and Slack's signed requests."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from aiohttp import web

from bot import metrics
from bot.errors import OpsError

Check: TypeAlias = Callable[[], Awaitable[None]]
Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]

CHECK_SECONDS = 3.0
STOP_SECONDS = 5.0
# Slack's largest payloads, a form with all its state, stay well below.
MOST_BYTES = 1024 * 1024


class Site:
    """One listening socket. `checks` raise what is not ready; `collect` refreshes the numbers before they are shown."""

    def __init__(self, *, checks: Mapping[str, Check], collect: Check, slack: Handler | None = None) -> None:
        self._checks = checks
        self._collect = collect
        app = web.Application(client_max_size=MOST_BYTES)
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics)
        if slack is not None:
            app.router.add_post("/slack/events", slack)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=STOP_SECONDS)

    async def start(self, host: str, port: int) -> int:
        """Listen, and return the port (0 asked for any free one). Raises OSError when it is taken."""
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Take no more requests and let those at work end."""
        await self._runner.cleanup()

    async def _healthz(self, _request: web.Request) -> web.Response:
        return web.json_response({"status": "alive"})

    async def _readyz(self, _request: web.Request) -> web.Response:
        findings = await asyncio.gather(*(_finding(check) for check in self._checks.values()))
        parts = dict(zip(self._checks, findings, strict=True))
        for part, finding in parts.items():
            metrics.READY.labels(part).set(finding is None)
        ready = all(finding is None for finding in findings)
        body = {"ready": ready, "parts": {part: finding or "ready" for part, finding in parts.items()}}
        return web.json_response(body, status=200 if ready else 503)

    async def _metrics(self, _request: web.Request) -> web.Response:
        await _finding(self._collect)
        return web.Response(body=metrics.render(), headers={"Content-Type": metrics.CONTENT_TYPE})


async def _finding(check: Check) -> str | None:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await check()
    except OpsError as error:
        return error.sentence
    except TimeoutError:
        return f"no answer within {CHECK_SECONDS:.0f} s"
    return None
