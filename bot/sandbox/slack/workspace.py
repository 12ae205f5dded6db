"""The workspace in memory: records, deterministic ids and timestamps, and who is told about changes."""

import copy
import dataclasses
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from bot.sandbox.slack.records import (
    BOT_USER,
    SLACKBOT,
    ApiError,
    Change,
    Channel,
    Entry,
    Exchange,
    Group,
    Json,
    Message,
    StoredFile,
    User,
    View,
    controls,
)

HOME_CHANNEL = "llm-observatory-alerts"
_TS_PER_SECOND = 1_000_000


def people() -> tuple[User, ...]:
    """Return the team that every story is played by."""
    return (
        User(id="U0JANE", handle="jane", name="Jane Doe", email="jane@company.com", title="deployer"),
        User(id="U0BOB", handle="bob", name="Bob Williams", email="bob@company.com", title="approver"),
        User(id="U0ALICE", handle="alice", name="Alice Johnson", email="alice@company.com", title="DBA"),
        User(id="U0CHARLIE", handle="charlie", name="Charlie Brown", email="charlie@company.com", title="on-call"),
    )


def groups() -> tuple[Group, ...]:
    """Return the user groups; Jane is an approver too, so that four eyes and not a missing role refuses her."""
    return (
        Group(
            id="S0DEPLOYERS",
            handle="obs-deployers",
            name="Observatory deployers",
            members=("U0JANE", "U0BOB", "U0ALICE"),
        ),
        Group(id="S0APPROVERS", handle="obs-approvers", name="Observatory approvers", members=("U0JANE", "U0BOB")),
        Group(id="S0DBA", handle="obs-dba", name="Observatory DBAs", members=("U0ALICE",)),
        Group(id="S0ONCALL", handle="obs-oncall", name="Observatory on-call", members=("U0CHARLIE",)),
    )


