"""Two connections answer, come back by themselves, and stop without losing what is at work."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from slack_server import SlackServer, no

from bot.clients.slack import Slack
from bot.contract import Command, Reply
from bot.errors import Misconfigured
from bot.people import People
from bot.settings import Settings
from bot.slack import app as slack_app
from bot.slack import line
from bot.slack import socket as slack_socket
from bot.slack.socket import Sockets


class Desk:
    """One handler that may wait."""

    def __init__(self):
        self.gate = None
        self.done = 0

    async def __call__(self, request, services):
        if self.gate:
            await self.gate.wait()
        self.done += 1
        return Reply(text=f"Done {request.text}")


def now():
    return datetime.now(UTC)


@pytest.fixture
async def server():
    server = SlackServer()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def bot(server, monkeypatch):
    monkeypatch.setattr(slack_socket, "STAGGER", timedelta(seconds=0.1))
    slack = Slack("xoxb-1", base_url=server.url)
    settings = Settings(slack_bot_token="xoxb-1", slack_app_token="xapp-1", slack_api_url=server.url)
    desk = Desk()
    services = SimpleNamespace(settings=settings, people=People(slack, {}), slack=slack, now=now)
    command = Command(
        name="/deploy",
        summary="s",
        usage="u",
        examples=(),
        handle=desk,
        mentions={"approve": desk},
        buttons={"go": desk},
    )
    app = slack_app.build([command], services, budget=timedelta(seconds=0.3))
    yield SimpleNamespace(app=app, settings=settings, desk=desk, slack=slack)
    await slack.close()


@pytest.fixture
async def sockets(bot):
    sockets = Sockets(bot.app, bot.settings, now=now)
    yield sockets
    await sockets.stop(timedelta(seconds=1))


def command(server, text="v1"):
    return {
        "command": "/deploy",
        "text": text,
        "user_id": "UJANE",
        "channel_id": "CHOME",
        "channel_name": "llm-observatory-alerts",
        "trigger_id": f"1.2.{text}",
        "response_url": server.response_url,
    }


async def until(condition, seconds=8.0):
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, "it never happened"
        await asyncio.sleep(0.02)
    return time.monotonic() - began


async def test_both_connections_answer_and_are_counted(server, sockets):
    assert sockets.last_message_age(now()) is None
    await sockets.start()
    await until(lambda: sockets.connected() == 2 and len(server.sockets) == 2)
    for number in (0, 1):
        answer = await server.send("slash_commands", command(server, f"v{number}"), socket=number)
        assert answer["text"] == f"Done v{number}"
    assert sockets.last_message_age(now()) < timedelta(seconds=1)


async def test_while_one_is_killed_the_other_answers_and_both_come_back(server, sockets):
    await sockets.start()
    await until(lambda: sockets.connected() == 2 and len(server.sockets) == 2)
    first = server.sockets[0]
    first._req.transport.abort()
    await until(lambda: len(server.sockets) == 1)
    began = time.monotonic()
    assert (await server.send("slash_commands", command(server)))["text"] == "Done v1"
    assert time.monotonic() - began < 1
    await until(lambda: sockets.connected() == 2 and len(server.sockets) == 2)


async def test_a_polite_refresh_gives_a_new_connection(server, sockets):
    await sockets.start()
    await until(lambda: len(server.sockets) == 2)
    old = server.sockets[0]
    await old.send_json({"type": "disconnect", "reason": "refresh_requested"})
    await until(lambda: old not in server.sockets and len(server.sockets) == 2 and sockets.connected() == 2)


async def test_a_handshake_refused_with_a_used_up_ticket_does_not_block_for_ever(server, sockets):
    await sockets.start()
    await until(lambda: len(server.sockets) == 2)
    server.refuse_handshakes = 2
    for socket in list(server.sockets):
        socket._req.transport.abort()
    await until(lambda: not server.sockets)
    await until(lambda: sockets.connected() == 2 and len(server.sockets) == 2, seconds=15)


async def test_a_slack_that_is_down_at_the_start_neither_blocks_it_nor_stays_lost(server, sockets, monkeypatch):
    monkeypatch.setattr(slack_socket, "START", timedelta(seconds=0.2))
    server.answers["apps.connections.open"] = lambda _: no("internal_error", 500)
    began = time.monotonic()
    await sockets.start()
    assert time.monotonic() - began < 1
    assert sockets.connected() == 0
    del server.answers["apps.connections.open"]
    await until(lambda: sockets.connected() == 2)


async def test_a_hopeless_connection_is_replaced_as_a_whole(server, sockets, monkeypatch):
    monkeypatch.setattr(line, "HOPELESS_CHECKS", 3)
    await sockets.start()
    await until(lambda: sockets.connected() == 2)
    stuck = sockets._lines[0]._handler
    # The state the SDK cannot leave: closed, and told not to reconnect.
    stuck.client.auto_reconnect_enabled = False
    await stuck.client.current_session.close()
    await until(lambda: sockets._lines[0]._handler is not stuck and sockets.connected() == 2)


async def test_an_event_delivered_again_has_one_effect(server, sockets, bot):
    await sockets.start()
    event = {"type": "app_mention", "user": "UBOB", "text": "<@UBOT> approve dep_1", "ts": "2.0", "channel": "CHOME"}
    body = {"type": "event_callback", "event_id": "Ev1", "team_id": "T1", "event": event}
    await server.send("events_api", body)
    await server.send("events_api", body, retry_attempt=1, retry_reason="timeout")
    await until(lambda: server.called("chat.postMessage"))
    assert bot.desk.done == 1


async def test_when_all_slots_are_taken_a_command_is_told_so(server, bot, monkeypatch):
    monkeypatch.setattr(slack_socket, "QUEUE", timedelta(seconds=0.05))
    sockets = Sockets(bot.app, bot.settings, now=now, connections=1, concurrency=1)
    await sockets.start()
    bot.desk.gate = asyncio.Event()
    first = asyncio.create_task(server.send("slash_commands", command(server, "v1")))
    await asyncio.sleep(0.1)
    assert "too busy" in (await server.send("slash_commands", command(server, "v2")))["text"]
    bot.desk.gate.set()
    assert "v1" in (await first)["text"]
    assert bot.desk.done == 1
    await sockets.stop(timedelta(seconds=1))


async def test_a_stop_waits_for_the_ack_and_for_what_goes_on_after_it(server, bot):
    sockets = Sockets(bot.app, bot.settings, now=now)
    await sockets.start()
    bot.desk.gate = asyncio.Event()
    delivery = asyncio.create_task(server.send("slash_commands", command(server)))
    await asyncio.sleep(0.1)
    stop = asyncio.create_task(sockets.stop(timedelta(seconds=5)))
    assert "Still working" in (await delivery)["text"]
    await until(lambda: sockets.connected() == 0)
    assert not stop.done()
    bot.desk.gate.set()
    await stop
    assert bot.desk.done == 1
    assert server.said[0]["text"] == "Done v1"


async def test_a_stop_does_not_wait_for_ever(server, bot):
    sockets = Sockets(bot.app, bot.settings, now=now)
    await sockets.start()
    bot.desk.gate = asyncio.Event()
    await server.send("slash_commands", command(server))
    began = time.monotonic()
    await sockets.stop(timedelta(seconds=0.2))
    assert time.monotonic() - began < 3
    bot.desk.gate.set()
    await until(lambda: server.said)


async def test_a_stop_before_the_start_is_harmless(bot):
    await Sockets(bot.app, bot.settings, now=now).stop()


async def test_socket_mode_needs_its_token(bot):
    settings = bot.settings.model_copy(update={"slack_app_token": None})
    with pytest.raises(Misconfigured, match="SLACK_APP_TOKEN"):
        Sockets(bot.app, settings, now=now)


async def test_loopback_sockets_ignore_a_proxy(server, bot, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    sockets = Sockets(bot.app, bot.settings, now=now, connections=1)
    await sockets.start()
    assert (await server.send("slash_commands", command(server)))["text"] == "Done v1"
    await sockets.stop()


async def test_five_hundred_commands_at_once_are_all_answered(server, sockets):
    await sockets.start()
    await until(lambda: len(server.sockets) == 2)
    sends = (server.send("slash_commands", command(server, f"v{n}"), socket=n % 2) for n in range(500))
    answers = await asyncio.gather(*sends)
    assert [answer["text"] for answer in answers] == [f"Done v{n}" for n in range(500)]
