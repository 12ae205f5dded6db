"""The page's routes: what each person sees, what they can do, and the live stream."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox.slack import LocalSlack

WORLD = {
    "speed": 10,
    "bot": "running",
    "environments": [
        {
            "name": "production",
            "colours": [
                {"name": "blue", "version": "v0.0.9", "weight": 75, "healthy": 6, "desired": 6, "rps": [40.0, 41.0], "errors": []},
                {"name": "green", "version": "<b>", "weight": 25, "healthy": 1, "desired": 6, "rps": [3.0], "errors": [0.5]},
            ],
        }
    ],
    "pages": [{"level": 1, "count": 2, "last": "14:05"}],
    "faults": [{"name": "slack_429", "label": "Slack answers 429", "on": False}],
}  # fmt: skip
CARD = [
    {
        "type": "actions",
        "block_id": "b",
        "elements": [{"type": "button", "action_id": "go", "text": {"type": "plain_text", "text": "Go"}}],
    }
]


@asynccontextmanager
async def page(**options: Any) -> AsyncIterator[tuple[LocalSlack, AsyncWebClient, aiohttp.ClientSession]]:
    slack = LocalSlack(**options)
    url = await slack.start()
    async with aiohttp.ClientSession(base_url=url) as session:
        try:
            yield slack, AsyncWebClient(token="xoxb-sandbox", base_url=f"{url}/api/", session=session), session
        finally:
            await slack.close()


async def frame(session: aiohttp.ClientSession, user: str, place: str = "C0ALERTS") -> Any:
    async with session.get("/ui/frame", params={"user": user, "place": place}) as answer:
        return await answer.json()


async def act(session: aiohttp.ClientSession, name: str, /, **body: object) -> Any:
    async with session.post(f"/ui/{name}", json=body) as answer:
        return await answer.json()


async def events(session: aiohttp.ClientSession, user: str, kind: str) -> Any:
    async with asyncio.timeout(5), session.get("/events", params={"user": user}) as stream:
        async for line in stream.content:
            event = json.loads(line.removeprefix(b"data: ")) if line.startswith(b"data: ") else {}
            if event.get("kind") == kind:
                return event
    return None


async def test_the_page_and_its_parts_are_served_and_nothing_else() -> None:
    async with page() as (_, _, session):
        async with session.get("/") as answer:
            assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
            assert "/page/page.js" in await answer.text()
        for name, status in (("page.js", 200), ("style.css", 200), ("..%2fbrowser.py", 404), ("nothing", 404)):
            async with session.get(f"/page/{name}") as answer:
                assert answer.status == status


async def test_only_its_person_sees_an_ephemeral_message() -> None:
    async with page() as (_, client, session):
        await client.chat_postEphemeral(channel="C0ALERTS", user="U0JANE", text="You may not approve this")
        shown = await frame(session, "U0JANE")
        assert "You may not approve this" in shown["html"]
        assert "Only visible to you" in shown["html"]
        assert "You may not approve this" not in (await frame(session, "U0BOB"))["html"]


async def test_unread_messages_are_counted_until_they_are_read() -> None:
    async with page() as (_, client, session):
        await client.chat_postMessage(channel="C0ALERTS", text="one")
        await client.chat_postMessage(channel="C0ALERTS", text="two")
        assert '<span class="unread">2</span>' in (await frame(session, "U0BOB"))["sidebar"]
        await act(session, "read", user="U0BOB", channel="C0ALERTS")
        assert '<span class="unread">2</span>' not in (await frame(session, "U0BOB"))["sidebar"]


async def test_typing_posts_a_message_and_a_thread_can_be_read() -> None:
    async with page() as (slack, _, session):
        await act(session, "type", user="U0JANE", channel="C0ALERTS", text="hello <b>@bob</b>")
        parent = slack.messages("llm-observatory-alerts")[0]
        assert parent.text == "hello &lt;b&gt;<@U0BOB>&lt;/b&gt;"
        await act(session, "type", user="U0BOB", channel="C0ALERTS", text="hi", thread=parent.ts)
        async with session.get(
            "/ui/thread", params={"user": "U0JANE", "channel": "C0ALERTS", "ts": parent.ts}
        ) as answer:
            html = (await answer.json())["html"]
        assert "1 reply" in html
        assert "hello &lt;b&gt;" in html


async def test_a_click_without_a_bot_shows_that_the_app_does_not_answer() -> None:
    async with page() as (_, client, session):
        ts = (await client.chat_postMessage(channel="C0ALERTS", text="card", blocks=CARD))["ts"]
        answer = await act(session, "click", user="U0JANE", channel="C0ALERTS", ts=ts, block="b", action="go")
        assert answer["status"] == "dispatch_failed"
        assert "not responding" in answer["text"]
        unknown = await act(session, "click", user="U0JANE", channel="C0ALERTS", ts=ts, block="b", action="other")
        assert unknown == {"status": "failed", "text": "no_such_control"}


async def test_acts_need_a_json_body_that_no_foreign_page_can_send() -> None:
    async with (
        page() as (slack, _, session),
        session.post("/ui/type", data={"text": "x", "channel": "C0ALERTS"}) as answer,
    ):
        assert answer.status == 415
        assert slack.log == []


async def test_the_stream_carries_messages_and_the_world() -> None:
    async with page(panel=lambda: WORLD) as (_, client, session):
        panel = await events(session, "U0JANE", "panel")
        assert "v0.0.9" in panel["parts"]["environments"]
        assert "&lt;b&gt;" in panel["parts"]["environments"]
        assert "<polyline" in panel["parts"]["environments"]
        waiting = asyncio.create_task(events(session, "U0BOB", "message"))
        await asyncio.sleep(0.1)
        await client.chat_postEphemeral(channel="C0ALERTS", user="U0JANE", text="secret")
        await client.chat_postMessage(channel="C0ALERTS", text="news")
        event = await waiting
        assert "news" in event["channel_html"]
        assert event["counts"]


async def test_a_fault_switch_reaches_the_world() -> None:
    switched = []

    async def switch(name: str, on: bool) -> None:
        switched.append((name, on))

    async with page(panel=lambda: WORLD, set_fault=switch) as (_, _, session):
        await act(session, "faults", user="U0JANE", name="slack_429", on=True)
        assert switched == [("slack_429", True)]


async def test_a_permalink_opens_the_page_at_its_message() -> None:
    async with page() as (_, client, session):
        posted = await client.chat_postMessage(channel="C0ALERTS", text="card")
        link = (await client.chat_getPermalink(channel="C0ALERTS", message_ts=posted["ts"]))["permalink"]
        async with session.get(link, allow_redirects=False) as answer:
            assert answer.headers["Location"] == f"/?place=C0ALERTS&ts={posted['ts']}"


async def test_the_inspector_shows_what_was_called_and_refused() -> None:
    async with page() as (_, client, session):
        await client.api_call("chat.postMessage", json={"channel": "C0ALERTS", "text": "<script>"})
        async with session.get("/ui/traffic") as answer:
            html = (await answer.json())["html"]
        assert "chat.postMessage" in html
        assert "<script>" not in html
