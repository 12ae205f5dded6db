import asyncio
from datetime import timedelta

import pytest
from aiohttp import web

from bot.clients.exchange import LIMIT
from bot.clients.service import StorageService
from bot.errors import OutcomeUnknown, Unavailable

QUICK = timedelta(milliseconds=300)


@pytest.fixture
async def storage(serve):
    """Builds a client of a storage service that answers by one handler."""
    clients = []

    async def start(handler, limit=LIMIT):
        client = StorageService(await serve(handler), limit=limit)
        clients.append(client)
        return client

    yield start
    for client in clients:
        await client.close()


async def test_an_answer_has_its_status_its_body_and_its_time(storage):
    async def handler(_request):
        await asyncio.sleep(0.05)
        return web.json_response({"status": "healthy"})

    answer = await (await storage(handler)).probe("/health")
    assert (answer.status, answer.json, answer.body) == (200, {"status": "healthy"}, '{"status": "healthy"}')
    assert 0.05 <= answer.seconds < 2


async def test_a_write_is_sent_as_json_to_the_colour_of_the_header(storage):
    seen = []

    async def handler(request):
        seen.append((request.method, request.path, request.headers["X-Storage-Colour"], await request.json()))
        return web.Response(status=201)

    client = await storage(handler)
    answer = await client.probe("/traces", method="POST", header=("X-Storage-Colour", "green"), body={"n": 1})
    assert seen == [("POST", "/traces", "green", {"n": 1})]
    assert (answer.status, answer.body, answer.json) == (201, "", None)


@pytest.mark.parametrize("status", [301, 404, 429, 500, 503])
async def test_every_status_is_an_answer(storage, status):
    async def handler(_request):
        return web.Response(status=status, text="no json", headers={"Location": "/elsewhere"})

    answer = await (await storage(handler)).probe("/health")
    assert (answer.status, answer.body, answer.json) == (status, "no json", None)


async def test_a_cookie_of_the_load_balancer_does_not_pin_later_requests(storage):
    seen = []

    async def handler(request):
        seen.append(request.headers.get("Cookie"))
        response = web.Response()
        response.set_cookie("AWSALBTG", "blue-for-ever")
        return response

    client = await storage(handler)
    await client.probe("/health")
    await client.probe("/health")
    assert seen == [None, None]


@pytest.mark.parametrize("kind", ["hang", "drip"])
async def test_a_slow_read_is_given_up_on_time_as_a_whole(storage, kind, request):
    client = await storage(request.getfixturevalue(kind), limit=QUICK)
    async with asyncio.timeout(2):
        with pytest.raises(Unavailable, match="did not answer /health"):
            await client.probe("/health")


async def test_a_write_without_an_answer_may_have_happened(storage, hang):
    client = await storage(hang, limit=QUICK)
    with pytest.raises(OutcomeUnknown, match="look before trying again"):
        await client.probe("/traces", method="POST", body={})


async def test_a_write_to_a_closed_port_has_not_happened(closed_port):
    client = StorageService(closed_port)
    with pytest.raises(Unavailable, match="cannot be reached") as caught:
        await client.probe("/traces", method="POST", body={})
    assert not isinstance(caught.value, OutcomeUnknown)
    await client.close()
