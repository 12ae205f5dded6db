"""Carries payloads to the app over Socket Mode or signed HTTP, and repeats events that nobody acknowledged."""

import asyncio
import json
import time
import urllib.parse
from collections.abc import Mapping

import aiohttp
from slack_sdk.signature import SignatureVerifier

from bot.sandbox.slack.faults import Faults
from bot.sandbox.slack.records import APP, BOT_USER, TEAM, Exchange, Json, Limits
from bot.sandbox.slack.sockets import Hub, Outcome
from bot.sandbox.slack.workspace import Workspace

# Kinds as Socket Mode names them.
COMMAND = "slash_commands"
INTERACTION = "interactive"
EVENT = "events_api"


class Delivery:
    """`http_url` set: signed HTTP to that request URL; unset: Socket Mode."""

    def __init__(self, workspace: Workspace, hub: Hub, faults: Faults, limits: Limits, signing_secret: str) -> None:
        self.http_url: str | None = None
        self._workspace = workspace
        self._hub = hub
        self._faults = faults
        self._limits = limits
        self._signer = SignatureVerifier(signing_secret)
        self._session: aiohttp.ClientSession | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def send(self, kind: str, payload: Json, *, attempt: int = 0, reason: str = "") -> Outcome:
        """Deliver once; commands and interactions are never repeated by Slack."""
        began = time.perf_counter()
        if self.http_url is None:
            outcome = await self._hub.deliver(kind, payload, attempt=attempt, reason=reason)
        else:
            outcome = await self._post(kind, payload, attempt=attempt, reason=reason)
        self._workspace.traffic.append(
            Exchange(
                at=self._workspace.now(),
                what=f"→ {payload.get('command') or payload.get('type') or kind}",
                status=outcome.status,
                milliseconds=(time.perf_counter() - began) * 1000,
                sent=payload,
                answer=outcome.body,
            )
        )
        return outcome

    def send_event(self, event: Json) -> None:
        """Deliver an event in the background, with Slack's three repetitions until it is acknowledged."""
        payload = self._callback(event)
        self._start(payload)
        if self._faults.duplicate_event:
            self._start(payload, first=1)

    async def close(self) -> None:
        """Stop repeating and close the HTTP session."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    def _start(self, payload: Json, first: int = 0) -> None:
        task = asyncio.create_task(self._until_acknowledged(payload, first))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _until_acknowledged(self, payload: Json, first: int) -> None:
        reason = "timeout" if first else ""
        for attempt in range(first, len(self._limits.retries) + 1):
            outcome = await self.send(EVENT, payload, attempt=attempt, reason=reason)
            if outcome.status == "ok":
                return
            reason = "timeout" if outcome.status == "operation_timeout" else "http_error"
            if attempt < len(self._limits.retries):
                await asyncio.sleep(self._limits.retries[attempt])

    def _callback(self, event: Json) -> Json:
        return {
            "token": "sandbox",
            "team_id": TEAM,
            "api_app_id": APP,
            "event": event,
            "type": "event_callback",
            "event_id": self._workspace.next_id("Ev"),
            "event_time": int(self._workspace.now()),
            "authorizations": [{"team_id": TEAM, "user_id": BOT_USER, "is_bot": True, "is_enterprise_install": False}],
            "is_ext_shared_channel": False,
        }

    async def _post(self, kind: str, payload: Json, *, attempt: int, reason: str) -> Outcome:
        assert self.http_url is not None
        if self._faults.down:
            return Outcome(status="dispatch_failed", body={})
        body, content = _encode(kind, payload)
        headers = {"Content-Type": content, **self._sign(body)}
        if attempt:
            headers |= {"X-Slack-Retry-Num": str(attempt), "X-Slack-Retry-Reason": reason}
        if self._session is None:
            self._session = aiohttp.ClientSession()
        limit = aiohttp.ClientTimeout(total=self._limits.ack)
        try:
            async with self._session.post(self.http_url, data=body, headers=headers, timeout=limit) as answer:
                text = await answer.text()
                await asyncio.sleep(self._faults.delay_acks)
                if self._faults.delay_acks >= self._limits.ack:
                    return Outcome(status="operation_timeout", body={})
                return _read(answer.status, text)
        except TimeoutError:
            return Outcome(status="operation_timeout", body={})
        except aiohttp.ClientError:
            return Outcome(status="dispatch_failed", body={})

    def _sign(self, body: str) -> Mapping[str, str]:
        stamp = str(int(self._workspace.now()))
        signature = self._signer.generate_signature(timestamp=stamp, body=body)
        assert signature is not None
        return {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": signature}


def _encode(kind: str, payload: Json) -> tuple[str, str]:
    form = "application/x-www-form-urlencoded"
    if kind == COMMAND:
        return urllib.parse.urlencode(payload), form
    if kind == INTERACTION:
        return urllib.parse.urlencode({"payload": json.dumps(payload)}), form
    return json.dumps(payload), "application/json"


def _read(status: int, text: str) -> Outcome:
    if status != 200:  # noqa: PLR2004 -- anything but 200 is a failure to Slack
        return Outcome(status="http_service_error", body={})
    if not text:
        return Outcome(status="ok", body={})
    try:
        body = json.loads(text)
    except ValueError:
        return Outcome(status="ok", body={"text": text})
    return Outcome(status="ok", body=body if isinstance(body, dict) else {"text": text})
