"""What the tests of the Slack surface share: handlers that record, and the payloads that Slack would send."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

from slack_bolt.async_app import AsyncBoltRequest

from bot import blocks
from bot.contract import Command, Reply, Role
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
