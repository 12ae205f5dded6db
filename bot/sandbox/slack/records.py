"""What the local Slack keeps: people, channels, messages, views, and what its Web API refuses with."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

TEAM = "T0SANDBOX"
APP = "A0OPSBOT"
BOT_USER = "U0OPSBOT"
BOT = "B0OPSBOT"
SLACKBOT = "USLACKBOT"


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Slack's own protocol limits, in seconds where not said otherwise; never scaled with the sandbox's time."""

    ack: float = 3.0
    trigger: float = 3.0
    response_url: float = 1800.0
    response_uses: int = 5
    ticket: float = 30.0
    retries: tuple[float, ...] = (0.0, 60.0, 300.0)
    connections: int = 10


class ApiError(Exception):
    """The Web API answers `ok: false` with this code; `extra` is merged into the answer."""

    def __init__(self, code: str, **extra: object) -> None:
        super().__init__(code)
        self.code = code
        self.extra = extra


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing Slack would refuse about a payload, at a JSON pointer below the payload's blocks or view."""

    pointer: str
    message: str
    code: str = "failed_constraint"


@dataclass(frozen=True, kw_only=True)
class User:
    """A member of the workspace; `title` says what they do here."""

    id: str
    handle: str
    name: str
    email: str = ""
    title: str = ""
    is_bot: bool = False

    @property
    def initials(self) -> str:
        """Two letters for the avatar."""
        return "".join(part[0] for part in self.name.split()[:2]).upper()


@dataclass(kw_only=True)
class Group:
    """A user group, such as @obs-approvers."""

    id: str
    handle: str
    name: str
    members: tuple[str, ...]


@dataclass(kw_only=True)
class Channel:
    """A channel, or a direct conversation between the bot and `im_user`."""

    id: str
    name: str
    members: set[str]
    topic: str = ""
    im_user: str | None = None


@dataclass(kw_only=True, eq=False)
class Message:
    """One message; `ephemeral_for` limits it to one person, `elements` remembers every control it ever showed."""

    channel: str
    ts: str
    user: str
    text: str
    blocks: list[Json] = field(default_factory=list)
    thread_ts: str | None = None
    broadcast: bool = False
    metadata: Json | None = None
    ephemeral_for: str | None = None
    edited: bool = False
    deleted: bool = False
    reactions: dict[str, list[str]] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    elements: dict[tuple[str, str], Json] = field(default_factory=dict)

    def visible_to(self, user: str) -> bool:
        """Tell whether this person sees the message."""
        return not self.deleted and self.ephemeral_for in {None, user}

    @property
    def is_reply(self) -> bool:
        """Tell whether it sits in a thread below another message."""
        return self.thread_ts is not None and self.thread_ts != self.ts

    def json(self, *, all_metadata: bool = False) -> Json:
        """Return the message as Slack's API shows it."""
        shown: Json = {"type": "message", "user": self.user, "text": self.text, "ts": self.ts, "team": TEAM}
        if self.user == BOT_USER:
            shown |= {"bot_id": BOT, "app_id": APP}
        if self.blocks:
            shown["blocks"] = self.blocks
        if self.thread_ts:
            shown["thread_ts"] = self.thread_ts
        if self.broadcast:
            shown["subtype"] = "thread_broadcast"
        if self.edited:
            shown["edited"] = {"user": self.user, "ts": self.ts}
        if self.metadata and all_metadata:
            shown["metadata"] = self.metadata
        if self.reactions:
            shown["reactions"] = [
                {"name": name, "users": users, "count": len(users)} for name, users in self.reactions.items()
            ]
        return shown


@dataclass(kw_only=True, eq=False)
class View:
    """A modal on somebody's stack, or their App Home; `values` are the raw inputs by (block_id, action_id)."""

    id: str
    user: str
    content: Json
    hash: str
    root: str
    previous: str | None = None
    errors: dict[str, str] = field(default_factory=dict)
    values: dict[tuple[str, str], object] = field(default_factory=dict)

    @property
    def blocks(self) -> list[Json]:
        """The view's blocks."""
        blocks: list[Json] = self.content["blocks"]
        return blocks


@dataclass(kw_only=True)
class StoredFile:
    """An uploaded file; it is shared once `shared` is set."""

    id: str
    name: str
    title: str
    content: bytes = b""
    shared: bool = False


@dataclass(frozen=True, kw_only=True)
class Change:
    """Something that watchers of the workspace may want to show again."""

    kind: str
    message: Message | None = None
    user: str | None = None
    new: bool = False


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One line of the transcript: who did what, where, at which time (epoch seconds)."""

    at: float
    who: str
    kind: str
    where: str
    text: str
    ts: str = ""


@dataclass(frozen=True, kw_only=True)
class Ack:
    """What a person saw right after acting; `status` is `ok`, `errors`, `refused` or Slack's own error code."""

    status: str = "ok"
    text: str = ""
    blocks: tuple[Json, ...] = ()
    timed_out: bool = False
    errors: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """One line of the traffic inspector: a Web API call or a payload to the app, with both bodies."""

    at: float
    what: str
    status: str
    milliseconds: float
    sent: Json
    answer: Json


# What a person can operate; everything else in a block is display only.
CONTROLS = frozenset(
    {
        "button", "workflow_button", "overflow", "static_select", "multi_static_select", "external_select",
        "multi_external_select", "users_select", "multi_users_select", "conversations_select",
        "multi_conversations_select", "channels_select", "multi_channels_select", "datepicker", "timepicker",
        "datetimepicker", "checkboxes", "radio_buttons", "plain_text_input", "email_text_input", "url_text_input",
        "number_input", "rich_text_input", "feedback_buttons", "icon_button", "file_input",
    }
)  # fmt: skip


def controls(blocks: list[Json]) -> Iterator[tuple[str, Json]]:
    """Yield every control of the blocks with the id of its block, containers and cards included."""
    for block in blocks:
        inside = [block.get("element"), block.get("accessory"), *block.get("elements", []), *block.get("actions", [])]
        for element in inside:
            if isinstance(element, dict) and element.get("type") in CONTROLS:
                yield block["block_id"], element
        yield from controls([child for child in inside if isinstance(child, dict) and child.get("type") == "card"])
        yield from controls(block.get("child_blocks", []))
