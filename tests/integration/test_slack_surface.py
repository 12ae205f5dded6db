"""Signed payloads in, answers out: the handlers are small fakes, everything between them and Slack is real."""

import asyncio
import inspect
import json
import logging
import time
import urllib.parse
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import aiohttp
import pytest
from aiohttp import web
from slack_bolt.async_app import AsyncBoltRequest
from slack_bolt.kwargs_injection.async_utils import build_async_required_kwargs
from slack_bolt.middleware.async_custom_middleware import AsyncCustomMiddleware
from slack_sdk.signature import SignatureVerifier
from slack_server import SlackServer, no

from bot import blocks
from bot.clients.slack import Slack
from bot.contract import Command, Reply, Role
from bot.errors import Invalid, Misconfigured, OutcomeUnknown, Unavailable
from bot.people import People
from bot.settings import Settings
from bot.slack import app as slack_app

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
FORM = blocks.modal("deploy_form", "Deploy", [blocks.text_input("version", "Version")], submit="Deploy", value="dep_1")


class Desk:
    """The handlers of one command: they record requests and return, raise or wait as told."""

    def __init__(self):
        self.requests = []
        self.reply = Reply(text="Started dep_1")
        self.gate = None
        self.effects = set()

    async def __call__(self, request, services):
        self.requests.append(request)
        if self.gate:
            await self.gate.wait()
        if isinstance(self.reply, Exception):
            raise self.reply
        self.effects.add(request.key)
        return self.reply

    def command(self, name="/deploy"):
        return Command(
            name=name,
            summary="Deploy a version",
            usage="/deploy <version> <environment>",
            examples=(),
            handle=self,
            buttons={"deploy_approve": self},
            views={"deploy_form": self},
            mentions={"approve": self},
        )


class World:
    """One bot and one Slack."""

    def __init__(self, server, slack, **settings):
        self.server = server
        self.desk = Desk()
        self.services = SimpleNamespace(
            settings=Settings(
                slack_bot_token="xoxb-1", slack_app_token="xapp-1", slack_api_url=server.url, **({"slack_signing_secret": SECRET} | settings)
            ),
            people=People(slack, {Role.APPROVER: ("obs-approvers",), Role.DEPLOYER: ("UJANE",)}),
            slack=slack,
            now=lambda: NOW,
        )  # fmt: skip
        self.app = slack_app.build([self.desk.command()], self.services, budget=timedelta(seconds=0.3))

    async def deliver(self, body, **headers):
        """Deliver one payload as Socket Mode does; return the ack's body as Slack reads it."""
        request = AsyncBoltRequest(mode="socket_mode", body=body, headers=headers or None)
        response = await self.app.async_dispatch(request)
        assert response.status == 200
        return json.loads(response.body) if response.body.startswith("{") else response.body

    def command(self, text="v0.1.0 production", **changes):
        return {
            "command": "/deploy",
            "text": text,
            "user_id": "UJANE",
            "channel_id": "CHOME",
            "channel_name": "llm-observatory-alerts",
            "trigger_id": "1.2.3",
            "response_url": self.server.response_url,
        } | changes

    def click(self, action="deploy_approve", **changes):
        return {
            "type": "block_actions",
            "user": {"id": "UBOB"},
            "trigger_id": "1.2.3",
            "container": {"type": "message", "message_ts": "5.5", "channel_id": "CHOME"},
            "channel": {"id": "CHOME", "name": "llm-observatory-alerts"},
            "response_url": self.server.response_url,
            "actions": [
                {"type": "button", "action_id": action, "block_id": "row", "value": "dep_1", "action_ts": "9.9"}
            ],
        } | changes

    def submission(self, callback="deploy_form"):
        view = {
            "type": "modal",
            "callback_id": callback,
            "private_metadata": "dep_1",
            "blocks": FORM["blocks"],
            "state": {"values": {"version": {"version": {"type": "plain_text_input", "value": "v0.1.O"}}}},
        }
        return {"type": "view_submission", "user": {"id": "UBOB"}, "trigger_id": "1.2.3", "view": view}

    def mention(self, text="<@UBOT> approve dep_1", **changes):
        event = {
            "type": "app_mention",
            "user": "UBOB",
            "text": text,
            "ts": "2.0",
            "thread_ts": "1.0",
            "channel": "CHOME",
        }
        return {"type": "event_callback", "event_id": "Ev1", "team_id": "T1", "event": event | changes}

    async def settled(self, seen):
        """Wait until what follows the ack has arrived."""
        for _ in range(200):
            if seen():
                return
            await asyncio.sleep(0.01)
        raise AssertionError("nothing followed")


@pytest.fixture
async def server():
    server = SlackServer()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def slack(server):
    slack = Slack("xoxb-1", base_url=server.url)
    yield slack
    await slack.close()


@pytest.fixture
async def world(server, slack):
    return World(server, slack)


# --- commands


