"""The sandbox's world without Slack, on loopback: AWS in a process of its own, and in this one Prometheus, PagerDuty
and the storage service behind its load balancers, all driven by the weights and tasks that AWS has."""

import asyncio
import contextlib
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from aiohttp import web

from bot.sandbox import charts, configuration, faults, places, traffic
from bot.sandbox.balancer import Balancer
from bot.sandbox.charts import Charts
from bot.sandbox.cloud import Call, Cloud
from bot.sandbox.pager import Page
from bot.sandbox.pagerduty import PagerDuty
from bot.sandbox.prometheus import Prometheus
from bot.sandbox.scraper import Scraper
from bot.sandbox.traffic import Side, View

SLOWEST, FASTEST = 1.0, 240.0


class World:
    """Everything outside the bot but Slack. One second of ours is `speed` seconds of its own."""

    scraper: Scraper
    prometheus: Prometheus
    balancers: Mapping[str, Balancer]

    def __init__(self, *, speed: float, home: Path, port: int = 0) -> None:
        if not SLOWEST <= speed <= FASTEST:
            raise ValueError(f"speed is {SLOWEST:g} to {FASTEST:g}, not {speed:g}")
        self.speed = speed
        self.url = ""
        self.pagerduty = PagerDuty()
        self._home = home
        self._port = port
        self._cloud = Cloud(speed=speed, home=home)
        self._charts = Charts()
        self._on: set[str] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Start everything; afterwards `url` and the configuration are known. Raises Unavailable."""
        self._home.mkdir(parents=True, exist_ok=True)
        try:
            await self._cloud.start()
            views = traffic.views(self._cloud.state)
            self.scraper = Scraper(self.speed, views=views, now=_now())
            self.prometheus = Prometheus(self.scraper)
            self.balancers = {name: Balancer(name, self.scraper, clock=_now) for name in places.PLACES}
            await self._serve()
            self.config_path.write_text(self.config_toml())
        except BaseException:
            await self.stop()
            raise
        # What was served before this moment is no part of the charts.
        self.scraper.catch_up(_now())
        self.scraper.traffic.tallies.clear()
        self._tasks = [asyncio.create_task(self._cloud.follow(self._turn)), asyncio.create_task(self._tick())]

    async def stop(self) -> None:
        """End everything that was started."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._tasks = []
        self.pagerduty.fail(None)
        if self._runner is not None:
            await self._runner.cleanup()
        await self._cloud.stop()

    # What the bot is told

    @property
    def config_path(self) -> Path:
        """Return where `start` writes the TOML file."""
        return self._home / "opsbot.toml"

    def config_toml(self) -> str:
        """Return the TOML file for the bot."""
        return configuration.toml(self.url, self._cloud.environments)

    def environment_variables(self, slack_url: str, database_url: str) -> dict[str, str]:
        """Return the variables for the bot; tokens of Slack and URLs of target databases are the supervisor's."""
        return {
            **configuration.variables(self.url, self._cloud.endpoint, speed=self.speed),
            "OPSBOT_CONFIG": str(self.config_path),
            "SLACK_API_URL": slack_url,
            "DATABASE_URL": database_url,
        }

    # What people switch and see

    async def set_fault(self, name: str, on: bool, *, seconds: float | None = None) -> None:  # noqa: FBT001
        """Switch a fault of `faults.FAULTS`; `seconds` is for slow_propagation. Raises KeyError for another name."""
        fault = faults.FAULTS[name]
        if fault.aws is not None and name == "slow_propagation" and seconds is not None:
            fault = replace(fault, aws={"slow_propagation": seconds})
        if fault.aws is not None:
            await self._cloud.switch(faults.told(fault, on=on))
        match name:
            case "prometheus_blind":
                self.prometheus.blind = on
            case "prometheus_frozen":
                self.scraper.freeze(on=on, now=_now())
            case "pagerduty_down":
                self.pagerduty.fail("error" if on else None)
        (self._on.add if on else self._on.discard)(name)

    def panel(self) -> dict[str, Any]:
        """Return what the page shows beside the channels; requests and errors are per real second."""
        return {
            "speed": self.speed,
            "environments": self._charts.environments(self.scraper.views),
            "pages": charts.pages(self.pagerduty.pager.pages),
            "faults": [
                {"name": fault.name, "label": fault.label, "on": fault.name in self._on}
                for fault in faults.FAULTS.values()
                if fault.listed
            ],
        }

    # What stories and tests look at

    def calls(self) -> list[Call]:
        """Return what reached the world from outside, oldest first: writes to AWS, events, pages."""
        pager = self.pagerduty.pager
        paged = [
            Call(
                at=page.at,
                system="pagerduty",
                what=f"page level {page.level} ({page.who}): {page.summary}",
                outcome="202",
            )
            for page in pager.pages
        ]
        return sorted([*self._cloud.calls, *paged], key=lambda call: call.at)

    def weights(self, environment: str) -> dict[str, int]:
        """Return the weights of the rule by colour."""
        return dict(self._view(environment).weights)

    def colour(self, environment: str, colour: str) -> Side:
        """Return one colour: version, desired, running, healthy, tasks."""
        return self._view(environment).sides[colour]

    def pages(self, level: int | None = None) -> list[Page]:
        """Return who was paged, of one level or of all."""
        return [page for page in self.pagerduty.pager.pages if level in {None, page.level}]

    def arns(self, environment: str) -> dict[str, Any]:
        """Return `listener_rule` and `groups` (by colour) of an environment."""
        return self._cloud.environments[environment]

    async def _serve(self) -> None:
        application = web.Application()
        mounted = {
            "/prometheus": self.prometheus.application(),
            "/pagerduty/events": self.pagerduty.events(),
            "/pagerduty/rest": self.pagerduty.rest(),
            **{f"/{name}": balancer.application() for name, balancer in self.balancers.items()},
        }
        for prefix, part in mounted.items():
            application.add_subapp(prefix, part)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def _tick(self) -> None:
        at = time.monotonic()
        while True:
            await asyncio.sleep(charts.POINT_SECONDS)
            self.scraper.catch_up(_now())
            now = time.monotonic()
            self._charts.point(self.scraper.views, self.scraper.traffic, now - at)
            at = now

    def _turn(self) -> None:
        self.scraper.turn(traffic.views(self._cloud.state), _now())

    def _view(self, environment: str) -> View:
        return traffic.views(self._cloud.state)[environment]


def _now() -> int:
    return int(time.time() * 1000)
