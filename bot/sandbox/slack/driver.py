"""Hands and eyes for stories and tests: act as somebody, wait for what they would see."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from bot.sandbox.slack import payloads, views
from bot.sandbox.slack.gestures import Gestures
from bot.sandbox.slack.plain import plain_text
from bot.sandbox.slack.records import BOT_USER, Ack, Change, Json, Message, User, View, controls
from bot.sandbox.slack.workspace import HOME_CHANNEL, Workspace

_SHOWN_WHEN_LOST: Final = 12


class Actor:
    """One person at the keyboard. LookupError where there is nothing to act on."""

    def __init__(self, user: User, workspace: Workspace, gestures: Gestures) -> None:
        self.user = user
        self._workspace = workspace
        self._gestures = gestures

    @property
    def view(self) -> Json | None:
        """Return the modal that is open for them, as Slack's API shows it."""
        view = views.top(self._workspace, self.user.id)
        return None if view is None else views.as_json(view, payloads.state(view.blocks, view.values))

    @property
    def home(self) -> Json | None:
        """Return their App Home."""
        view = self._workspace.homes.get(self.user.id)
        return None if view is None else views.as_json(view)

    def ephemerals(self, channel: str | None = None) -> list[Message]:
        """Return what only they can see, oldest first."""
        place = self._workspace.find_channel(channel).id if channel else None
        return [
            message
            for message in _all_messages(self._workspace, place)
            if message.ephemeral_for == self.user.id and not message.deleted
        ]

    async def command(self, text: str, *, channel: str = HOME_CHANNEL, thread: str | None = None) -> Ack:
        """Type a slash command; returns what they saw within 3 s."""
        return await self._gestures.command(self.user, channel, text, thread)

    async def say(self, text: str, *, channel: str = HOME_CHANNEL, thread: str | None = None) -> Message:
        """Post a message."""
        return self._gestures.say(self.user, channel, text, thread)

    async def mention(self, text: str, *, channel: str = HOME_CHANNEL, thread: str | None = None) -> Message:
        """Post a message that addresses the bot."""
        return await self.say(f"@{self._workspace.users[BOT_USER].handle} {text}", channel=channel, thread=thread)

    async def click(
        self, action_id: str, *, message_ts: str | None = None, value: str | None = None, times: int = 1
    ) -> Ack:
        """Operate a control: of the given message (also one it no longer shows), else of the open modal, else of the
        newest message, else of the home tab. `value` picks among buttons and is the choice in selects; `times` clicks
        happen at once.
        """
        view, message, key, element = self._locate(action_id, message_ts, value)
        raw = None if element["type"] == "button" else value
        if view is not None:
            acks = [self._gestures.operate(self.user, view, key, raw) for _ in range(times)]
        else:
            assert message is not None
            acks = [self._gestures.click(self.user, message, key, raw) for _ in range(times)]
        return (await asyncio.gather(*acks))[0]

    async def submit(self, fields: Mapping[str, object] | None = None) -> Ack:
        """Fill the open modal (keys are block or action ids) and submit it."""
        view = self._open_view()
        known = {
            name: (block, one["action_id"])
            for block, one in controls(view.blocks)
            for name in (one["action_id"], block)
        }
        for name, value in (fields or {}).items():
            if name not in known:
                raise LookupError(f"the modal has no input {name!r}, only {sorted(known)}")
            view.values[known[name]] = value
        return await self._gestures.submit(self.user, view)

    async def close_view(self) -> Ack:
        """Close the open modal."""
        return await self._gestures.close(self.user, self._open_view())

    async def open_home(self) -> None:
        """Open the App Home."""
        self._gestures.open_home(self.user)

    def _open_view(self) -> View:
        view = views.top(self._workspace, self.user.id)
        if view is None:
            raise LookupError(f"{self.user.name} has no modal open")
        return view

    def _locate(
        self, action_id: str, ts: str | None, value: str | None
    ) -> tuple[View | None, Message | None, tuple[str, str], Json]:
        for view, message, found in self._surfaces(ts):
            for key, element in found:
                wanted = element["type"] != "button" or value is None or element.get("value") == value
                if key[1] == action_id and wanted:
                    return view, message, key, element
        raise LookupError(f"{self.user.name} sees no control {action_id!r}\n{_recent(self._workspace)}")

    def _surfaces(
        self, ts: str | None
    ) -> Iterator[tuple[View | None, Message | None, list[tuple[tuple[str, str], Json]]]]:
        if ts is None and (top := views.top(self._workspace, self.user.id)) is not None:
            yield top, None, _keyed(top.blocks)
        for message in reversed(_all_messages(self._workspace)):
            member = self.user.id in self._workspace.channels[message.channel].members
            if member and message.visible_to(self.user.id) and ts in {None, message.ts}:
                yield None, message, _keyed(message.blocks) if ts is None else list(message.elements.items())
        if ts is None and (home := self._workspace.homes.get(self.user.id)) is not None:
            yield home, None, _keyed(home.blocks)


async def wait(workspace: Workspace, matches: Callable[[Message], bool], seconds: float) -> Message:
    """Return the newest message that matches, now or as soon as there is one; TimeoutError with the transcript."""
    changed = asyncio.Event()

    def mark(_change: Change) -> None:
        changed.set()

    with workspace.listening(mark):
        try:
            async with asyncio.timeout(seconds):
                while (found := _find(workspace, matches)) is None:
                    changed.clear()
                    await changed.wait()
        except TimeoutError:
            raise TimeoutError(f"no such message within {seconds:g} s; the last were:\n{_recent(workspace)}") from None
    return found


def has_text(
    workspace: Workspace, part: str, channel: str | None, ephemeral_for: str | None
) -> Callable[[Message], bool]:
    """Return a test for messages that contain a text, blocks included."""
    place = workspace.find_channel(channel).id if channel else None
    viewer = workspace.find_user(ephemeral_for).id if ephemeral_for else None

    def matches(message: Message) -> bool:
        in_place = place in {None, message.channel}
        return in_place and (viewer is None or message.ephemeral_for == viewer) and part in plain_text(message)

    return matches


def messages(workspace: Workspace, channel: str, thread: str | None = None) -> list[Message]:
    """Return what everybody sees in a channel, or in one of its threads below the parent."""
    place = workspace.find_channel(channel).id
    public = [one for one in workspace.history[place] if one.ephemeral_for is None and not one.deleted]
    if thread is None:
        return [one for one in public if not one.is_reply or one.broadcast]
    return [one for one in public if one.is_reply and one.thread_ts == thread]


def _find(workspace: Workspace, matches: Callable[[Message], bool]) -> Message | None:
    for message in reversed(_all_messages(workspace)):
        if not message.deleted and matches(message):
            return message
    return None


def _all_messages(workspace: Workspace, channel: str | None = None) -> list[Message]:
    found = [one for place, history in workspace.history.items() if channel in {None, place} for one in history]
    return sorted(found, key=lambda one: float(one.ts))


def _keyed(blocks: list[Json]) -> list[tuple[tuple[str, str], Json]]:
    return [((block, element["action_id"]), element) for block, element in controls(blocks)]


def _recent(workspace: Workspace) -> str:
    entries = workspace.log[-_SHOWN_WHEN_LOST:]
    return "\n".join(f"  {entry.who} {entry.kind} in {entry.where}: {entry.text[:160]}" for entry in entries)
