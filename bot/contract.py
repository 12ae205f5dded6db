"""What a command is and what passes between a person and it: values only, no Slack and no business in here."""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from bot.services import Services

Block: TypeAlias = Mapping[str, object]
Audience: TypeAlias = Literal["asker", "channel"]
Origin: TypeAlias = Literal["slack", "terminal"]


class Role(enum.StrEnum):
    """What a person may do; mapped from Slack user groups, user ids or e-mail addresses in the settings."""

    DEPLOYER = "deployer"
    APPROVER = "approver"
    DBA = "dba"
    ONCALL = "oncall"
    MANAGER = "manager"


@dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody who asks or decides. `id` is Slack's; two accounts with one e-mail are the same person."""

    id: str
    name: str
    email: str = ""
    roles: frozenset[Role] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Request:
    """One thing a person did. `key` is the same when Slack delivers the same act again."""

    key: str
    at: datetime
    person: Person
    command: str = ""
    text: str = ""
    channel: str = ""
    channel_name: str = ""
    thread: str | None = None
    message: str | None = None
    value: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)
    origin: Origin = "slack"


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What the person is told at once. `view` opens a form; `errors` (form field to sentence) keeps one open."""

    text: str = ""
    blocks: tuple[Block, ...] = ()
    audience: Audience = "asker"
    view: Block | None = None
    errors: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Card:
    """A rendered message: `text` is the full sentence for notifications, search and screen readers."""

    text: str
    blocks: tuple[Block, ...] = ()


Handler: TypeAlias = Callable[[Request, "Services"], Awaitable[Reply]]


@dataclass(frozen=True, kw_only=True)
class Command:
    """One slash command and everything that belongs to it.

    `buttons` maps action ids, `views` maps form callback ids, `mentions` maps the first word after `@opsbot`.
    """

    name: str
    summary: str
    usage: str
    examples: tuple[str, ...]
    handle: Handler
    buttons: Mapping[str, Handler] = field(default_factory=dict)
    views: Mapping[str, Handler] = field(default_factory=dict)
    mentions: Mapping[str, Handler] = field(default_factory=dict)
