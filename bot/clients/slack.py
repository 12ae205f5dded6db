"""Slack's Web API: one call each, no retries, every failure one of our errors; when to try again is the caller's."""

import json
import logging
import re
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.socket_mode.async_client import AsyncBaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.web.async_client import AsyncWebClient

from bot.contract import Block
from bot.errors import NotFound, OpsError, OutcomeUnknown, Refused, Throttled, Unavailable

# What Socket Mode hands to `bot/slack`, which does not know the SDK.
SocketClient: TypeAlias = AsyncBaseSocketModeClient
SocketRequest: TypeAlias = SocketModeRequest

API_URL = "https://slack.com/api/"
CARD_EVENT = "opsbot_card"
# The whole call, and reaching Slack at all. Handlers have their own, shorter budget above these.
TIMEOUT = aiohttp.ClientTimeout(total=10, connect=5, sock_connect=3)

_PAGE = 200
_PAGES = 50
_THROTTLED = frozenset({"ratelimited", "rate_limited", "message_limit_exceeded"})
_DOWN = frozenset({"service_unavailable", "team_added_to_org", "request_timeout"})
# Slack: "it is possible some aspect of the operation succeeded before the error was raised".
_AMBIGUOUS = frozenset({"internal_error", "fatal_error"})
_NOT_FOUND = frozenset(
    {"channel_not_found", "user_not_found", "users_not_found", "message_not_found", "no_such_subteam", "not_found"}
)
_TOO_MANY_REQUESTS = 429
_SERVER_ERRORS = 500
_WORD = re.compile(r"[a-z_]{1,80}")


@dataclass(frozen=True, kw_only=True)
class SlackUser:
    """A member of the workspace; `active` is false once the account was deactivated."""

    id: str
    name: str
    email: str
    active: bool = True


@dataclass(frozen=True, kw_only=True)
class SlackGroup:
    """An enabled user group with the ids of its members."""

    id: str
    handle: str
    members: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class SlackIdentity:
    """Who the bot is in which workspace."""

    bot_user_id: str
    team: str
    url: str


def web_client(token: str, base_url: str, session: aiohttp.ClientSession | None = None) -> AsyncWebClient:
    """Build the SDK's client: no retries of its own, no proxy for loopback and NO_PROXY hosts, nothing logged.

    The SDK logs request arguments when its logger has no level of its own, and knows no NO_PROXY.
    """
    logger = logging.getLogger("bot.slack.sdk")
    logger.setLevel(logging.WARNING)
    client = AsyncWebClient(
        token, base_url=base_url, session=session, timeout=int(TIMEOUT.total or 0), logger=logger, retry_handlers=[]
    )
    if _is_direct(base_url):
        client.proxy = None
    return client


