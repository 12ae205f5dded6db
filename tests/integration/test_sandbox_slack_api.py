"""The local Slack's Web API refuses what Slack refuses, breaks when told to, and repeats what nobody acknowledged."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox.slack import Limits, LocalSlack

ALERTS = "C0ALERTS"


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.at = 1_800_000_000.0

    def __call__(self) -> float:
        return self.at


@asynccontextmanager
async def running(**options: Any) -> AsyncIterator[tuple[LocalSlack, AsyncWebClient]]:
    slack = LocalSlack(**options)
    url = await slack.start()
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:
        client = AsyncWebClient(token="xoxb-sandbox", base_url=f"{url}/api/", session=session, retry_handlers=[])
        try:
            yield slack, client
        finally:
            await slack.close()


async def ticket_url(client: AsyncWebClient) -> str:
    answer = await client.apps_connections_open(app_token="xapp-sandbox")
    url: str = answer["url"]
    return url


@asynccontextmanager
async def raw_socket(client: AsyncWebClient) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """A connection that acknowledges nothing by itself."""
    async with aiohttp.ClientSession() as session, session.ws_connect(await ticket_url(client)) as socket:
        assert (await socket.receive_json())["type"] == "hello"
        yield socket


async def code_of(call: Any) -> str:
    with pytest.raises(SlackApiError) as caught:
        await call
    error: str = caught.value.response["error"]
    return error


async def test_tokens_are_checked_per_method() -> None:
    async with running() as (slack, client):
        assert (await client.auth_test())["user_id"] == "U0OPSBOT"
        assert await code_of(client.auth_test(token="xoxb-other")) == "invalid_auth"
        assert await code_of(client.apps_connections_open(app_token="xoxb-sandbox")) == "not_allowed_token_type"
        assert await code_of(client.api_call("no.such.method")) == "unknown_method"
        async with aiohttp.ClientSession() as session, session.get(f"{slack.url}/api/auth.test") as answer:
            assert (answer.status, await answer.json()) == (200, {"ok": False, "error": "not_authed"})


async def test_messages_keep_threads_broadcasts_and_metadata() -> None:
    async with running() as (slack, client):
        card = {"event_type": "opsbot_card", "event_payload": {"card_id": "dep_1"}}
        parent = (await client.chat_postMessage(channel="#llm-observatory-alerts", text="card", metadata=card))["ts"]
        reply = (await client.chat_postMessage(channel=ALERTS, text="step 1", thread_ts=parent))["ts"]
        await client.chat_postMessage(channel=ALERTS, text="done", thread_ts=parent, reply_broadcast=True)
        await client.chat_postEphemeral(channel=ALERTS, user="U0JANE", text="only you")
        plain = await client.conversations_history(channel=ALERTS)
        assert [one["text"] for one in plain["messages"]] == ["done", "card"]
        assert "metadata" not in plain["messages"][1]
        told = await client.conversations_history(channel=ALERTS, include_all_metadata=True, oldest="0", limit=1)
        assert (told["has_more"], told["messages"][0]["text"]) == (True, "done")
        replies = await client.conversations_replies(channel=ALERTS, ts=parent, include_all_metadata=True)
        assert replies["messages"][0]["metadata"]["event_payload"] == {"card_id": "dep_1"}
        assert replies["messages"][0]["reply_count"] == 2
        link = (await client.chat_getPermalink(channel=ALERTS, message_ts=reply))["permalink"]
        assert link == f"{slack.url}/archives/C0ALERTS/p{reply.replace('.', '')}?thread_ts={parent}&cid=C0ALERTS"


async def test_an_update_keeps_metadata_and_a_text_without_blocks_removes_them() -> None:
    async with running() as (slack, client):
        blocks = [{"type": "divider"}]
        posted = await client.chat_postMessage(
            channel=ALERTS, text="a", blocks=blocks, metadata={"event_type": "x", "event_payload": {"card_id": "1"}}
        )
        await client.chat_update(channel=ALERTS, ts=posted["ts"], text="b")
        message = slack.messages(ALERTS)[0]
        assert (message.text, message.blocks, message.edited) == ("b", [], True)
        assert message.metadata is not None
        assert await code_of(client.chat_update(channel=ALERTS, ts=posted["ts"], text="x" * 4001)) == "msg_too_long"
        assert await code_of(client.chat_update(channel=ALERTS, ts="1.000001", text="b")) == "message_not_found"
        await client.chat_delete(channel=ALERTS, ts=posted["ts"])
        assert slack.messages(ALERTS) == []


async def test_the_bot_cannot_speak_where_it_is_no_member() -> None:
    async with running() as (_, client):
        assert await code_of(client.chat_postMessage(channel="C0RANDOM", text="hi")) == "not_in_channel"
        assert await code_of(client.chat_postMessage(channel="nowhere", text="hi")) == "channel_not_found"
        assert await code_of(client.api_call("chat.postMessage", json={"channel": ALERTS})) == "no_text"
        assert await code_of(client.chat_postMessage(channel=ALERTS, text="x", thread_ts="1.0")) == "thread_not_found"
        direct = await client.conversations_open(users="U0JANE")
        assert direct["channel"]["id"] == "D0JANE"
        assert (await client.chat_postMessage(channel="U0JANE", text="page"))["channel"] == "D0JANE"


async def test_invalid_blocks_are_named_by_json_pointers() -> None:
    async with running() as (_, client):
        bad = [{"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}]
        with pytest.raises(SlackApiError) as caught:
            await client.chat_postMessage(channel=ALERTS, text="t", blocks=bad)
        answer = caught.value.response
        finding = "must be less than 151 characters [json-pointer:/blocks/0/text/text]"
        assert (answer["error"], answer["errors"]) == ("invalid_blocks", [finding])
        assert answer["response_metadata"]["messages"] == [f"[ERROR] {finding}"]
        with pytest.raises(SlackApiError) as checked:
            await client.api_call("blocks.validate", json={"blocks": json.dumps(bad)})
        assert checked.value.response["errors"][0]["pointer"] == "/0/text/text"


async def test_people_and_groups_are_those_of_the_story() -> None:
    async with running() as (slack, client):
        jane = await client.users_lookupByEmail(email="jane@company.com")
        assert (jane["user"]["id"], jane["user"]["profile"]["real_name"]) == ("U0JANE", "Jane Doe")
        assert await code_of(client.users_lookupByEmail(email="x@company.com")) == "users_not_found"
        groups = {group["handle"]: group["id"] for group in (await client.usergroups_list())["usergroups"]}
        assert set(groups) == {"obs-deployers", "obs-approvers", "obs-dba", "obs-oncall"}
        assert (await client.usergroups_users_list(usergroup=groups["obs-approvers"]))["users"] == ["U0JANE", "U0BOB"]
        slack.set_members("obs-approvers", ("alice",))
        assert (await client.usergroups_users_list(usergroup=groups["obs-approvers"]))["users"] == ["U0ALICE"]
        channels = await client.conversations_list()
        assert {place["name"]: place["is_member"] for place in channels["channels"]} == {
            "llm-observatory-alerts": True,
            "random": False,
        }


async def test_rate_limits_answer_429_with_the_seconds_to_wait() -> None:
    clock = Clock()
    async with running(now=clock) as (slack, client):
        slack.faults.rate_limits["chat.postMessage"] = 2
        for _ in range(2):
            await client.chat_postMessage(channel=ALERTS, text="x")
        with pytest.raises(SlackApiError) as caught:
            await client.chat_postMessage(channel=ALERTS, text="x")
        assert (caught.value.response.status_code, caught.value.response.headers["Retry-After"]) == (429, "60")
        clock.at += 61
        await client.chat_postMessage(channel=ALERTS, text="x")
        slack.faults.set("rate_limited", True)
        assert await code_of(client.auth_test()) == "ratelimited"


@pytest.mark.parametrize("way", ["drop", "500", "hang"])
async def test_a_lost_reply_leaves_the_message_behind(way: str) -> None:
    async with running() as (slack, client):
        slack.faults.lose_reply_after_post = way
        with pytest.raises((aiohttp.ClientError, SlackApiError, TimeoutError)):
            await client.chat_postMessage(channel=ALERTS, text="once")
        assert [one.text for one in slack.messages(ALERTS)] == ["once"]


async def test_a_slack_that_is_down_cuts_every_call() -> None:
    async with running() as (slack, client):
        slack.faults.set("down", True)
        with pytest.raises((aiohttp.ClientError, SlackApiError)):
            await client.auth_test()
        assert (await slack.user("jane").command("/deploy")).status == "dispatch_failed"
        slack.faults.set("down", False)
        await client.auth_test()


async def test_a_ticket_is_good_for_one_handshake() -> None:
    async with running() as (slack, client), aiohttp.ClientSession() as session:
        url = await ticket_url(client)
        async with session.ws_connect(url) as socket:
            assert (await socket.receive_json())["type"] == "hello"
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await session.ws_connect(url)
        slack.faults.stale_ticket = True
        fresh = await ticket_url(client)
        for on in (True, False):
            slack.faults.stale_ticket = on
            with pytest.raises(aiohttp.WSServerHandshakeError):
                await session.ws_connect(fresh)


async def test_events_are_repeated_until_acknowledged_and_commands_never() -> None:
    limits = Limits(ack=0.1, retries=(0.0, 0.05, 0.1))
    async with running(limits=limits) as (slack, client), raw_socket(client) as socket:
        assert (await slack.user("jane").command("/deploy v1")).timed_out
        assert (await socket.receive_json())["type"] == "slash_commands"
        await slack.user("jane").mention("hello")
        seen = [await socket.receive_json() for _ in range(3)]
        await socket.send_json({"envelope_id": seen[-1]["envelope_id"]})
        attempts = [(one["retry_attempt"], one["retry_reason"]) for one in seen]
        assert attempts == [(0, ""), (1, "timeout"), (2, "timeout")]
        assert len({one["payload"]["event_id"] for one in seen}) == 1
        with pytest.raises(TimeoutError):
            await socket.receive_json(timeout=0.4)


async def test_a_response_url_lives_for_five_uses_and_thirty_minutes() -> None:
    clock = Clock()
    async with running(now=clock, limits=Limits(ack=0.05)) as (slack, client), aiohttp.ClientSession() as session:
        async with session.ws_connect(await ticket_url(client)) as socket:
            await socket.receive_json()
            await slack.user("jane").command("/deploy v1")
            url = (await socket.receive_json())["payload"]["response_url"]
            for number in range(5):
                async with session.post(url, json={"text": f"answer {number}"}) as answer:
                    assert await answer.text() == "ok"
            async with session.post(url, json={"text": "too many"}) as answer:
                assert (answer.status, await answer.text()) == (404, "used_url")
            await slack.user("jane").command("/deploy v1")
            url = (await socket.receive_json())["payload"]["response_url"]
            clock.at += 1801
            async with session.post(url, json={"text": "too late"}) as answer:
                assert (answer.status, await answer.text()) == (404, "expired_url")
        assert [one.text for one in slack.user("jane").ephemerals() if one.text.startswith("answer")] == [
            f"answer {number}" for number in range(5)
        ]


async def test_home_tabs_guard_against_races_with_their_hash() -> None:
    async with running() as (_, client):
        view = {"type": "home", "blocks": [{"type": "divider"}]}
        first = (await client.views_publish(user_id="U0JANE", view=view))["view"]
        second = (await client.views_publish(user_id="U0JANE", view=view, hash=first["hash"]))["view"]
        assert second["id"] == first["id"]
        assert await code_of(client.views_publish(user_id="U0JANE", view=view, hash=first["hash"])) == "hash_conflict"
        alert = {"type": "alert", "text": {"type": "plain_text", "text": "no"}}
        bad = {"type": "home", "blocks": [alert]}
        assert await code_of(client.views_publish(user_id="U0JANE", view=bad)) == "invalid_arguments"


async def test_two_runs_of_one_story_give_the_same_ids() -> None:
    seen = []
    for _ in range(2):
        async with running(now=Clock()) as (slack, client):
            posted = await client.chat_postMessage(channel=ALERTS, text="x", blocks=[{"type": "divider"}])
            seen.append((posted["ts"], slack.messages(ALERTS)[0].blocks))
    assert seen[0] == seen[1]
