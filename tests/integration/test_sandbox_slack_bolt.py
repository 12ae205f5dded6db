"""An unmodified Bolt app on the local Slack: the same story that the sandbox's bot plays."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from slack_bolt.adapter.socket_mode.async_handler import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox.slack import Limits, LocalSlack, plain_text

SECRET = "sandbox-signing-secret"
MANIFEST: dict[str, Any] = {
    "features": {
        "bot_user": {"display_name": "opsbot"},
        "slash_commands": [
            {"command": f"/{name}", "description": "-"} for name in ("deploy", "slow", "form", "public")
        ],
    }
}


def text(words: str) -> dict[str, str]:
    return {"type": "plain_text", "text": words}


def button(action: str, words: str) -> dict[str, Any]:
    return {"type": "button", "action_id": action, "text": text(words), "value": "dep_1"}


CARD: list[dict[str, Any]] = [
    {"type": "header", "text": text("Deploy v0.1.0 to production")},
    {"type": "actions", "block_id": "deploy", "elements": [button("approve", "Approve"), button("reject", "Reject")]},
]
FORM = {
    "type": "modal",
    "callback_id": "reason",
    "title": text("Reject"),
    "submit": text("Reject"),
    "notify_on_close": True,
    "blocks": [
        {
            "type": "input",
            "block_id": "why",
            "label": text("Why?"),
            "element": {"type": "plain_text_input", "action_id": "v", "max_length": 20},
        }
    ],
}


def listeners(app: AsyncApp, heard: list[Any]) -> None:
    """Register an echo bot that keeps what it heard."""
    _commands(app, heard)
    _buttons(app, heard)
    _forms(app, heard)
    _events(app, heard)


def _commands(app: AsyncApp, heard: list[Any]) -> None:
    @app.command("/deploy")
    async def deploy(ack: Any, body: Any, client: Any) -> None:
        heard.append(body)
        await ack(f"Understood: {body['text']}")
        await client.chat_postMessage(channel=body["channel_id"], text="Waiting for approval", blocks=CARD)

    @app.command("/public")
    async def public(ack: Any) -> None:
        await ack(response_type="in_channel", text="For everybody")

    @app.command("/slow")
    async def slow(ack: Any) -> None:
        await asyncio.sleep(0.6)
        await ack("too late")


def _buttons(app: AsyncApp, heard: list[Any]) -> None:
    @app.action("approve")
    async def approve(ack: Any, body: Any, client: Any, respond: Any) -> None:
        heard.append(body)
        await ack()
        if body["user"]["id"] == "U0JANE":
            await respond("Somebody else has to approve.")
            return
        place = {"channel": body["channel"]["id"]}
        await client.chat_update(**place, ts=body["message"]["ts"], text="Approved by bob", blocks=CARD[:1])
        await client.chat_postMessage(**place, thread_ts=body["message"]["ts"], text="It starts now")

    @app.action("reject")
    async def reject(ack: Any, body: Any, client: Any) -> None:
        await ack()
        await client.views_open(trigger_id=body["trigger_id"], view=FORM)


def _forms(app: AsyncApp, heard: list[Any]) -> None:
    @app.view("reason")
    async def reason(ack: Any, view: Any) -> None:
        words = view["state"]["values"]["why"]["v"]["value"]
        heard.append(words)
        if words == "no":
            await ack(response_action="errors", errors={"why": "Say more"})
        elif words == "push":
            await ack(response_action="push", view=FORM | {"title": text("Second")})
        elif words == "update":
            await ack(response_action="update", view=FORM | {"title": text("Other")})
        elif words == "clear":
            await ack(response_action="clear")
        else:
            await ack()

    @app.view_closed("reason")
    async def closed(ack: Any, body: Any) -> None:
        heard.append(body["type"])
        await ack()


def _events(app: AsyncApp, heard: list[Any]) -> None:
    @app.event("app_mention")
    async def mention(event: Any, body: Any, client: Any) -> None:
        heard.append((body["event_id"], event["text"]))
        await client.reactions_add(channel=event["channel"], timestamp=event["ts"], name="eyes")

    @app.event("app_home_opened")
    async def home(event: Any, client: Any) -> None:
        view = {"type": "home", "blocks": [{"type": "section", "text": text("Waiting for you")}]}
        await client.views_publish(user_id=event["user"], view=view)


class Stage:
    """A local Slack and a Bolt app connected to it."""

    def __init__(self, slack: LocalSlack, url: str, session: aiohttp.ClientSession) -> None:
        self.slack = slack
        self.heard: list[Any] = []
        self.client = AsyncWebClient(token="xoxb-sandbox", base_url=f"{url}/api/", session=session, retry_handlers=[])
        self.app_client = AsyncWebClient(token="xapp-sandbox", base_url=f"{url}/api/", session=session)
        self.app = AsyncApp(client=self.client, signing_secret=SECRET)
        listeners(self.app, self.heard)


@asynccontextmanager
async def stage(sockets: int = 2, **options: Any) -> AsyncIterator[Stage]:
    slack = LocalSlack(manifest=MANIFEST, **options)
    url = await slack.start()
    async with aiohttp.ClientSession() as session:
        playing = Stage(slack, url, session)
        handlers = [
            AsyncSocketModeHandler(playing.app, "xapp-sandbox", web_client=playing.app_client, ping_interval=0.2)
            for _ in range(sockets)
        ]
        try:
            for handler in handlers:
                await handler.connect_async()
            yield playing
        finally:
            for handler in handlers:
                await handler.close_async()
            await slack.close()


async def until(condition: Any, seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 -- counters of a foreign client have no event
            await asyncio.sleep(0.01)


async def test_a_deployment_is_asked_for_refused_to_its_author_and_approved_by_another() -> None:
    async with stage() as playing:
        slack, jane, bob = playing.slack, playing.slack.user("jane"), playing.slack.user("bob")
        ack = await jane.command("/deploy v0.1.0 production")
        assert (ack.status, ack.text) == ("ok", "Understood: v0.1.0 production")
        card = await slack.wait_for("Waiting for approval", timeout=5)
        await jane.click("approve")
        mine = await slack.wait_for("Somebody else has to approve.", timeout=5, ephemeral_for="jane")
        assert mine in jane.ephemerals()
        assert mine not in bob.ephemerals()
        await bob.click("approve")
        await slack.wait_for("It starts now", timeout=5)
        assert plain_text(card) == "Approved by bob\nDeploy v0.1.0 to production"
        assert [one.text for one in slack.messages("llm-observatory-alerts", thread=card.ts)] == ["It starts now"]
        stale = await jane.click("approve", message_ts=card.ts)
        assert stale.status == "ok"
        with pytest.raises(LookupError, match="sees no control 'approve'"):
            await jane.click("approve")
        assert [entry.kind for entry in slack.log if entry.who == "bob"] == ["click"]
        assert {"command", "ephemeral", "post", "click", "update", "reply"} == {entry.kind for entry in slack.log}


async def test_a_modal_shows_errors_until_the_app_is_content() -> None:
    async with stage() as playing:
        bob = playing.slack.user("bob")
        await bob.command("/deploy v1 production")
        await playing.slack.wait_for("Waiting for approval", timeout=5)
        await bob.click("reject")
        await until(lambda: bob.view is not None)
        assert (await bob.submit({"why": ""})).errors == {"why": "Please complete this required field."}
        assert (await bob.submit({"why": "x" * 21})).status == "errors"
        assert playing.heard[1:] == []
        assert (await bob.submit({"v": "no"})).errors == {"why": "Say more"}
        await bob.submit({"why": "update"})
        assert bob.view is not None
        assert bob.view["title"]["text"] == "Other"
        await bob.submit({"why": "push"})
        assert bob.view["title"]["text"] == "Second"
        await bob.close_view()
        assert bob.view["title"]["text"] == "Other"
        await bob.submit({"why": "push"})
        await bob.submit({"why": "clear"})
        assert bob.view is None
        assert playing.heard[1:] == ["no", "update", "push", "view_closed", "push", "clear"]


async def test_a_late_acknowledgement_shows_the_error_of_slack_itself() -> None:
    async with stage(limits=Limits(ack=0.3)) as playing:
        jane = playing.slack.user("jane")
        ack = await jane.command("/slow")
        assert ack.timed_out
        assert ack.text == '/slow failed with the error "operation_timeout"'
        assert jane.ephemerals()[-1].text == ack.text


async def test_commands_in_threads_and_unknown_commands_never_reach_the_app() -> None:
    async with stage() as playing:
        jane = playing.slack.user("jane")
        parent = await jane.say("Good morning")
        refused = await jane.command("/deploy v1 production", thread=parent.ts)
        assert (refused.status, refused.text) == ("refused", "/deploy is not supported in threads. Sorry!")
        assert "/nonsense is not a valid command" in (await jane.command("/nonsense")).text
        assert playing.heard == []


async def test_an_answer_in_channel_is_seen_by_everybody() -> None:
    async with stage() as playing:
        await playing.slack.user("jane").command("/public")
        assert [one.text for one in playing.slack.messages("llm-observatory-alerts")] == ["For everybody"]


async def test_every_envelope_goes_to_exactly_one_connection() -> None:
    async with stage(sockets=3) as playing:
        assert playing.slack.connections == 3
        acks = await asyncio.gather(
            *(playing.slack.user("jane").command(f"/deploy v{n} production") for n in range(20))
        )
        assert {ack.status for ack in acks} == {"ok"}
        assert sorted(body["text"] for body in playing.heard) == sorted(f"v{n} production" for n in range(20))


async def test_a_mention_in_a_thread_reaches_the_app_and_home_opens() -> None:
    async with stage() as playing:
        jane = playing.slack.user("jane")
        parent = await jane.say("Good morning")
        mentioned = await jane.mention("approve dep_1", thread=parent.ts)
        await until(lambda: "eyes" in mentioned.reactions)
        assert playing.heard[0][1] == "<@U0OPSBOT> approve dep_1"
        await jane.open_home()
        await until(lambda: jane.home is not None)


async def test_a_double_click_and_a_repeated_event_arrive_twice() -> None:
    async with stage() as playing:
        bob = playing.slack.user("bob")
        await bob.command("/deploy v1 production")
        card = await playing.slack.wait_for("Waiting for approval", timeout=5)
        playing.slack.faults.set("duplicate_click", True)
        await playing.slack.user("jane").click("approve", message_ts=card.ts)
        await until(lambda: len(playing.heard) == 3)
        assert len({body["actions"][0]["action_ts"] for body in playing.heard[1:]}) == 2
        await playing.slack.user("jane").click("approve", message_ts=card.ts, times=2)
        await until(lambda: len(playing.heard) == 7)
        playing.slack.faults.duplicate_event = True
        await bob.mention("status")
        await until(lambda: len(playing.heard) == 9)
        assert playing.heard[7] == playing.heard[8]


async def test_dropped_sockets_come_back_and_a_politely_refreshed_one_too() -> None:
    async with stage() as playing:
        playing.slack.drop_sockets()
        assert playing.slack.connections == 0
        failed = await playing.slack.user("jane").command("/deploy v1 production")
        assert failed.text == '/deploy failed with the error "dispatch_failed"'
        await until(lambda: playing.slack.connections == 2)
        await playing.slack.refresh_sockets()
        await asyncio.sleep(0.3)
        await until(lambda: playing.slack.connections == 2)
        assert (await playing.slack.user("jane").command("/deploy v1 production")).status == "ok"


async def test_a_delayed_acknowledgement_is_a_timeout_although_the_app_worked() -> None:
    async with stage(limits=Limits(ack=0.2)) as playing:
        playing.slack.faults.delay_acks = 0.4
        ack = await playing.slack.user("jane").command("/deploy v1 production")
        assert ack.timed_out
        await playing.slack.wait_for("Waiting for approval", timeout=5)


async def test_signed_http_carries_the_same_story() -> None:
    async with stage(sockets=0) as playing:
        runner = web.AppRunner(playing.app.web_app(), access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        playing.slack.http_url = f"http://127.0.0.1:{runner.addresses[0][1]}/slack/events"
        bob = playing.slack.user("bob")
        assert (await bob.command("/deploy v1 & <b> production")).text == "Understood: v1 & <b> production"
        await playing.slack.wait_for("Waiting for approval", timeout=5)
        await bob.click("reject")
        await until(lambda: bob.view is not None)
        assert (await bob.submit({"why": "no"})).errors == {"why": "Say more"}
        await bob.mention("hello")
        await until(lambda: playing.heard[-1][1:] == ("<@U0OPSBOT> hello",))
        await runner.cleanup()
        assert (await bob.command("/deploy v1 production")).status == "dispatch_failed"


async def test_a_forged_signature_is_refused_by_the_app() -> None:
    async with stage(sockets=0, signing_secret="another") as playing:
        runner = web.AppRunner(playing.app.web_app(), access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        playing.slack.http_url = f"http://127.0.0.1:{runner.addresses[0][1]}/slack/events"
        ack = await playing.slack.user("bob").command("/deploy v1 production")
        assert ack.text == '/deploy failed with the error "http_service_error"'
        await runner.cleanup()


async def test_a_file_is_uploaded_in_three_steps_and_shared() -> None:
    async with stage(sockets=0) as playing:
        await playing.client.files_upload_v2(
            channel="C0ALERTS", filename="log.txt", content="line 1", initial_comment="The log"
        )
        shared = playing.slack.messages("llm-observatory-alerts")[-1]
        assert shared.text == "The log"
        file = playing.slack.workspace.files[shared.files[0]]
        assert (file.content, file.shared) == (b"line 1", True)


async def test_a_trigger_id_opens_one_view_only() -> None:
    async with stage() as playing:
        await playing.slack.user("jane").command("/deploy v1 production")
        trigger = playing.heard[0]["trigger_id"]
        await playing.client.views_open(trigger_id=trigger, view=FORM)
        with pytest.raises(SlackApiError, match="exchanged_trigger_id"):
            await playing.client.views_open(trigger_id=trigger, view=FORM)
        with pytest.raises(SlackApiError, match="invalid_trigger_id"):
            await playing.client.views_open(trigger_id="1.2", view=FORM)
