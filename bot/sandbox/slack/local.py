"""The local Slack put together: mount it on an aiohttp application, or start it on a port of its own."""

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from bot.sandbox.slack import api_files, driver, replies, validate
from bot.sandbox.slack.api import Tokens, WebApi
from bot.sandbox.slack.browser import Browser
from bot.sandbox.slack.deliver import Delivery
from bot.sandbox.slack.driver import Actor
from bot.sandbox.slack.faults import Faults
from bot.sandbox.slack.gestures import Gestures
from bot.sandbox.slack.grants import Grants, UrlError
from bot.sandbox.slack.records import ApiError, Entry, Json, Limits, Message
from bot.sandbox.slack.sockets import Hub
from bot.sandbox.slack.workspace import Workspace

PanelSource = Callable[[], Mapping[str, Any]]
FaultSwitch = Callable[[str, bool], Awaitable[None]]


class LocalSlack:
    """One workspace with one app. `now` gives epoch seconds; `panel` feeds the page's world panel, and `set_fault`
    receives its switches; `manifest` gives the slash commands (the app's manifest, or a list of commands).
    """

    def __init__(
        self,
        *,
        bot_token: str = "xoxb-sandbox",  # noqa: S107 -- a token of this local Slack only
        app_token: str = "xapp-sandbox",  # noqa: S107
        signing_secret: str = "sandbox-signing-secret",  # noqa: S107
        now: Callable[[], float] = time.time,
        panel: PanelSource | None = None,
        set_fault: FaultSwitch | None = None,
        manifest: Mapping[str, Any] | list[Json] | None = None,
        limits: Limits | None = None,
    ) -> None:
        limits = limits or Limits()
        self.url = ""
        self.workspace = Workspace(now)
        self.faults = Faults(now)
        self.grants = Grants(now, limits)
        self.hub = Hub(self.grants, self.faults, limits)
        self.faults.cut = self.hub.drop
        self.delivery = Delivery(self.workspace, self.hub, self.faults, limits, signing_secret)
        self.gestures = Gestures(self.workspace, self.grants, self.delivery, self.faults, lambda: self.url)
        self._api = WebApi(
            self.workspace, self.grants, self.faults, Tokens(bot=bot_token, app=app_token), lambda: self.url
        )
        self._browser = Browser(self.workspace, self.gestures, self.faults, panel, set_fault)
        self._runner: web.AppRunner | None = None
        if manifest is not None:
            self.set_manifest(manifest)

    @property
    def http_url(self) -> str | None:
        """The app's request URL; set: signed HTTP, None: Socket Mode."""
        return self.delivery.http_url

    @http_url.setter
    def http_url(self, url: str | None) -> None:
        self.delivery.http_url = url

    @property
    def log(self) -> list[Entry]:
        """Return everything that happened, in order."""
        return self.workspace.log

    @property
    def connections(self) -> int:
        """Return the number of open Socket Mode websockets."""
        return self.hub.connected

    def set_manifest(self, manifest: Mapping[str, Any] | list[Json]) -> None:
        """Take the slash commands (and the bot's name) from an app manifest, or from a plain list of commands."""
        features: Mapping[str, Any] = {} if isinstance(manifest, list) else manifest.get("features", manifest)
        commands = manifest if isinstance(manifest, list) else features.get("slash_commands", [])
        self.gestures.manifest = {command["command"]: dict(command) for command in commands}
        described: Mapping[str, Any] = {} if isinstance(manifest, list) else manifest.get("display_information", {})
        self.workspace.rename_bot(described.get("name"), features.get("bot_user", {}).get("display_name"))

    def routes(self) -> list[web.RouteDef]:
        """Return every route: Web API, websocket, response URLs, files, page."""
        return [
            web.route("*", "/api/{method}", self._learn(self._api.handle)),
            web.get("/link/", self._learn(self.hub.handle)),
            web.post("/actions/{team}/{number}/{secret}", self._respond),
            web.route("*", "/upload/{file}", self._upload),
            web.get("/files/{file}", self._download),
            *self._browser.routes(),
        ]

    def mount(self, app: web.Application) -> None:
        """Add the routes, and end streams and sockets when the application stops."""
        app.add_routes(self.routes())
        app.on_shutdown.append(self._stop)

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> str:
        """Listen on a port of its own and return the address (no trailing slash)."""
        app = web.Application(client_max_size=32 * 2**20)
        self.mount(app)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        self.url = f"http://{host}:{self._runner.addresses[0][1]}"
        return self.url

    async def close(self) -> None:
        """Stop delivering and listening."""
        await self._stop(None)
        if self._runner is not None:
            await self._runner.cleanup()

    def user(self, reference: str) -> Actor:
        """Return somebody to act as: `jane`, `bob`, `alice`, `charlie`, an id or an e-mail."""
        return Actor(self.workspace.find_user(reference), self.workspace, self.gestures)

    def set_members(self, group: str, users: tuple[str, ...]) -> None:
        """Change who is in a user group, by handles."""
        found = next(one for one in self.workspace.groups.values() if group in {one.id, one.handle})
        found.members = tuple(self.workspace.find_user(user).id for user in users)

    def messages(self, channel: str, thread: str | None = None) -> list[Message]:
        """Return what everybody sees in a channel, or below one message of it."""
        return driver.messages(self.workspace, channel, thread)

    async def wait(self, matches: Callable[[Message], bool], timeout: float) -> Message:  # noqa: ASYNC109 -- the driver's promise
        """Return the newest message that matches, now or within `timeout` seconds; else TimeoutError."""
        return await driver.wait(self.workspace, matches, timeout)

    async def wait_for(
        self,
        text: str,
        *,
        timeout: float,  # noqa: ASYNC109 -- the driver's promise
        channel: str | None = None,
        ephemeral_for: str | None = None,
    ) -> Message:
        """Return the newest message that contains the text, blocks included."""
        matches = driver.has_text(self.workspace, text, channel, ephemeral_for)
        return await driver.wait(self.workspace, matches, timeout)

    def drop_sockets(self) -> None:
        """Cut every websocket without a goodbye."""
        self.faults.drop_sockets()

    async def refresh_sockets(self) -> None:
        """Ask the app to reconnect, as Slack does every few hours."""
        await self.hub.refresh()

    async def _stop(self, _app: web.Application | None) -> None:
        self.faults.closing.set()
        self._browser.close()
        await self.hub.close()
        await self.delivery.close()

    def _learn(
        self, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def learning(request: web.Request) -> web.StreamResponse:
            self.url = self.url or str(request.url.origin())
            return await handler(request)

        return learning

    async def _respond(self, request: web.Request) -> web.Response:
        if self.faults.down:
            return web.Response(status=503)
        name = f"{request.match_info['number']}/{request.match_info['secret']}"
        body = await request.json()
        try:
            validate.refuse(validate.blocks(body.get("blocks") or []))
            replies.show(self.workspace, body, self.grants.spend_response(name))
        except UrlError as gone:
            return web.Response(status=404, text=str(gone))
        except ApiError as refusal:
            return web.Response(status=400, text=refusal.code)
        return web.Response(text="ok")

    async def _upload(self, request: web.Request) -> web.Response:
        return await api_files.receive(self.workspace, request)

    async def _download(self, request: web.Request) -> web.Response:
        return api_files.send(self.workspace, request)