async def test_a_command_is_acknowledged_with_the_handlers_reply_and_only_the_asker_sees_it(world):
    answer = await world.deliver(world.command())
    assert (answer["response_type"], answer["text"]) == ("ephemeral", "Started dep_1")
    (request,) = world.desk.requests
    assert (request.key, request.text, request.command, request.at) == ("1.2.3", "v0.1.0 production", "/deploy", NOW)
    assert (request.person.id, request.person.roles) == ("UJANE", {Role.DEPLOYER})


async def test_a_reply_for_the_channel_is_shown_in_the_channel(world):
    world.desk.reply = Reply(text="Shared", blocks=(blocks.section("Shared"),), audience="channel")
    answer = await world.deliver(world.command())
    assert (answer["response_type"], answer["blocks"]) == ("in_channel", [blocks.section("Shared")])


async def test_a_layout_that_slack_would_refuse_is_said_plainly(world):
    table = blocks.table([["a"]])
    world.desk.reply = Reply(text="Two tables", blocks=(table, table))
    answer = await world.deliver(world.command())
    assert [block["type"] for block in answer["blocks"]] == ["section", "section"]


async def test_a_form_is_opened_before_the_ack_and_without_reading_anything_from_slack(world):
    world.desk.reply = Reply(view=FORM)
    assert await world.deliver(world.command("")) == ""
    (opened,) = world.server.called("views.open")
    assert (opened["trigger_id"], opened["view"]) == ("1.2.3", FORM)


async def test_a_form_that_cannot_be_opened_says_so(world):
    world.desk.reply = Reply(view=FORM)
    world.server.answers["views.open"] = lambda _: no("expired_trigger_id")
    answer = await world.deliver(world.command(""))
    assert "could not be opened in time" in answer["text"]
    assert "Nothing was changed" in answer["text"]


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ({"channel_id": "CELSE", "channel_name": "random"}, "not here"),
        ({"channel_id": "D1", "channel_name": "directmessage"}, "not in direct messages"),
        ({"channel_id": "GELSE", "channel_name": "privategroup"}, "not here"),
    ],
)
async def test_a_command_from_elsewhere_is_told_where_to_ask(world, place, words):
    answer = await world.deliver(world.command(**place))
    assert answer["response_type"] == "ephemeral"
    assert "#llm-observatory-alerts" in answer["text"]
    assert words in answer["text"]
    assert "Nothing was changed" in answer["text"]
    assert world.desk.requests == []


async def test_a_private_home_channel_is_recognised_by_its_id(world):
    await world.deliver(world.command(channel_name="privategroup"))
    assert len(world.desk.requests) == 1


async def test_ten_kilobytes_of_arguments_are_refused(world):
    answer = await world.deliver(world.command("x" * 10_240))
    assert "10,240 characters" in answer["text"]
    assert "Nothing was changed" in answer["text"]
    assert world.desk.requests == []


async def test_a_slow_handler_goes_on_and_its_reply_follows(world):
    world.desk.gate = asyncio.Event()
    answer = await world.deliver(world.command())
    assert "Still working" in answer["text"]
    assert "may still take effect" in answer["text"]
    world.desk.gate.set()
    await world.settled(lambda: world.server.said)
    assert world.server.said[0]["text"] == "Started dep_1"
    assert world.desk.effects == {"1.2.3"}


async def test_a_slow_handler_that_fails_in_the_end_says_so_too(world):
    world.desk.gate = asyncio.Event()
    world.desk.reply = Unavailable("The database does not answer")
    await world.deliver(world.command())
    world.desk.gate.set()
    await world.settled(lambda: world.server.said)
    assert "The database does not answer. Nothing was changed." in world.server.said[0]["text"]


async def test_a_command_without_a_trigger_is_refused_because_it_could_not_be_recognised_again(world):
    answer = await world.deliver(world.command(trigger_id=None))
    assert "nothing was changed" in answer["text"]
    assert world.desk.requests == []


# --- errors


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            Invalid("`v0.1.O` is not a version <!channel>."),
            ["`v0.1.O` is not a version &lt;!channel&gt;. Nothing was changed."],
        ),
        (OutcomeUnknown("AWS did not confirm"), ["AWS did not confirm.", "may or may not have taken effect"]),
        (Invalid("Nothing was started: no such environment"), ["Nothing was started: no such environment. Ref"]),
        (RuntimeError("secret detail"), ["a mistake in opsbot", "not confirmed", "/deploy status"]),
    ],
)
async def test_a_failure_is_answered_with_what_was_not_changed_and_a_reference(world, error, words):
    world.desk.reply = error
    answer = await world.deliver(world.command())
    assert answer["response_type"] == "ephemeral"
    assert all(part in answer["text"] for part in words), answer["text"]
    assert "Ref `" in answer["text"]
    assert "secret detail" not in answer["text"]


async def test_people_who_cannot_be_read_start_nothing(world):
    world.server.answers["users.info"] = lambda _: no("fatal_error", 500)
    answer = await world.deliver(world.command())
    assert "Nothing was changed" in answer["text"]
    assert world.desk.requests == []


