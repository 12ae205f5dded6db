"""The HTTP endpoints: alive, ready or which part is not, the numbers, and Slack's requests."""

import asyncio
import contextlib
import io

import aiohttp
import pytest
from aiohttp import web

from bot import metrics
from bot.errors import Unavailable
from bot.web import MOST_BYTES, Site


async def fine():
    """Nothing is wrong."""


async def away():
    raise Unavailable("it is away")


async def hangs():
    await asyncio.sleep(60)


@contextlib.asynccontextmanager
async def site(**parts):
    site = Site(**({"checks": {"database": fine}, "collect": fine} | parts))
    port = await site.start("127.0.0.1", 0)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as client:
        yield client
    await site.stop()


async def test_a_process_is_alive_whatever_its_parts_say():
    async with site(checks={"database": away}) as client, client.get("/healthz") as answer:
        assert (answer.status, await answer.json()) == (200, {"status": "alive"})


async def test_ready_says_that_all_parts_are():
    async with site(checks={"database": fine, "slack": fine}) as client, client.get("/readyz") as answer:
        assert answer.status == 200
        assert await answer.json() == {"ready": True, "parts": {"database": "ready", "slack": "ready"}}


@pytest.mark.parametrize(("check", "words"), [(away, "it is away"), (hangs, "no answer within 3 s")])
async def test_not_ready_says_which_part_is_not(check, words):
    async with site(checks={"database": fine, "slack": check}) as client, client.get("/readyz") as answer:
        assert answer.status == 503
        assert await answer.json() == {"ready": False, "parts": {"database": "ready", "slack": words}}


async def test_numbers_are_collected_when_they_are_asked_for():
    async def collect():
        metrics.SOCKETS.set(2)

    async with site(collect=collect) as client, client.get("/metrics") as answer:
        assert answer.content_type == "text/plain"
        assert "opsbot_slack_sockets_connected 2.0" in await answer.text()


async def test_numbers_are_shown_even_when_the_database_is_away():
    async with site(collect=away) as client, client.get("/metrics") as answer:
        assert answer.status == 200


async def test_slack_is_served_only_where_it_is_mounted():
    async def slack(request):
        return web.Response(text=await request.text())

    async with site() as client, client.post("/slack/events", data="x") as answer:
        assert answer.status == 404
    async with site(slack=slack) as client:
        async with client.post("/slack/events", data="hello") as answer:
            assert await answer.text() == "hello"
        async with client.post("/slack/events", data=io.BytesIO(b"x" * (MOST_BYTES + 1))) as answer:
            assert answer.status == 413
