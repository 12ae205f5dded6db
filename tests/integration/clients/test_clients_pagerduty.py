import asyncio
import time
from datetime import timedelta

import pytest
from aiohttp import web

from bot.clients.pagerduty import LIMIT, PagerDuty
from bot.errors import OutcomeUnknown, Refused, Throttled, Unavailable

QUICK = timedelta(milliseconds=300)
EVENT = {
    "event_action": "trigger",
    "dedup_key": "dep_1",
    "payload": {"summary": "v0.1.0 fails", "source": "opsbot", "severity": "critical"},
    "client": "opsbot",
}


@pytest.fixture
async def pager(serve):
    """Builds a client of a PagerDuty that answers by one handler, and the list of what it received."""
    clients, received = [], []

    async def start(handler, limit=LIMIT):
        async def recording(request):
            received.append((request.path, await request.json()))
            return await handler(request)

        client = PagerDuty("routing", events_url=await serve(recording), limit=limit)
        clients.append(client)
        return client, received

    yield start
    for client in clients:
        await client.close()


def answering(status, body, **headers):
    async def handler(_request):
        if isinstance(body, str):
            return web.Response(status=status, text=body, headers=headers)
        return web.json_response(body, status=status, headers=headers)

    return handler


ACCEPTED = answering(202, {"status": "success", "message": "Event processed", "dedup_key": "dep_1"})


async def test_an_event_arrives_whole_with_the_routing_key_and_its_dedup_key_comes_back(pager):
    client, received = await pager(ACCEPTED)
    assert await client.send_event({**EVENT, "routing_key": "not this one"}) == "dep_1"
    assert received == [("/v2/enqueue", {**EVENT, "routing_key": "routing"})]


async def test_pagerduty_chooses_the_dedup_key_of_an_event_without_one(pager):
    client, _ = await pager(answering(202, {"status": "success", "dedup_key": "chosen"}))
    assert await client.send_event({"payload": EVENT["payload"]}) == "chosen"


@pytest.mark.parametrize("whole", [True, False])
async def test_a_change_is_sent_with_its_links_or_as_its_payload_alone(pager, whole):
    client, received = await pager(answering(202, {"status": "success"}))
    payload = {"summary": "v0.1.0 is live", "timestamp": "2026-01-01T00:00:00Z"}
    event = {"payload": payload, "links": [{"href": "https://x", "text": "x"}]} if whole else {"payload": payload}
    await client.send_change(event if whole else payload)
    assert received == [("/v2/change/enqueue", {**event, "routing_key": "routing"})]


@pytest.mark.parametrize(
    ("headers", "facts"),
    [
        ({"Retry-After": "7"}, {"status": 429, "retry_after": 7.0}),
        ({"ratelimit-reset": "30"}, {"status": 429, "retry_after": 30.0}),
        ({"Retry-After": "Fri, 31 Dec 2027 23:59:59 GMT"}, {"status": 429}),
        ({}, {"status": 429}),
    ],
)
async def test_a_throttle_comes_back_at_once_with_the_wait_that_was_named(pager, headers, facts):
    client, received = await pager(answering(429, {"status": "throttle exceeded"}, **headers))
    started = time.monotonic()
    with pytest.raises(Throttled) as caught:
        await client.send_event(EVENT)
    assert caught.value.facts == facts
    assert len(received) == 1
    assert time.monotonic() - started < 1


@pytest.mark.parametrize("status", [302, 408, 500, 502, 503, 504])
async def test_trouble_on_their_side_is_tried_once_and_reported(pager, status):
    client, received = await pager(answering(status, "oops", Location="/elsewhere"))
    with pytest.raises(Unavailable, match=f"answered {status}"):
        await client.send_event(EVENT)
    assert len(received) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 413])
async def test_a_refusal_quotes_pagerduty_and_not_the_key(pager, status):
    client, received = await pager(answering(status, {"status": "invalid event", "errors": ["'summary' is missing"]}))
    with pytest.raises(Refused, match="'summary' is missing") as caught:
        await client.send_event(EVENT)
    assert "routing" not in caught.value.sentence
    assert len(received) == 1


@pytest.mark.parametrize("body", ["", "<html>", "{", '{"status": "success"}', "[]"])
async def test_an_accepted_event_with_an_unreadable_answer_may_have_been_taken(pager, body):
    client, _ = await pager(answering(202, body))
    with pytest.raises(OutcomeUnknown, match="same dedup key"):
        await client.send_event(EVENT)


@pytest.mark.parametrize("kind", ["hang", "drip"])
async def test_an_event_without_an_answer_in_time_may_have_been_taken(pager, kind, request):
    client, received = await pager(request.getfixturevalue(kind), limit=QUICK)
    async with asyncio.timeout(3):
        with pytest.raises(OutcomeUnknown, match="same dedup key"):
            await client.send_event(EVENT)
    assert len(received) == 1


async def test_a_lost_change_is_not_sent_again(pager, hang):
    client, received = await pager(hang, limit=QUICK)
    with pytest.raises(OutcomeUnknown):
        await client.send_change({"summary": "v0.1.0 is live"})
    assert len(received) == 1


async def test_a_closed_port_cannot_be_reached(closed_port):
    client = PagerDuty("routing", events_url=closed_port)
    with pytest.raises(Unavailable, match="cannot be reached") as caught:
        await client.send_event(EVENT)
    assert not isinstance(caught.value, OutcomeUnknown)
    await client.close()


async def test_pages_are_sent_side_by_side_without_holding_the_event_loop(pager):
    async def slow(request):
        await asyncio.sleep(0.5)
        return await ACCEPTED(request)

    client, _ = await pager(slow)
    started = time.monotonic()
    await asyncio.gather(*(client.send_event(EVENT) for _ in range(4)))
    assert time.monotonic() - started < 1.5
