"""The Web API's front door: tokens, arguments, limits and faults; the methods live in the `api_*` files."""

import asyncio
import contextlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from bot.sandbox.slack import api_chat, api_conversations, api_files, api_people, api_views
from bot.sandbox.slack.calls import Call, Method
from bot.sandbox.slack.faults import Faults
from bot.sandbox.slack.grants import Grants
from bot.sandbox.slack.records import ApiError, Exchange, Json
from bot.sandbox.slack.workspace import Workspace

METHODS: Final[Mapping[str, Method]] = {
    **api_chat.METHODS,
    **api_conversations.METHODS,
    **api_files.METHODS,
    **api_people.METHODS,
    **api_views.METHODS,
}
WITHOUT_TOKEN: Final = {"api.test", "blocks.validate"}
WITH_APP_TOKEN: Final = {"apps.connections.open"}
_AS_JSON: Final = {"blocks", "view", "metadata", "message", "files", "attachments"}
_HANG_SECONDS: Final = 60.0  # longer than any client waits
_WRITES: Final = {"chat.postMessage", "chat.update", "chat.postEphemeral"}


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """What the app authenticates with."""

    bot: str
    app: str


class WebApi:
    """Answers `/api/{method}` for GET and POST, forms and JSON. `base` gives our own address."""

    def __init__(
        self, workspace: Workspace, grants: Grants, faults: Faults, tokens: Tokens, base: Callable[[], str]
    ) -> None:
        self._workspace = workspace
        self._grants = grants
        self._faults = faults
        self._tokens = tokens
        self._base = base

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one call; whatever is refused is still HTTP 200, as in Slack."""
        method = request.match_info["method"]
        began = time.perf_counter()
        if self._faults.down:
            return _cut(request)
        wait = self._faults.wait_for_turn(method)
        if wait:
            self._trace(method, {}, {"ok": False, "error": "ratelimited"}, began)
            headers = {"Retry-After": str(wait)}
            return web.json_response({"ok": False, "error": "ratelimited"}, status=429, headers=headers)
        try:
            arguments = await _arguments(request)
            self._check_token(method, request, arguments)
            answer = self._call(method, arguments)
        except ApiError as refusal:
            arguments = {}
            answer = {"ok": False, "error": refusal.code, **refusal.extra}
        self._trace(method, arguments, answer, began)
        if self._faults.lose_reply_after_post and method in _WRITES:
            return await self._lose(request)
        return web.json_response(answer)

    def _call(self, method: str, arguments: Json) -> Json:
        if method not in METHODS:
            raise ApiError("unknown_method", req_method=method)
        call = Call(workspace=self._workspace, grants=self._grants, arguments=arguments, base=self._base())
        return {"ok": True, **METHODS[method](call)}

    def _check_token(self, method: str, request: web.Request, arguments: Json) -> None:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ") or arguments.pop("token", "")
        if method in WITHOUT_TOKEN:
            return
        if not given:
            raise ApiError("not_authed")
        if given not in {self._tokens.bot, self._tokens.app}:
            raise ApiError("invalid_auth")
        if (given == self._tokens.app) != (method in WITH_APP_TOKEN):
            raise ApiError("not_allowed_token_type")

    async def _lose(self, request: web.Request) -> web.StreamResponse:
        if self._faults.lose_reply_after_post == "500":
            return web.Response(status=500, text="internal error")
        if self._faults.lose_reply_after_post == "hang":
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._faults.closing.wait(), _HANG_SECONDS)
        return _cut(request)

    def _trace(self, method: str, sent: Json, answer: Json, began: float) -> None:
        status = "ok" if answer.get("ok") else str(answer.get("error"))
        self._workspace.traffic.append(
            Exchange(
                at=self._workspace.now(),
                what=method,
                status=status,
                milliseconds=(time.perf_counter() - began) * 1000,
                sent=sent,
                answer=answer,
            )
        )


def _cut(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=503)


async def _arguments(request: web.Request) -> Json:
    given: dict[str, Any] = dict(request.query)
    if request.content_type == "application/json":
        try:
            body = await request.json()
        except ValueError as error:
            raise ApiError("invalid_json") from error
        if not isinstance(body, dict):
            raise ApiError("json_not_object")
        given |= body
    elif request.method == "POST":
        given |= dict(await request.post())
    return {name: _decode(name, value) for name, value in given.items() if value is not None}


def _decode(name: str, value: object) -> object:
    if name not in _AS_JSON or not isinstance(value, str) or not value:
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        raise ApiError("invalid_blocks_format" if name == "blocks" else "invalid_arguments") from error
