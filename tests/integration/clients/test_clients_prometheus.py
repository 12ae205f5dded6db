import asyncio
import math
from datetime import timedelta

import pytest
from aiohttp import web

from bot.clients.exchange import LIMIT
from bot.clients.prometheus import Prometheus, Sample
from bot.errors import Conflict, OutcomeUnknown, Refused, Unavailable

QUICK = timedelta(milliseconds=300)


@pytest.fixture
async def prometheus(serve):
    """Builds a client of a Prometheus that answers by one handler."""
    clients = []

    async def start(handler, path="", limit=LIMIT):
        client = Prometheus(await serve(handler) + path, limit=limit)
        clients.append(client)
        return client

    yield start
    for client in clients:
        await client.close()


def success(data):
    async def handler(_request):
        return web.json_response({"status": "success", "data": data})

    return handler


def series(*pairs):
    result = [{"metric": labels, "value": [1767225600.1, value]} for labels, value in pairs]
    return success({"resultType": "vector", "result": result})


async def test_a_vector_keeps_labels_and_values(prometheus):
    client = await prometheus(series(({"color": "blue"}, "0.25"), ({"color": "green"}, "+Inf")))
    blue, green = Sample(labels={"color": "blue"}, value=0.25), Sample(labels={"color": "green"}, value=math.inf)
    assert await client.vector("up") == (blue, green)


async def test_a_query_arrives_as_it_was_written_below_any_prefix(prometheus):
    asked = []

    async def handler(request):
        asked.append((request.path, request.query["query"]))
        return await series()(request)

    query = 'sum(rate(http_requests_total{status=~"5..",color="blue"}[2m])) / 100 & more'
    await (await prometheus(handler, "/prometheus")).vector(query)
    assert asked == [("/prometheus/api/v1/query", query)]


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        (series(), None),
        (series(({}, "NaN")), None),
        (series(({}, "0")), 0.0),
        (success({"resultType": "scalar", "result": [1767225600, "42"]}), 42.0),
    ],
)
async def test_no_data_is_none_and_nothing_is_zero(prometheus, answer, value):
    assert await (await prometheus(answer)).scalar("sum(up)") == value


async def test_several_series_are_no_scalar(prometheus):
    client = await prometheus(series(({"a": "1"}, "1"), ({"a": "2"}, "2")))
    with pytest.raises(Conflict, match="gives 2 series"):
        await client.scalar("up")


async def test_a_range_is_refused(prometheus):
    client = await prometheus(success({"resultType": "matrix", "result": []}))
    with pytest.raises(Refused, match="gives a matrix"):
        await client.vector("up[5m]")


@pytest.mark.parametrize("status", [400, 422])
async def test_a_bad_query_is_refused_in_the_words_of_prometheus(prometheus, status):
    async def handler(_request):
        body = {"status": "error", "errorType": "bad_data", "error": "1:5: parse error: unexpected end"}
        return web.json_response(body, status=status)

    with pytest.raises(Refused, match="parse error: unexpected end"):
        await (await prometheus(handler)).vector("sum(")


@pytest.mark.parametrize("status", [301, 401, 404, 429, 500, 503])
async def test_any_other_status_is_no_answer(prometheus, status):
    async def handler(_request):
        return web.Response(status=status, text="<html>", headers={"Location": "/elsewhere"})

    with pytest.raises(Unavailable, match=f"with {status}"):
        await (await prometheus(handler)).vector("up")


@pytest.mark.parametrize(
    "text",
    ["", "<html>", "{", "[]", '{"status": "success"}', '{"status": "success", "data": {"resultType": "vector"}}'],
)
async def test_what_does_not_speak_prometheus_is_no_answer(prometheus, text):
    async def handler(_request):
        return web.Response(text=text)

    with pytest.raises(Unavailable, match="PROMETHEUS_URL"):
        await (await prometheus(handler)).vector("up")


@pytest.mark.parametrize("kind", ["hang", "drip"])
async def test_a_slow_answer_is_given_up_on_time_as_a_whole(prometheus, kind, request):
    client = await prometheus(request.getfixturevalue(kind), limit=QUICK)
    async with asyncio.timeout(2):
        with pytest.raises(Unavailable, match="did not answer") as caught:
            await client.vector("up")
    assert not isinstance(caught.value, OutcomeUnknown)


async def test_a_closed_port_cannot_be_reached(closed_port):
    client = Prometheus(closed_port)
    with pytest.raises(Unavailable, match="cannot be reached"):
        await client.firing()
    await client.close()


async def test_the_password_of_the_address_is_not_shown(closed_port):
    client = Prometheus(closed_port.replace("//", "//opsbot:secret@"))
    with pytest.raises(Unavailable) as caught:
        await client.firing()
    assert "secret" not in caught.value.sentence
    await client.close()


async def test_only_alerts_that_fire_are_named_and_each_once(prometheus):
    names = [("Disk", "firing"), ("Cpu", "pending"), ("Api", "firing"), ("Disk", "firing")]
    alerts = [{"labels": {"alertname": name}, "state": state} for name, state in names]
    assert await (await prometheus(success({"alerts": alerts}))).firing() == ("Api", "Disk")


async def test_alerts_of_a_strange_shape_are_no_answer(prometheus):
    with pytest.raises(Unavailable, match="does not speak"):
        await (await prometheus(success({"alerts": [{}]}))).firing()