class Workspace:
    """Everything the local Slack remembers. `now` gives epoch seconds."""

    def __init__(self, now: Callable[[], float], bot_handle: str = "opsbot") -> None:
        self.now = now
        bot = User(id=BOT_USER, handle=bot_handle, name="Observatory Ops", title="app", is_bot=True)
        slackbot = User(id=SLACKBOT, handle="slackbot", name="Slackbot", is_bot=True)
        self.users = {user.id: user for user in (*people(), bot, slackbot)}
        self.groups = {group.id: group for group in groups()}
        self.channels = {channel.id: channel for channel in self._first_channels()}
        self.history: dict[str, list[Message]] = {channel: [] for channel in self.channels}
        self.stacks: dict[str, list[View]] = {}
        self.homes: dict[str, View] = {}
        self.files: dict[str, StoredFile] = {}
        self.read: dict[tuple[str, str], str] = {}
        self.log: list[Entry] = []
        self.traffic: deque[Exchange] = deque(maxlen=200)
        self._listeners: list[Callable[[Change], None]] = []
        self._count = 0
        self._second = 0

    def _first_channels(self) -> Iterator[Channel]:
        everybody = {user.id for user in people()}
        topic = "Deployments, approvals and incidents of LLM Observatory"
        yield Channel(id="C0ALERTS", name=HOME_CHANNEL, members={*everybody, BOT_USER}, topic=topic)
        yield Channel(id="C0RANDOM", name="random", members=everybody, topic="Everything else (the bot is not here)")
        for user in people():
            dm = f"D0{user.handle.upper()}"
            yield Channel(id=dm, name=user.handle, members={user.id, BOT_USER}, im_user=user.id)

    def next_id(self, prefix: str) -> str:
        """Return an id that is the same in every run with the same history."""
        self._count += 1
        return f"{prefix}{self._count:06X}"

    def next_ts(self) -> str:
        """Return a timestamp that is later than every earlier one, whatever the clock does."""
        self._count += 1
        self._second = max(self._second + (self._count % _TS_PER_SECOND == 0), int(self.now()))
        return f"{self._second}.{self._count % _TS_PER_SECOND:06d}"

    @contextmanager
    def listening(self, listener: Callable[[Change], None]) -> Iterator[None]:
        """Call the listener on every change while the block runs."""
        self._listeners.append(listener)
        try:
            yield
        finally:
            self._listeners.remove(listener)

    def tell(self, change: Change) -> None:
        """Tell every listener."""
        for listener in tuple(self._listeners):
            listener(change)

    def note(self, who: str, kind: str, where: str, text: str, ts: str = "") -> None:
        """Write one line of the transcript."""
        self.log.append(Entry(at=self.now(), who=self.name(who), kind=kind, where=where, text=text, ts=ts))

    def name(self, user: str) -> str:
        """Return a person's handle, or the id of somebody unknown."""
        return self.users[user].handle if user in self.users else user

    def rename_bot(self, name: str | None, handle: str | None) -> None:
        """Give the bot the names that its manifest asks for."""
        bot = self.users[BOT_USER]
        self.users[BOT_USER] = dataclasses.replace(bot, name=name or bot.name, handle=handle or bot.handle)

    def find_user(self, reference: str) -> User:
        """Find somebody by id, handle or e-mail."""
        for user in self.users.values():
            if reference in {user.id, user.handle, user.email}:
                return user
        raise ApiError("user_not_found")

    def find_channel(self, reference: str) -> Channel:
        """Find a channel by id or name; a user's id means the direct conversation with them."""
        plain = reference.removeprefix("#")
        for channel in self.channels.values():
            named = channel.im_user is None and channel.name == plain
            if reference == channel.id or named or channel.im_user == reference:
                return channel
        raise ApiError("channel_not_found")

    def find_message(self, channel: str, ts: str) -> Message:
        """Find a message that everybody can see."""
        for message in self.history[channel]:
            if message.ts == ts and not message.deleted and message.ephemeral_for is None:
                return message
        raise ApiError("message_not_found")

    def title(self, channel: str) -> str:
        """Return what a transcript calls the place."""
        place = self.channels[channel]
        return f"@{place.name}" if place.im_user else f"#{place.name}"

    def post(self, message: Message) -> Message:
        """Store a message and tell everybody; its blocks are copied and get ids."""
        self._dress(message)
        self.history[message.channel].append(message)
        kind = "ephemeral" if message.ephemeral_for else ("reply" if message.is_reply else "post")
        self.note(message.user, kind, self.title(message.channel), message.text, message.ts)
        self.tell(Change(kind="message", message=message, new=True))
        return message

    def revise(self, message: Message, text: str, blocks: Sequence[Json], metadata: Json | None = None) -> None:
        """Show other content in the same place."""
        message.text = text
        message.blocks = list(blocks)
        message.metadata = metadata or message.metadata
        self._dress(message)
        self.note(message.user, "update", self.title(message.channel), text, message.ts)
        self.tell(Change(kind="message", message=message))

    def remove(self, message: Message) -> None:
        """Take a message away."""
        message.deleted = True
        self.note(message.user, "delete", self.title(message.channel), message.text, message.ts)
        self.tell(Change(kind="message", message=message))

    def replies(self, parent: Message) -> list[Message]:
        """Return what hangs below a message, ephemeral answers included."""
        return [one for one in self.history[parent.channel] if one.is_reply and one.thread_ts == parent.ts]

    def unread(self, user: str, channel: str) -> int:
        """Count what others posted since this person last looked."""
        last = self.read.get((user, channel), "")
        return sum(
            one.ts > last and one.user != user and one.visible_to(user) and (not one.is_reply or one.broadcast)
            for one in self.history[channel]
        )

    def dress(self, blocks: Sequence[Json]) -> list[Json]:
        """Copy blocks and give an id to every block and control without one, as Slack does."""
        dressed = copy.deepcopy(list(blocks))
        self._give_ids(dressed)
        return dressed

    def _dress(self, message: Message) -> None:
        message.blocks = self.dress(message.blocks)
        for block_id, element in controls(message.blocks):
            message.elements[block_id, element["action_id"]] = element

    def _give_ids(self, blocks: list[Json]) -> None:
        for block in blocks:
            block.setdefault("block_id", self.next_id("b"))
            self._give_ids(block.get("child_blocks", []))
            self._give_ids([child for child in block.get("elements", []) if child.get("type") == "card"])
        for _block_id, element in controls(blocks):
            element.setdefault("action_id", self.next_id("a"))
