"""Who somebody is and what they may do: Slack's user groups, user ids and e-mails mapped to roles by the settings.

Roles are never guessed. A fresh read (a click that decides) fails when Slack cannot be read; anything else may use the
last good copy.
"""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Generic, Protocol, TypeVar

from bot.clients.slack import SlackGroup, SlackUser
from bot.contract import Person, Role
from bot.errors import NotFound, OpsError, Unavailable

CACHE = timedelta(seconds=60)

_USER_ID = re.compile(r"[UW][A-Z0-9]+")
_USERS_KEPT = 2000
_T = TypeVar("_T")


class Directory(Protocol):
    """The part of Slack that knows people."""

    async def user(self, user_id: str) -> SlackUser:
        """Return one member."""
        ...

    async def user_by_email(self, email: str) -> SlackUser:
        """Return the member with this address."""
        ...

    async def groups(self) -> Sequence[SlackGroup]:
        """Return the enabled user groups with their members."""
        ...


def same(one: Person, other: Person) -> bool:
    """Tell whether two accounts are one person: the same id, or the same e-mail address."""
    return one.id == other.id or bool(one.email and one.email.casefold() == other.email.casefold())


class People:
    """Finds persons. Raises Unavailable when Slack cannot be read, NotFound when it does not know them."""

    def __init__(
        self, slack: Directory, roles: Mapping[Role, Sequence[str]], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._slack = slack
        self._roles = roles
        self._clock = clock
        self._users: dict[str, _Memory[SlackUser]] = {}
        self._groups = _Memory(slack.groups, clock)
        self._needs_groups = any(_is_group(name) for names in roles.values() for name in names)

    async def find(self, user_id: str, *, fresh: bool = False) -> Person:
        """Return the person with this Slack id; `fresh` reads them and their groups from Slack now."""
        if not fresh:
            # Mostly from memory, where a task for each would cost more than the reads.
            return self._person(await self._user(user_id).read(fresh=False), await self._read_groups(fresh=False))
        user, groups = await asyncio.gather(self._user(user_id).read(fresh=True), self._read_groups(fresh=True))
        return self._person(user, groups)

    async def by_email(self, email: str) -> Person:
        """Return the person with this address, for the terminal; roles are read now.

        When Slack is down, what the settings say of the address itself still holds: that is read, not guessed.
        """
        try:
            user = await self._slack.user_by_email(email)
            return self._person(user, await self._read_groups(fresh=True))
        except (Unavailable, NotFound) as error:
            person = self._person(SlackUser(id=email, name=email, email=email), ())
            if person.roles:
                return person
            raise type(error)(f"No role of {email} can be confirmed. {error.sentence}", **error.facts) from error

    def _user(self, user_id: str) -> "_Memory[SlackUser]":
        if len(self._users) > _USERS_KEPT:
            self._users.clear()
        return self._users.setdefault(user_id, _Memory(lambda: self._slack.user(user_id), self._clock))

    async def _read_groups(self, *, fresh: bool) -> Sequence[SlackGroup]:
        return await self._groups.read(fresh=fresh) if self._needs_groups else ()

    def _person(self, user: SlackUser, groups: Sequence[SlackGroup]) -> Person:
        held = frozenset(role for role, names in self._roles.items() if _any_holds(names, user, groups))
        return Person(id=user.id, name=user.name, email=user.email, roles=held if user.active else frozenset())


class _Memory(Generic[_T]):
    """The last copy of one read. Those who ask while it is under way share its outcome, whatever it is."""

    def __init__(self, load: Callable[[], Awaitable[_T]], clock: Callable[[], float]) -> None:
        self._load = load
        self._clock = clock
        self._turn = asyncio.Lock()
        self._copy: tuple[float, _T] | None = None
        self._failure: tuple[float, OpsError] | None = None

    async def read(self, *, fresh: bool) -> _T:
        asked = self._clock()
        async with self._turn:
            # A fresh read may share one that began after it was asked for, never one that was already under way.
            if not self._is_young(asked, fresh=fresh) and not (self._failure and self._failure[0] > asked):
                await self._renew()
            if self._failure is None and self._copy is not None:
                return self._copy[1]
            return self._fallback(fresh=fresh)

    def _is_young(self, asked: float, *, fresh: bool) -> bool:
        if self._copy is None:
            return False
        return self._copy[0] > asked if fresh else self._copy[0] > asked - CACHE.total_seconds()

    async def _renew(self) -> None:
        began = self._clock()
        try:
            value = await self._load()
        except OpsError as error:
            self._failure = (began, error)
            return
        self._copy, self._failure = (began, value), None

    def _fallback(self, *, fresh: bool) -> _T:
        if self._copy is not None and not fresh:
            return self._copy[1]
        assert self._failure is not None
        cause = self._failure[1]
        if isinstance(cause, NotFound):
            raise NotFound(cause.sentence, **cause.facts) from cause
        raise Unavailable(
            f"Roles cannot be read from Slack now, and they are never guessed. {cause.sentence}", **cause.facts
        ) from cause


def _any_holds(names: Sequence[str], user: SlackUser, groups: Sequence[SlackGroup]) -> bool:
    return any(_holds(name, user, groups) for name in names)


def _holds(name: str, user: SlackUser, groups: Sequence[SlackGroup]) -> bool:
    if _is_email(name):
        return bool(user.email) and name.casefold() == user.email.casefold()
    if not _is_group(name):
        return name == user.id
    handle = name.removeprefix("@").casefold()
    return any(user.id in group.members for group in groups if name == group.id or handle == group.handle.casefold())


def _is_email(name: str) -> bool:
    return "@" in name[1:]


def _is_group(name: str) -> bool:
    return not _is_email(name) and not _USER_ID.fullmatch(name)
