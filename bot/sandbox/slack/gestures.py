"""What people do: type, run commands, click, submit and close; the page and the driver both act through here."""

import asyncio
import re
from collections.abc import Callable, Mapping
from html import escape as escape_html
from typing import Final

from bot.sandbox.slack import payloads, replies, views
from bot.sandbox.slack.deliver import COMMAND, INTERACTION, Delivery
from bot.sandbox.slack.faults import Faults
from bot.sandbox.slack.forms import missing
from bot.sandbox.slack.grants import Grants, Response
from bot.sandbox.slack.records import BOT_USER, Ack, ApiError, Change, Json, Message, User, View, controls
from bot.sandbox.slack.sockets import Outcome
from bot.sandbox.slack.workspace import Workspace

NO_THREADS: Final = "{command} is not supported in threads. Sorry!"
UNKNOWN_COMMAND: Final = (
    "{command} is not a valid command. In Slack, anything beginning with a forward slash is treated as a command. "
    "If you want to send this text as a message, put a space in front of it."
)
NO_CONNECTION: Final = "We had some trouble connecting. Try again?"


class Gestures:
    """Every method is one act of one person and returns what they saw at once. `base` gives our own address."""

    def __init__(
        self, workspace: Workspace, grants: Grants, delivery: Delivery, faults: Faults, base: Callable[[], str]
    ) -> None:
        self.manifest: Mapping[str, Json] | None = None
        self._workspace = workspace
        self._grants = grants
        self._delivery = delivery
        self._faults = faults
        self._base = base

    async def type(self, user: User, channel: str, text: str, thread: str | None = None) -> Ack:
        """Send what was typed into an input: a slash command or a message."""
        if text.startswith("/"):
            return await self.command(user, channel, text, thread)
        self.say(user, channel, text, thread)
        return Ack()

    def say(self, user: User, channel: str, text: str, thread: str | None = None) -> Message:
        """Post a message; a mention of the bot becomes an event for it."""
        place = self._workspace.find_channel(channel)
        written = self._link(text)
        message = self._workspace.post(
            Message(channel=place.id, ts=self._workspace.next_ts(), user=user.id, text=written, thread_ts=thread)
        )
        if f"<@{BOT_USER}>" in written and BOT_USER in place.members:
            self._delivery.send_event(self._mention(message))
        return message

    async def command(self, user: User, channel: str, text: str, thread: str | None = None) -> Ack:
        """Run a slash command and show its acknowledgement."""
        name, _, rest = text.partition(" ")
        place = self._workspace.find_channel(channel)
        self._workspace.note(user.id, "command", self._workspace.title(place.id), text)
        if thread is not None:
            return self._slackbot(user, place.id, "refused", NO_THREADS.format(command=name), thread)
        if self.manifest is not None and name not in self.manifest:
            return self._slackbot(user, place.id, "refused", UNKNOWN_COMMAND.format(command=name))
        if (self.manifest or {}).get(name, {}).get("should_escape"):
            rest = self._link(rest)
        grants = {"trigger_id": self._grants.trigger(user.id), "response_url": self._url(place.id, user.id)}
        outcome = await self._delivery.send(COMMAND, payloads.command(name, rest.strip(), user, place, grants))
        if outcome.status != "ok":
            return self._slackbot(user, place.id, outcome.status, f'{name} failed with the error "{outcome.status}"')
        return self._show(outcome.body, user, place.id)

    async def click(
        self,
        user: User,
        message: Message,
        key: tuple[str, str],
        raw: object = None,
        typed: Mapping[tuple[str, str], object] | None = None,
    ) -> Ack:
        """Operate a control of a message; one that an update has taken away still works, as in a slow browser."""
        element = message.elements.get(key)
        if element is None:
            raise ApiError("no_such_control")
        label = _label(element, raw)
        self._workspace.note(user.id, "click", self._workspace.title(message.channel), label, message.ts)
        times = 2 if self._faults.duplicate_click else 1
        acks = await asyncio.gather(*(self._click_once(user, message, key, raw, typed or {}) for _ in range(times)))
        return acks[0]

    async def operate(self, user: User, view: View, key: tuple[str, str], raw: object = None) -> Ack:
        """Operate a control of a modal or a home tab."""
        element = next((one for block, one in controls(view.blocks) if (block, one["action_id"]) == key), None)
        if element is None:
            raise ApiError("no_such_control")
        self._workspace.note(
            user.id, "click", "modal" if view.content["type"] == "modal" else "home", _label(element, raw)
        )
        view.values[key] = raw
        action = payloads.action(key[0], element, raw, self._workspace.next_ts())
        payload = payloads.view_action(user, view, action) | {"trigger_id": self._grants.trigger(user.id)}
        return _seen(await self._delivery.send(INTERACTION, payload))

    async def submit(self, user: User, view: View) -> Ack:
        """Submit a modal with the values it holds and follow the app's `response_action`."""
        view.errors = missing(view)
        self._workspace.note(user.id, "submit", "modal", view.content["title"]["text"])
        if view.errors:
            return self._view_errors(view)
        payload = payloads.submission(user, view) | {"trigger_id": self._grants.trigger(user.id)}
        outcome = await self._delivery.send(INTERACTION, payload)
        if outcome.status != "ok":
            return Ack(status=outcome.status, text=NO_CONNECTION, timed_out=outcome.status == "operation_timeout")
        try:
            return self._follow(outcome.body, user, view)
        except ApiError as refusal:
            return Ack(status=refusal.code, text=NO_CONNECTION)

    async def close(self, user: User, view: View, *, everything: bool = False) -> Ack:
        """Close a modal; the app hears of it when it asked to."""
        self._workspace.note(user.id, "close", "modal", view.content["title"]["text"])
        views.close(self._workspace, view, everything=everything)
        if view.content.get("notify_on_close"):
            return _seen(await self._delivery.send(INTERACTION, payloads.closed(user, view, everything=everything)))
        return Ack()

    def open_home(self, user: User) -> None:
        """Open the App Home, which the app hears of each time."""
        known = self._workspace.homes.get(user.id)
        event: Json = {
            "type": "app_home_opened",
            "user": user.id,
            "channel": self._workspace.find_channel(user.id).id,
            "tab": "home",
            "event_ts": self._workspace.next_ts(),
        }
        if known is not None:
            event["view"] = views.as_json(known)
        self._delivery.send_event(event)

    async def _click_once(
        self,
        user: User,
        message: Message,
        key: tuple[str, str],
        raw: object,
        typed: Mapping[tuple[str, str], object],
    ) -> Ack:
        element = message.elements[key]
        action = payloads.action(key[0], element, raw, self._workspace.next_ts())
        channel = self._workspace.channels[message.channel]
        payload = payloads.message_action(user, message, channel, action, typed) | {
            "trigger_id": self._grants.trigger(user.id),
            "response_url": self._url(channel.id, user.id, message),
        }
        outcome = await self._delivery.send(INTERACTION, payload)
        if outcome.status == "ok":
            return Ack()
        bot = self._workspace.users[BOT_USER].name
        text = f'{bot} is not responding right now: failed with the error "{outcome.status}"'
        thread = message.thread_ts if message.is_reply else None
        return self._slackbot(user, channel.id, outcome.status, text, thread)

    def _follow(self, body: Json, user: User, view: View) -> Ack:
        match body.get("response_action"):
            case "errors":
                view.errors = dict(body["errors"])
                return self._view_errors(view)
            case "update":
                views.update(self._workspace, view, body["view"])
            case "push":
                views.push(self._workspace, user.id, body["view"])
            case "clear":
                views.close(self._workspace, view, everything=True)
            case _:
                views.close(self._workspace, view)
        return Ack()

    def _view_errors(self, view: View) -> Ack:
        self._workspace.tell(Change(kind="view", user=view.user))
        return Ack(status="errors", text="\n".join(view.errors.values()), errors=view.errors)

    def _show(self, body: Json, user: User, channel: str) -> Ack:
        response = Response(channel=channel, user=user.id, thread=None, origin=None, until=0)
        try:
            replies.show(self._workspace, body, response)
        except ApiError as refusal:
            return self._slackbot(user, channel, refusal.code, f'failed with the error "{refusal.code}"')
        return Ack(text=body.get("text", ""), blocks=tuple(body.get("blocks") or ()))

    def _slackbot(self, user: User, channel: str, status: str, text: str, thread: str | None = None) -> Ack:
        replies.tell(self._workspace, user.id, channel, text, thread)
        return Ack(status=status, text=text, timed_out=status == "operation_timeout")

    def _mention(self, message: Message) -> Json:
        event: Json = {
            "type": "app_mention",
            "user": message.user,
            "text": message.text,
            "ts": message.ts,
            "channel": message.channel,
            "event_ts": message.ts,
            "team": "T0SANDBOX",
        }
        return event | ({"thread_ts": message.thread_ts} if message.thread_ts else {})

    def _url(self, channel: str, user: str, origin: Message | None = None) -> str:
        thread = origin.thread_ts if origin is not None and origin.is_reply else None
        return self._base() + self._grants.response(channel, user, origin, thread)

    def _link(self, text: str) -> str:
        """Escape what was typed and turn @handles and #channels into Slack's references."""
        known = {f"@{user.handle}": f"<@{user.id}>" for user in self._workspace.users.values()}
        known |= {
            f"@{group.handle}": f"<!subteam^{group.id}|@{group.handle}>" for group in self._workspace.groups.values()
        }
        known |= {
            f"#{channel.name}": f"<#{channel.id}|{channel.name}>"
            for channel in self._workspace.channels.values()
            if channel.im_user is None
        }
        return re.sub(r"[@#][\w-]+", lambda found: known.get(found[0], found[0]), escape_html(text, quote=False))


def _seen(outcome: Outcome) -> Ack:
    if outcome.status == "ok":
        return Ack()
    return Ack(status=outcome.status, text=NO_CONNECTION, timed_out=outcome.status == "operation_timeout")


def _label(element: Json, raw: object) -> str:
    name = str((element.get("text") or {}).get("text") or element["action_id"])
    return f"{name}: {raw}" if raw is not None else name