class Slack:
    """The bot's own account. Every method raises Throttled, Unavailable, OutcomeUnknown (writes), NotFound or Refused.

    The fact `error` of Refused and NotFound holds Slack's code, such as `invalid_blocks`.
    """

    def __init__(self, token: str, *, base_url: str = API_URL, session: aiohttp.ClientSession | None = None) -> None:
        self._web = web_client(token, base_url, session)
        self._owned: aiohttp.ClientSession | None = None
        self._channels: dict[str, str] = {}
        self.workspace_url = ""

    @property
    def web(self) -> AsyncWebClient:
        """The SDK's client on this client's session, for Bolt; only inside the running loop."""
        self._web.session = self._session()
        return self._web

    async def close(self) -> None:
        """Close the session this client opened; one that was given stays open."""
        if self._owned is not None:
            await self._owned.close()

    async def auth(self) -> SlackIdentity:
        """Return who the token belongs to."""
        data = await self._read("auth.test")
        self.workspace_url = str(data["url"])
        return SlackIdentity(bot_user_id=str(data["user_id"]), team=str(data["team"]), url=str(data["url"]))

    async def post(
        self,
        channel: str,
        text: str,
        blocks: Sequence[Block],
        *,
        thread: str | None = None,
        metadata: Mapping[str, object] | None = None,
        broadcast: bool = False,
    ) -> str:
        """Post a message and return its timestamp; `metadata` (card_id, rev) lets `find_post` find it again."""
        data = await self._write(
            "chat.postMessage",
            channel=channel,
            text=text,
            blocks=list(blocks) or None,
            thread_ts=thread,
            reply_broadcast=broadcast if thread else None,
            metadata=None if metadata is None else {"event_type": CARD_EVENT, "event_payload": dict(metadata)},
            unfurl_links=False,
            unfurl_media=False,
        )
        return str(data["ts"])

    async def update(self, channel: str, ts: str, text: str, blocks: Sequence[Block]) -> None:
        """Replace a message; its metadata stays."""
        await self._write("chat.update", channel=channel, ts=ts, text=text, blocks=list(blocks))

    async def whisper(
        self, channel: str, user: str, text: str, blocks: Sequence[Block], *, thread: str | None = None
    ) -> None:
        """Post what only one person sees; it is gone when their client reloads."""
        await self._write(
            "chat.postEphemeral",
            channel=channel,
            user=user,
            text=text,
            blocks=list(blocks) or None,
            thread_ts=thread,
        )

    async def respond(self, url: str, text: str, blocks: Sequence[Block]) -> None:
        """Answer the person who acted through the payload's response_url (30 min, 5 uses), seen by them only."""
        body: dict[str, object] = {"text": text, "response_type": "ephemeral", "replace_original": False}
        if blocks:
            body["blocks"] = [dict(block) for block in blocks]
        proxy = None if _is_direct(url) else self._web.proxy
        try:
            async with self._session().post(url, json=body, proxy=proxy) as answer:
                said = _said(await answer.text())
                if not answer.ok or said.get("ok") is False:
                    raise _failure("response_url", answer.status, said, answer.headers)
        except (TimeoutError, aiohttp.ClientError) as error:
            raise _lost("response_url", error, write=True) from error

    async def open_view(self, trigger: str, view: Block) -> None:
        """Open a form; the trigger is good for 3 s and once."""
        await self._write("views.open", trigger_id=trigger, view=dict(view))

    async def find_post(self, channel: str, card_id: str, oldest: datetime, *, thread: str | None = None) -> str | None:
        """Return the timestamp of the message with this card id, in the channel or in one thread of it."""
        method = "conversations.replies" if thread else "conversations.history"
        query = {"channel": channel, "oldest": f"{oldest.timestamp():.6f}", "inclusive": True}
        where = {"ts": thread} if thread else {}
        async for page in self._pages(method, **query, **where, include_all_metadata=True):
            for message in page.get("messages") or ():
                metadata = message.get("metadata") or {}
                if (metadata.get("event_payload") or {}).get("card_id") == card_id:
                    return str(message["ts"])
        return None

    async def user(self, user_id: str) -> SlackUser:
        """Return one member."""
        return _user((await self._read("users.info", user=user_id))["user"])

    async def user_by_email(self, email: str) -> SlackUser:
        """Return the active member with this e-mail address."""
        return _user((await self._read("users.lookupByEmail", email=email))["user"])

    async def groups(self) -> tuple[SlackGroup, ...]:
        """Return every enabled user group with its members, in one call where Slack includes them."""
        data = await self._read("usergroups.list", include_users=True)
        found = []
        for group in data.get("usergroups") or ():
            members = group.get("users")
            if members is None:
                members = await self._members(group["id"])
            found.append(SlackGroup(id=group["id"], handle=group.get("handle", ""), members=tuple(members)))
        return tuple(found)

    async def group_members(self, handle_or_id: str) -> tuple[str, ...]:
        """Return the user ids of one group, named by handle (with or without @) or by id."""
        name = handle_or_id.removeprefix("@")
        for group in await self.groups():
            if name in (group.id, group.handle):
                return group.members
        raise NotFound(f"There is no user group @{name} in Slack: check the roles in the settings", group=name)

    async def channel_id(self, name: str) -> str:
        """Return the id of a channel the bot can see, by name; an id is returned as it is. Remembered."""
        plain = name.removeprefix("#")
        if plain[:1] in {"C", "G", "D"} and plain.isalnum() and plain.isupper():
            return plain
        if plain not in self._channels:
            self._channels[plain] = await self._find_channel(plain)
        return self._channels[plain]

    async def permalink(self, channel: str, ts: str) -> str:
        """Return the address of a message."""
        return str((await self._read("chat.getPermalink", channel=channel, message_ts=ts))["permalink"])

    async def _find_channel(self, name: str) -> str:
        kinds = "public_channel,private_channel"
        async for page in self._pages("conversations.list", types=kinds, exclude_archived=True):
            for channel in page.get("channels") or ():
                if channel.get("name") == name:
                    return str(channel["id"])
        raise NotFound(f"Slack shows me no channel #{name}: create it or `/invite` me there", channel=name)

    async def _members(self, group_id: str) -> list[str]:
        return list((await self._read("usergroups.users.list", usergroup=group_id)).get("users") or ())

    async def _pages(self, method: str, **query: object) -> AsyncIterator[dict[str, Any]]:
        cursor = ""
        for _ in range(_PAGES):
            page = await self._read(method, **query, limit=_PAGE, **({"cursor": cursor} if cursor else {}))
            yield page
            cursor = (page.get("response_metadata") or {}).get("next_cursor") or ""
            if not cursor:
                return

    async def _read(self, method: str, **query: object) -> dict[str, Any]:
        return await self._call(method, write=False, params=query)

    async def _write(self, method: str, **body: object) -> dict[str, Any]:
        return await self._call(method, write=True, json={key: part for key, part in body.items() if part is not None})

    async def _call(self, method: str, *, write: bool, **arguments: Any) -> dict[str, Any]:
        verb = "POST" if write else "GET"
        try:
            answer = await self.web.api_call(method, http_verb=verb, **arguments)
        except SlackApiError as error:
            raise _refusal(method, error, write=write) from error
        except (TimeoutError, aiohttp.ClientError) as error:
            raise _lost(method, error, write=write) from error
        except (AttributeError, ValueError, SlackClientError) as error:
            # The SDK trips over bodies that are no JSON object, such as the page of a proxy.
            raise _lost(method, error, write=write) from error
        return dict(answer.data) if isinstance(answer.data, dict) else {}

    def _session(self) -> aiohttp.ClientSession:
        """Open the session on first use, because it belongs to the running loop."""
        if self._web.session is None:
            self._owned = aiohttp.ClientSession(timeout=TIMEOUT)
            return self._owned
        return self._web.session


