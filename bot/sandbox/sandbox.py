"""The whole sandbox on loopback: PostgreSQL, the world, Slack with its page, and the bot that lives among them."""

import asyncio
import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bot.clients import embedded
from bot.errors import OpsError
from bot.sandbox import targets
from bot.sandbox.process import BotProcess
from bot.sandbox.slack.local import LocalSlack
from bot.sandbox.world import World
from bot.slack.manifest import manifest
from commands.registry import COMMANDS

_SLACK_FAULTS: Mapping[str, tuple[str, str]] = {
    "slack_429": ("rate_limited", "Slack answers 429"),
    "slack_down": ("down", "Slack is down"),
    "slack_lost_reply": ("lose_reply_after_post", "Slack posts and never answers"),
    "slack_double_click": ("duplicate_click", "Every click arrives twice"),
}
_RESTART_SECONDS = 3.0


class Sandbox:
    """Start it, act through `slack`, look at `world`, kill and start `bot`."""

    def __init__(self, *, home: Path, speed: float, overrides: str = "") -> None:
        self.home = home
        self.speed = speed
        self.world = World(speed=speed, home=home)
        self.slack = LocalSlack(panel=self.panel, set_fault=self.set_fault, manifest=manifest(COMMANDS))
        self.bot: BotProcess | None = None
        self.url = ""
        self._overrides = overrides
        self._databases: asyncio.Task[embedded.Embedded] | None = None
        self._keep_bot = True
        self._watch: asyncio.Task[None] | None = None
        self._locks = targets.Locks()

    async def start(self, port: int = 0) -> str:
        """Start every part and return the address of the page; the bot is ready when this returns."""
        self.home.mkdir(parents=True, exist_ok=True)
        # First, because only this can fail for a reason of the caller's: a port that is taken.
        self.url = await self.slack.start("127.0.0.1", port)
        # A thread cannot be cancelled: `stop` waits for what it started.
        self._databases = asyncio.create_task(asyncio.to_thread(_databases, self.home / "postgres"))
        server, _ = await asyncio.gather(asyncio.shield(self._databases), self.world.start())
        config = self.home / "opsbot.toml"
        config.write_text(self.world.config_toml() + self._overrides)
        variables = self.world.environment_variables(f"{self.url}/api/", server.url())
        variables |= {
            "OPSBOT_CONFIG": str(config),
            "OPSBOT_HOME": str(self.home),
            "SLACK_BOT_TOKEN": "xoxb-sandbox",
            "SLACK_APP_TOKEN": "xapp-sandbox",
            "PRODUCTION_DATABASE_URL": server.url("production"),
            "STAGING_DATABASE_URL": server.url("staging"),
            "LOG_FORMAT": "json",
        }
        self.bot = BotProcess(variables, self.home / "bot.log")
        await self.bot.start()
        await self.bot.ready()
        self._watch = asyncio.create_task(self._keep_running())
        return self.url

    async def stop(self) -> None:
        """Stop every part in the opposite order."""
        if self._watch is not None:
            self._watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watch
        if self.bot is not None:
            await self.bot.stop()
        await self._locks.release()
        await self.slack.close()
        await self.world.stop()
        if self._databases is not None:
            with contextlib.suppress(OpsError):
                await asyncio.to_thread((await self._databases).stop)

    async def kill_bot(self) -> None:
        """Kill -9 the bot and leave it dead until `start_bot`."""
        assert self.bot is not None
        self._keep_bot = False
        self._note("kill -9 the bot")
        self.bot.kill()
        await self.bot.gone()

    async def start_bot(self) -> None:
        """Start the bot again and wait until it is ready."""
        assert self.bot is not None
        self._note("start the bot again")
        await self.bot.start()
        await self.bot.ready()
        self._keep_bot = True

    def panel(self) -> dict[str, Any]:
        """Return what the page shows of the world."""
        shown: dict[str, Any] = dict(self.world.panel())
        running = self.bot is not None and self.bot.running
        shown["bot"] = "running" if running else "stopped"
        own = [
            {"name": name, "label": label, "on": self.slack.faults.is_on(attribute)}
            for name, (attribute, label) in _SLACK_FAULTS.items()
        ]
        own.append({"name": "database_locked", "label": "Production's database is locked", "on": self._locks.held})
        own.append({"name": "bot_killed", "label": "The bot is killed (kill -9)", "on": not self._keep_bot})
        shown["faults"] = [*shown["faults"], *own]
        return shown

    async def set_fault(self, name: str, on: bool) -> None:  # noqa: FBT001 - a switch
        """Turn one switch. Raises KeyError for a name that nobody knows."""
        if name == "bot_killed":
            await (self.kill_bot() if on else self.start_bot())
            return
        self._note(f"{name.replace('_', ' ')}: {'on' if on else 'off'}")
        if name == "database_locked":
            await (self._lock() if on else self._locks.release())
        elif name in _SLACK_FAULTS:
            self.slack.faults.set(_SLACK_FAULTS[name][0], on)
        else:
            await self.world.set_fault(name, on)

    def _note(self, text: str) -> None:
        """Write into the transcript what was done to the world."""
        self.slack.workspace.note("sandbox", "fault", "", text)

    async def _lock(self) -> None:
        assert self._databases is not None
        await self._locks.take((await self._databases).url("production"))

    async def _keep_running(self) -> None:
        """Start a bot that ended by itself again, as any supervisor of a Procfile would."""
        assert self.bot is not None
        while True:
            await asyncio.sleep(_RESTART_SECONDS)
            if self._keep_bot and not self.bot.running:
                await self.bot.start()


def _databases(home: Path) -> embedded.Embedded:
    server = embedded.start(home)
    targets.create(server)
    return server
