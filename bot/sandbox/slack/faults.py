"""The switches of a game day: what this Slack does wrong on purpose, and how often it may be called."""

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Mapping

NAMES = (
    "rate_limited",
    "down",
    "delay_acks",
    "stale_ticket",
    "lose_reply_after_post",
    "duplicate_click",
    "duplicate_event",
)

# Calls per minute that Slack promises per method (facts: Slack's tiers 2, 3 and 4; postMessage is one a second).
TIERS: Mapping[str, int] = {
    "chat.postMessage": 60, "chat.update": 50, "chat.delete": 50, "chat.postEphemeral": 100,
    "reactions.add": 50, "conversations.info": 50, "conversations.replies": 50, "conversations.history": 50,
    "apps.connections.open": 50, "views.open": 100, "views.update": 100, "views.publish": 100, "users.info": 100,
    "conversations.members": 100, "usergroups.list": 20, "usergroups.users.list": 20, "users.list": 20,
    "conversations.list": 20,
}  # fmt: skip


class Faults:
    """Plain attributes; `set` serves switches by name.

    `lose_reply_after_post` is `""`, `"drop"` (connection cut), `"500"` or `"hang"`; `delay_acks` is in seconds;
    `rate_limits` maps methods to calls per minute (see TIERS) and is empty at first.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self.rate_limited = False
        self.retry_after = 1
        self.delay_acks = 0.0
        self.stale_ticket = False
        self.lose_reply_after_post = ""
        self.duplicate_click = False
        self.duplicate_event = False
        self.rate_limits: dict[str, int] = {}
        self.closing = asyncio.Event()
        self.cut: Callable[[], None] | None = None
        self._down = False
        self._calls: dict[str, deque[float]] = defaultdict(deque)

    @property
    def down(self) -> bool:
        """Tell whether nothing answers at all."""
        return self._down

    @down.setter
    def down(self, on: bool) -> None:
        self._down = on
        if on:
            self.drop_sockets()

    def drop_sockets(self) -> None:
        """Cut every websocket without a goodbye."""
        if self.cut is not None:
            self.cut()

    def set(self, name: str, on: bool) -> None:  # noqa: FBT001 -- a switch
        """Turn a switch by name; KeyError for an unknown one."""
        if name not in NAMES:
            raise KeyError(name)
        special: dict[str, object] = {"delay_acks": 4.0 if on else 0.0, "lose_reply_after_post": "drop" if on else ""}
        setattr(self, name, special.get(name, on))

    def is_on(self, name: str) -> bool:
        """Tell whether the named switch is on."""
        return bool(getattr(self, name))

    def wait_for_turn(self, method: str) -> int:
        """Return 0 when the call may pass, else the seconds of `Retry-After`."""
        if self.rate_limited:
            return self.retry_after
        most = self.rate_limits.get(method)
        if most is None:
            return 0
        calls = self._calls[method]
        now = self._now()
        while calls and calls[0] <= now - 60:
            calls.popleft()
        if len(calls) >= most:
            return max(1, int(calls[0] + 60 - now))
        calls.append(now)
        return 0
