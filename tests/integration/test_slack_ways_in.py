"""Mentions, signed HTTP, and how the app is built: the same handlers, other ways in."""

import asyncio
import inspect
import logging
import time
import urllib.parse

import aiohttp
import pytest
from aiohttp import web
from slack_bolt.async_app import AsyncBoltRequest
from slack_bolt.kwargs_injection.async_utils import build_async_required_kwargs
from slack_bolt.middleware.async_custom_middleware import AsyncCustomMiddleware
from slack_sdk.signature import SignatureVerifier
from surface import SECRET, World

from bot.contract import Role
from bot.errors import Misconfigured, Unavailable
from bot.slack import app as slack_app

# --- mentions


async def test_a_mention_is_answered_in_its_thread(world):
    assert await world.deliver(world.mention()) == ""
    await world.settled(lambda: world.server.called("chat.postMessage"))
    (post,) = world.server.called("chat.postMessage")
    assert (post["channel"], post["thread_ts"], post["text"]) == ("CHOME", "1.0", "Started dep_1")
    (request,) = world.desk.requests
    assert (request.key, request.text, request.thread) == ("Ev1", "dep_1", "1.0")
    assert request.person.roles == {Role.APPROVER}


async def test_a_mention_is_acknowledged_only_after_the_handler(world):
    world.desk.gate = asyncio.Event()
    delivery = asyncio.create_task(world.deliver(world.mention()))
    await asyncio.sleep(0.1)
    assert not delivery.done()
    world.desk.gate.set()
    await delivery
    assert world.desk.effects == {"Ev1"}


async def test_a_mention_delivered_again_is_done_and_answered_once(world):
    await world.deliver(world.mention())
    await world.deliver(world.mention(), **{"x-slack-retry-num": "1", "x-slack-retry-reason": "http_timeout"})
    await world.settled(lambda: world.server.called("chat.postMessage"))
    await asyncio.sleep(0.05)
    assert len(world.desk.requests) == len(world.server.called("chat.postMessage")) == 1


@pytest.mark.parametrize("text", ["<@UBOT> dance <!here>", "<@UBOT>"])
async def test_an_unknown_mention_lists_what_is_understood(world, text):
    await world.deliver(world.mention(text))
    await world.settled(lambda: world.server.called("chat.postMessage"))
    said = world.server.called("chat.postMessage")[0]["text"]
    assert "`approve`" in said
    assert "`/deploy help`" in said
    assert "<!" not in said


async def test_a_mention_elsewhere_is_told_where_to_ask(world):
    await world.deliver(world.mention(channel="CELSE"))
    await world.settled(lambda: world.server.called("chat.postMessage"))
    assert "#llm-observatory-alerts" in world.server.called("chat.postMessage")[0]["text"]
    assert world.desk.requests == []


async def test_a_mention_that_fails_is_answered_in_the_thread(world):
    world.desk.reply = Unavailable("The database does not answer")
    await world.deliver(world.mention())
    await world.settled(lambda: world.server.called("chat.postMessage"))
    assert "The database does not answer" in world.server.called("chat.postMessage")[0]["text"]


@pytest.mark.parametrize(
    "body",
    [
        {"type": "view_closed", "view": {}, "user": {"id": "U1"}},
        {"type": "event_callback", "event": {"type": "app_home_opened", "user": "U1"}},
    ],
)
async def test_what_nobody_asked_is_acknowledged_in_silence(world, body):
    assert await world.deliver(body) == ""


# --- signed HTTP


@pytest.fixture
async def site(world):
    site = web.Application()
    site.router.add_post("/slack/events", slack_app.http_handler(world.app))
    runner = web.AppRunner(site)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with aiohttp.ClientSession(f"http://127.0.0.1:{runner.addresses[0][1]}") as session:
        yield session
    await runner.cleanup()


def signed(payload, *, age=0, secret=SECRET):
    body = urllib.parse.urlencode({key: value for key, value in payload.items() if value is not None})
    stamp = str(int(time.time()) - age)
    signature = SignatureVerifier(secret).generate_signature(timestamp=stamp, body=body)
    headers = {
        "content-type": "application/x-www-form-urlencoded",
        "x-slack-request-timestamp": stamp,
        "x-slack-signature": signature,
    }
    return {"data": body, "headers": headers}


