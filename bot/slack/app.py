"""Builds the Bolt app from the commands, and serves it over signed HTTP; Socket Mode is in `socket.py`."""

import logging
import os
import re
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, TypeAlias

from aiohttp import web
from slack_bolt.adapter.aiohttp import to_aiohttp_response
from slack_bolt.async_app import AsyncApp, AsyncBoltRequest

from bot import blocks
from bot.contract import Command
from bot.errors import Misconfigured
from bot.slack.surface import BUDGET, Surface

if TYPE_CHECKING:
    from bot.services import Services

NOT_READY = "Slack did not confirm who I am. Nothing was changed: please try again in a moment."
HttpHandler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]

# Bolt reads instructions to itself from headers, which Slack does not sign: only these get through.
_HEADERS = (
    "content-type",
    "x-slack-request-timestamp",
    "x-slack-signature",
    "x-slack-retry-num",
    "x-slack-retry-reason",
)


def build(commands: Sequence[Command], services: "Services", *, budget: timedelta = BUDGET) -> AsyncApp:
    """Build the app, inside the running loop. Raises Misconfigured when two commands claim one name, or OAuth is on."""
    # Bolt would silently switch to OAuth and drop our token.
    if os.environ.get("SLACK_CLIENT_ID") and os.environ.get("SLACK_CLIENT_SECRET"):
        raise Misconfigured("Unset SLACK_CLIENT_ID and SLACK_CLIENT_SECRET: opsbot uses SLACK_BOT_TOKEN, not OAuth")
    surface = Surface(commands, services, budget=budget)
    secret = services.settings.slack_signing_secret
    app = AsyncApp(
        name="opsbot",
        logger=_logger(),
        client=services.slack.web,
        # Empty: Bolt would otherwise read the environment. It then refuses every HTTP request.
        signing_secret=secret.get_secret_value() if secret else "",
        before_authorize=surface.admit,
        # Said when auth.test fails, which Bolt calls once; its own text speaks of reinstalling.
        user_facing_authorize_error_message=NOT_READY,
        process_before_response=False,
        raise_error_for_unhandled_request=True,
    )
    _listen(app, surface)
    return app


def http_handler(app: AsyncApp) -> HttpHandler:
    """Return the handler for `POST /slack/events`: forged or stale (more than 5 min) requests get 401."""

    async def handle(request: web.Request) -> web.StreamResponse:
        headers = {name: request.headers[name] for name in _HEADERS if name in request.headers}
        if not _looks_signed(headers):
            return web.json_response({"error": "invalid request"}, status=401)
        try:
            parsed = AsyncBoltRequest(body=await request.text(), query=request.query_string, headers=dict(headers))
        except (ValueError, LookupError, TypeError, AttributeError):
            # Bolt parses before it verifies: whatever a stranger's body trips over is a bad body.
            return web.json_response({"error": "invalid body"}, status=400)
        return await to_aiohttp_response(await app.async_dispatch(parsed))

    return handle


def _listen(app: AsyncApp, surface: Surface) -> None:
    for name in surface.commands:
        app.command(name)(surface.command)
    for action in surface.buttons:
        app.action(action)(surface.button)
    for callback in surface.views:
        app.view(callback)(surface.view)
    app.action(re.compile(f"^{blocks.LINK_PREFIX}"))(surface.ignore)
    app.event("app_mention", middleware=[surface.hear])(surface.mention)
    app.error(surface.failed)


def _looks_signed(headers: dict[str, str]) -> bool:
    """Refuse what would make Bolt's verifier crash instead of saying no."""
    stamp, signature = headers.get("x-slack-request-timestamp", ""), headers.get("x-slack-signature", "")
    return stamp.isascii() and stamp.isdigit() and len(stamp) < 12 and signature.isascii() and bool(signature)  # noqa: PLR2004


def _logger() -> logging.Logger:
    """Return Bolt's logger; below errors it writes whole requests, and what matters of those is logged here."""
    logger = logging.getLogger("bot.slack.bolt")
    logger.setLevel(logging.ERROR)
    return logger
