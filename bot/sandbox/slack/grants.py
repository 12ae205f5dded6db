"""What Slack hands to an app for a short time: trigger ids, response URLs, Socket Mode tickets."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from bot.sandbox.slack.records import ApiError, Limits, Message


@dataclass(kw_only=True)
class _Trigger:
    user: str
    until: float
    used: bool = False


@dataclass(kw_only=True)
class Response:
    """Where a response URL answers to: the place, the person, and the message that was clicked."""

    channel: str
    user: str
    thread: str | None
    origin: Message | None
    until: float
    uses: int = 0


class UrlError(Exception):
    """A response URL that cannot be used any more; the text is Slack's code."""


class Grants:
    """Hands out and checks; deterministic, so that two runs of a story give the same ids."""

    def __init__(self, now: Callable[[], float], limits: Limits) -> None:
        self._now = now
        self._limits = limits
        self._count = 0
        self._triggers: dict[str, _Trigger] = {}
        self._responses: dict[str, Response] = {}
        self._tickets: dict[str, float] = {}

    def trigger(self, user: str) -> str:
        """Return a trigger id that opens one view for this person within 3 s."""
        name = f"{self._next()}.{self._secret('trigger')}"
        self._triggers[name] = _Trigger(user=user, until=self._now() + self._limits.trigger)
        return name

    def spend_trigger(self, name: str) -> str:
        """Use a trigger id up and return its person."""
        trigger = self._triggers.get(name)
        if trigger is None:
            raise ApiError("invalid_trigger_id")
        if trigger.used:
            raise ApiError("exchanged_trigger_id")
        if self._now() > trigger.until:
            raise ApiError("expired_trigger_id")
        trigger.used = True
        return trigger.user

    def response(self, channel: str, user: str, origin: Message | None = None, thread: str | None = None) -> str:
        """Return the path of a response URL."""
        name = f"{self._next()}/{self._secret('response')}"
        until = self._now() + self._limits.response_url
        self._responses[name] = Response(channel=channel, user=user, origin=origin, thread=thread, until=until)
        return f"/actions/T0SANDBOX/{name}"

    def spend_response(self, name: str) -> Response:
        """Count one use of a response URL and say where it answers to."""
        response = self._responses.get(name)
        if response is None or self._now() > response.until:
            raise UrlError("expired_url")
        if response.uses >= self._limits.response_uses:
            raise UrlError("used_url")
        response.uses += 1
        return response

    def ticket(self) -> str:
        """Return a ticket for one websocket handshake."""
        name = f"{self._next()}-{self._secret('ticket')}"
        self._tickets[name] = self._now() + self._limits.ticket
        return name

    def spend_ticket(self, name: str) -> bool:
        """Use a ticket up; false for a used, expired or unknown one."""
        return self._tickets.pop(name, 0.0) >= self._now()

    def _next(self) -> int:
        self._count += 1
        return 1_000_000 + self._count

    def _secret(self, purpose: str) -> str:
        return hashlib.sha256(f"{purpose}{self._count}".encode()).hexdigest()[:24]