async def test_a_signed_command_over_http_gets_the_same_answer(world, site):
    async with site.post("/slack/events", **signed(world.command())) as answer:
        assert answer.status == 200
        assert (await answer.json())["text"] == "Started dep_1"


@pytest.mark.parametrize(
    "request_", [{"secret": "forged"}, {"age": 301}, {"age": -301}], ids=["forged", "stale", "from the future"]
)
async def test_a_forged_or_stale_request_is_refused_and_reaches_nobody(world, site, request_):
    async with site.post("/slack/events", **signed(world.command(), **request_)) as answer:
        assert answer.status == 401
    assert world.desk.requests == []


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-slack-signature": "v0=abc"},
        {"x-slack-signature": "v0=abc", "x-slack-request-timestamp": "soon"},
        {"x-slack-signature": "", "x-slack-request-timestamp": "1"},
        {"x-slack-signature": "v0=abc", "x-slack-request-timestamp": "9" * 400},
    ],
)
async def test_a_request_that_is_not_even_signed_is_refused(world, site, headers):
    async with site.post("/slack/events", data="command=/deploy", headers=headers) as answer:
        assert answer.status == 401


@pytest.mark.parametrize("data", [b"\xff\xfe", b"[1]", b"{broken", b"payload=%7Bbroken"])
async def test_a_strangers_broken_body_crashes_nothing(world, site, data):
    kind = "application/json" if data[:1] in {b"[", b"{"} else "application/x-www-form-urlencoded"
    headers = signed(world.command())["headers"] | {"content-type": kind}
    async with site.post("/slack/events", data=data, headers=headers) as answer:
        assert answer.status in {400, 401}


async def test_a_replayed_request_has_the_same_key_and_no_second_effect(world, site):
    request = signed(world.command())
    answers = []
    for _ in range(3):
        async with site.post("/slack/events", **request) as answer:
            answers.append(await answer.text())
    assert len(set(answers)) == 1
    assert world.desk.effects == {"1.2.3"}


async def test_instructions_to_bolt_in_unsigned_headers_are_dropped(world, site):
    request = signed(world.command())
    request["headers"]["x-slack-bolt-lazy-only"] = "1"
    async with site.post("/slack/events", **request) as answer:
        assert (await answer.json())["text"] == "Started dep_1"


async def test_without_a_signing_secret_every_http_request_is_refused(server, slack):
    world = World(server, slack, slack_signing_secret=None)
    request = signed(world.command())
    parsed = AsyncBoltRequest(body=request["data"], headers=request["headers"])
    response = await world.app.async_dispatch(parsed)
    assert response.status == 500
    assert response.body == ""
    assert world.desk.requests == []


# --- building


async def test_oauth_settings_in_the_environment_stop_the_start(world, monkeypatch):
    monkeypatch.setenv("SLACK_CLIENT_ID", "1")
    monkeypatch.setenv("SLACK_CLIENT_SECRET", "2")
    with pytest.raises(Misconfigured, match="SLACK_CLIENT_ID"):
        slack_app.build([world.desk.command()], world.services)


async def test_two_commands_may_not_claim_the_same_button(world):
    with pytest.raises(Misconfigured, match="deploy_approve"):
        slack_app.build([world.desk.command(), world.desk.command("/other")], world.services)


async def test_every_listener_takes_only_arguments_that_bolt_knows(world, caplog):
    runner = world.app.listener_runner
    functions = [listener.ack_function for listener in world.app._async_listeners]
    middleware = [part for listener in world.app._async_listeners for part in listener.middleware]
    functions += [part.func for part in middleware if isinstance(part, AsyncCustomMiddleware)]
    functions += [world.app._async_before_authorize.func, runner.listener_error_handler.func]
    assert len(functions) == 8
    for function in functions:
        build_async_required_kwargs(
            logger=logging.getLogger("injection"),
            required_arg_names=list(inspect.signature(function).parameters),
            request=AsyncBoltRequest(mode="socket_mode", body={}),
            response=None,
        )
    # Bolt passes None for a name it does not know, and only warns.
    assert caplog.messages == []


async def test_fifty_commands_at_once_are_answered_within_the_three_seconds(world):
    before = time.monotonic()
    answers = await asyncio.gather(*(world.deliver(world.command(trigger_id=str(n))) for n in range(50)))
    assert time.monotonic() - before < 3
    assert {answer["text"] for answer in answers} == {"Started dep_1"}
    assert len(world.desk.effects) == 50
