"""PagerDuty's Events API v2, which needs nothing but a routing key: pages and change events.

The vendor's client as shipped waits and retries for ever; here it tries once and reports, and the outbox tries again.
"""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any, TypeVar

import httpx2
import pagerduty

from bot.errors import Misconfigured, OpsError, OutcomeUnknown, Refused, Throttled, Unavailable

_T = TypeVar("_T")

LIMIT = timedelta(seconds=5)
ACTIONS = frozenset({"trigger", "acknowledge", "resolve"})

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_NEVER_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError)
_WAITS = ("retry-after", "ratelimit-reset")


class PagerDuty:
    """One integration of a service. Its calls block threads of its own, so neither Slack nor AWS can hold up a page."""

    def __init__(self, routing_key: str, *, events_url: str, threads: int = 4, limit: timedelta = LIMIT) -> None:
        self._client = _client(routing_key, events_url, limit)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="pagerduty")
        # The client's limit is for each part of an exchange; a server that drips bytes must not hold up the next page.
        self._whole = limit * 3

    async def send_event(self, event: Mapping[str, object]) -> str:
        """Send an Events v2 event (`event_action`, `dedup_key`, `payload`, …); return the dedup key PagerDuty accepted.

        Sending it again with the same dedup key is one alert. Raises Unavailable, Throttled, OutcomeUnknown or Refused.
        """
        properties: dict[str, Any] = {key: value for key, value in event.items() if key != "routing_key"}
        action = str(properties.pop("event_action", "trigger"))
        key = properties.pop("dedup_key", None)
        if action not in ACTIONS or not (key or action == "trigger"):
            raise Refused(f"PagerDuty takes no event {action!r} with dedup key {key!r}; correct the event.")
        return await self._run(lambda: self._client.send_event(action, dedup_key=key, **properties))

    async def send_change(self, payload: Mapping[str, object]) -> None:
        """Send a change event: either its payload (`summary`, `timestamp`, …) or the whole event with `links`.

        A repeated one shows twice in PagerDuty. Raises what `send_event` raises.
        """
        event: Mapping[str, Any] = payload if "payload" in payload else {"payload": payload}
        parts = {key: event[key] for key in ("payload", "links", "images") if key in event}
        await self._run(lambda: self._client.send_change_event(**parts))

    async def close(self) -> None:
        """Take no more events and close the connections; a running one ends by its own timeout."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._client.close()

    async def _run(self, send: Callable[[], _T]) -> _T:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._whole.total_seconds()):
                return await loop.run_in_executor(self._pool, send)
        except TimeoutError as error:
            raise _unknown(f"no whole answer within {self._whole.total_seconds():.0f} s") from error
        except pagerduty.Error as error:
            raise _translated(error) from error


class _Loopback(httpx2.HTTPTransport):
    """Speaks http where the vendor's client insists on an https address."""

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        request.url = request.url.copy_with(scheme="http")
        return super().handle_request(request)


def _client(routing_key: str, events_url: str, limit: timedelta) -> pagerduty.EventsApiV2Client:
    url = httpx2.URL(events_url)
    plain = url.scheme == "http" and url.host in _LOOPBACK
    if not plain and url.scheme != "https":
        raise Misconfigured(
            f"PAGERDUTY_EVENTS_URL is {events_url}; it must begin with https:// (http only on loopback)."
        )
    options: dict[str, Any] = {"transport": _Loopback(verify=False)} if plain else {}
    client = pagerduty.EventsApiV2Client(
        routing_key, base_url=str(url.copy_with(scheme="https")).rstrip("/"), **options
    )
    # With these four it neither sleeps nor sends twice; `retry` must name 429, or the client retries it without end.
    client.retry = {429: 1}
    client.max_http_attempts = -1
    client.max_network_attempts = 0
    client.timeout = limit.total_seconds()  # type: ignore[assignment]  # an int only by its default
    return client


def _translated(error: pagerduty.Error) -> OpsError:
    if error.response is None:
        cause = error.__cause__
        reason = str(cause) or type(cause).__name__
        if isinstance(cause, _NEVER_SENT):
            return Unavailable(f"PagerDuty cannot be reached ({reason}); page another way and check the network.")
        return _unknown(reason)
    return _answered(error.response)


def _answered(response: httpx2.Response) -> OpsError:
    status, text = response.status_code, response.text[:200]
    if status == httpx2.codes.TOO_MANY_REQUESTS:
        wait = next((response.headers[name] for name in _WAITS if name in response.headers), "")
        named = {"retry_after": float(wait)} if wait.isdigit() else {}
        return Throttled("PagerDuty asks to slow down; send the event again later.", status=status, **named)
    if response.is_success:
        return _unknown(f"its answer is unreadable: {text!r}")
    if response.is_server_error or response.is_redirect or status == httpx2.codes.REQUEST_TIMEOUT:
        return Unavailable(f"PagerDuty answered {status} ({text}); send the event again later.", status=status)
    return Refused(
        f"PagerDuty refused the event with {status} ({text}); check PAGERDUTY_ROUTING_KEY and the event.", status=status
    )


def _unknown(reason: str) -> OutcomeUnknown:
    return OutcomeUnknown(
        f"PagerDuty may or may not have taken the event ({reason}); send it again with the same dedup key."
    )