def _user(data: Mapping[str, Any]) -> SlackUser:
    profile = data.get("profile") or {}
    # The full name: records and pages are read by people who do not know the nicknames of a workspace.
    name = profile.get("real_name") or data.get("real_name") or profile.get("display_name") or data.get("name")
    return SlackUser(
        id=str(data["id"]),
        name=str(name or data["id"]),
        email=str(profile.get("email") or ""),
        active=not data.get("deleted", False),
    )


def _said(body: str) -> Mapping[str, Any]:
    """Read the answer of a response_url: JSON, or a bare word such as `ok` or `expired_url`."""
    try:
        data = json.loads(body)
    except ValueError:
        word = body.strip()
        return {"error": word} if _WORD.fullmatch(word) else {}
    return data if isinstance(data, dict) else {}


def _is_direct(url: str) -> bool:
    host = urllib.parse.urlsplit(url).hostname or ""
    return host in {"localhost", "127.0.0.1", "::1"} or bool(urllib.request.proxy_bypass(host))


def _refusal(method: str, error: SlackApiError, *, write: bool) -> OpsError:
    response = error.response
    status = int(getattr(response, "status_code", 0) or getattr(response, "status", 0))
    data = getattr(response, "data", None)
    return _failure(method, status, data if isinstance(data, dict) else {}, response.headers, write=write)


def _failure(
    method: str, status: int, data: Mapping[str, Any], headers: Mapping[str, str], *, write: bool = True
) -> OpsError:
    code = str(data.get("error") or "")
    facts = {"method": method, "error": code, "status": status}
    if status == _TOO_MANY_REQUESTS or code in _THROTTLED:
        wait = _seconds(headers.get("Retry-After"))
        return Throttled(f"Slack asks to slow down ({method}); try again in {wait:.0f} s", retry_after=wait, **facts)
    if status >= _SERVER_ERRORS or not code or code in _AMBIGUOUS:
        kind = OutcomeUnknown if write else Unavailable
        return kind(f"Slack failed on {method} (HTTP {status} {code}); try again in a moment", **facts)
    if code in _DOWN:
        return Unavailable(f"Slack is not available ({method}: {code}); try again in a moment", **facts)
    reasons = tuple((data.get("response_metadata") or {}).get("messages") or ())
    refusal = NotFound if code in _NOT_FOUND else Refused
    return refusal(f"Slack refused {method}: {code}", reasons=reasons, **facts)


def _lost(method: str, error: Exception, *, write: bool) -> OpsError:
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError) or not write:
        return Unavailable(f"Slack cannot be reached ({method}); try again in a moment", method=method)
    return OutcomeUnknown(f"Slack did not confirm {method}: it may or may not have happened", method=method)


def _seconds(value: str | None) -> float:
    try:
        return max(float(value or 1), 0.0)
    except ValueError:
        return 1.0