@pytest.mark.parametrize("answer", ["hang up", lambda _: no("invalid_auth")])
async def test_before_slack_has_confirmed_the_bot_itself_nothing_is_changed_and_that_is_said(world, answer):
    world.server.answers["auth.test"] = answer
    said = await world.deliver(world.command())
    assert "Nothing was changed" in (said["text"] if isinstance(said, dict) else said)
    assert world.desk.requests == []
    del world.server.answers["auth.test"]
    assert (await world.deliver(world.command()))["text"] == "Started dep_1"


async def test_a_command_this_version_does_not_have_is_answered(world):
    answer = await world.deliver(world.command(command="/gone"))
    assert "older version of opsbot; nothing was changed" in answer["text"]


# --- buttons


async def test_a_click_is_answered_to_the_clicker_alone(world):
    assert await world.deliver(world.click()) == ""
    await world.settled(lambda: world.server.said)
    assert world.server.said == [{"text": "Started dep_1", "response_type": "ephemeral", "replace_original": False}]
    (request,) = world.desk.requests
    assert (request.key, request.value, request.message) == ("UBOB:deploy_approve:9.9", "dep_1", "5.5")


async def test_the_role_is_read_at_the_click(world):
    await world.deliver(world.click())
    assert world.desk.requests[-1].person.roles == {Role.APPROVER}
    world.server.answers["usergroups.list"] = lambda _: no("internal_error")
    await world.deliver(world.click())
    await world.settled(lambda: len(world.server.said) == 2)
    assert "never guessed" in world.server.said[-1]["text"]
    assert len(world.desk.requests) == 1


async def test_a_button_of_an_older_version_is_answered(world):
    assert await world.deliver(world.click("gone")) == ""
    await world.settled(lambda: world.server.said)
    assert "from an older version of opsbot; nothing was changed" in world.server.said[0]["text"]


async def test_a_button_that_only_opens_a_page_is_acknowledged_and_nothing_else(world):
    assert await world.deliver(world.click("link:grafana")) == ""
    await asyncio.sleep(0.05)
    assert world.server.said == []


async def test_a_reply_whose_layout_slack_refuses_is_sent_again_as_text(world):
    world.desk.reply = Reply(text="Approved", blocks=(blocks.section("Approved"),))
    world.server.respond_body = '{"ok":false,"error":"invalid_blocks"}'
    await world.deliver(world.click())
    await world.settled(lambda: len(world.server.said) == 2)
    assert "blocks" in world.server.said[0]
    assert "blocks" not in world.server.said[1]


async def test_a_slow_click_is_told_so_and_then_the_outcome(world):
    world.desk.gate = asyncio.Event()
    assert await world.deliver(world.click()) == ""
    await world.settled(lambda: world.server.said)
    world.desk.gate.set()
    await world.settled(lambda: len(world.server.said) == 2)
    assert "Still working" in world.server.said[0]["text"]
    assert world.server.said[1]["text"] == "Started dep_1"


# --- forms


async def test_a_submitted_form_closes_and_its_reply_is_whispered_in_the_home_channel(world):
    assert await world.deliver(world.submission()) == ""
    await world.settled(lambda: world.server.called("chat.postEphemeral"))
    (whisper,) = world.server.called("chat.postEphemeral")
    assert (whisper["channel"], whisper["user"], whisper["text"]) == ("CHOME", "UBOB", "Started dep_1")
    assert (world.desk.requests[0].value, world.desk.requests[0].fields) == ("dep_1", {"version": "v0.1.O"})


async def test_somebody_outside_the_home_channel_gets_the_reply_as_a_message(world):
    world.server.answers["chat.postEphemeral"] = lambda _: no("user_not_in_channel")
    await world.deliver(world.submission())
    await world.settled(lambda: world.server.called("chat.postMessage"))
    assert world.server.called("chat.postMessage")[0]["channel"] == "UBOB"


async def test_errors_keep_the_form_open_at_the_field(world):
    world.desk.reply = Reply(errors={"version": "This is not a version", "elsewhere": "Nor this"})
    assert await world.deliver(world.submission()) == {
        "response_action": "errors",
        "errors": {"version": "This is not a version Nor this"},
    }


async def test_the_next_form_takes_the_place_of_this_one(world):
    world.desk.reply = Reply(view=FORM)
    assert await world.deliver(world.submission()) == {"response_action": "update", "view": FORM}


async def test_a_failure_keeps_what_was_typed(world):
    world.desk.reply = Unavailable("The database does not answer")
    answer = await world.deliver(world.submission())
    assert answer["response_action"] == "errors"
    assert "The database does not answer. Nothing was changed." in answer["errors"]["version"]


async def test_a_slow_form_says_so_in_its_place(world):
    world.desk.gate = asyncio.Event()
    answer = await world.deliver(world.submission())
    assert "Still working" in answer["view"]["blocks"][0]["text"]["text"]
    world.desk.gate.set()
    await world.settled(lambda: world.server.called("chat.postEphemeral"))


async def test_a_form_of_an_older_version_is_answered(world):
    answer = await world.deliver(world.submission("gone"))
    assert "older version" in answer["errors"]["version"]


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
