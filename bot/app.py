"""The composition root: builds the collaborators, starts and stops the parts of a role, and owns the clock."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import metadata
from typing import Literal, TypeAlias

import structlog

from bot import claims, durable, metrics, schema
from bot.clients import embedded
from bot.clients.aws import Aws
from bot.clients.ecr import Ecr
from bot.clients.ecs import Ecs
from bot.clients.elb import Elb
from bot.clients.pagerduty import PagerDuty
from bot.clients.prometheus import Prometheus
from bot.clients.scaling import Scaling
from bot.clients.service import StorageService
from bot.clients.slack import Slack
from bot.clients.target import Target
from bot.errors import Misconfigured, OpsError, Unavailable
from bot.people import People
from bot.sender import LANES, Sender
from bot.services import Place, Services
from bot.settings import Settings
from bot.slack.app import build as build_slack
from bot.slack.app import http_handler
from bot.slack.flights import Flights
from bot.slack.socket import Sockets
from bot.store import Database
from bot.web import Check, Site
from commands import registry
from commands.rollout import workflow as _workflows  # noqa: F401  known to the engine by being imported

Role: TypeAlias = Literal["serve", "web", "work"]

# What Slack said about the token is believed for so long.
AUTH_KEPT = timedelta(seconds=30)
LAST_SENDS = timedelta(seconds=10)
LAST_ANSWERS = timedelta(seconds=10)
GREETING_PAUSE = timedelta(seconds=10)

logger = structlog.get_logger(__name__)


def now() -> datetime:
    """Return the time; the only call of the clock that decisions are made on."""
    return datetime.now(UTC)


@asynccontextmanager
async def open_database(settings: Settings) -> AsyncIterator[Database]:
    """Give the bot's database: the one at DATABASE_URL, else an embedded one that is started and stopped here."""
    async with AsyncExitStack() as stack:
        if settings.database_url is not None:
            url = settings.database_url.get_secret_value()
        else:
            server = await asyncio.to_thread(embedded.start, settings.home / "postgres")
            # Straight on the loop: by now the engine may have taken the threads with it, and it lasts 0.1 s.
            stack.callback(server.stop)
            url = server.url()
            logger.info("embedded_database_started", port=server.port)
        database = Database(url)
        stack.push_async_callback(database.close)
        yield database


@asynccontextmanager
async def build(settings: Settings, database: Database) -> AsyncIterator[Services]:
    """Build every collaborator, and close them on leaving. Raises Misconfigured where something is missing."""
    if settings.slack_bot_token is None:
        raise Misconfigured(
            "Slack is not configured: set SLACK_BOT_TOKEN and SLACK_APP_TOKEN (Socket Mode) or SLACK_SIGNING_SECRET "
            "(HTTP); `opsbot manifest` prints the app to create, `opsbot sandbox` needs no Slack at all"
        )
    async with AsyncExitStack() as stack:
        slack = Slack(settings.slack_bot_token.get_secret_value(), base_url=settings.slack_api_url)
        stack.push_async_callback(slack.close)
        pagerduty = pager(settings)
        if pagerduty is not None:
            stack.push_async_callback(pagerduty.close)
        regions = {place.region: Aws(place.region) for place in settings.config.environments.values()}
        for aws in regions.values():
            stack.push_async_callback(aws.close)
        places: dict[str, Place] = {}
        for name, environment in settings.config.environments.items():
            places[name] = place = place_of(settings, name, regions[environment.region])
            stack.push_async_callback(place.prometheus.close)
            stack.push_async_callback(place.storage.close)
        yield Services(
            settings=settings,
            database=database,
            people=People(slack, settings.config.roles),
            slack=slack,
            pagerduty=pagerduty,
            places=places,
            now=now,
        )


def pager(settings: Settings) -> PagerDuty | None:
    """Return PagerDuty's client, or None where no routing key is set."""
    if settings.pagerduty_routing_key is None:
        return None
    return PagerDuty(settings.pagerduty_routing_key.get_secret_value(), events_url=settings.pagerduty_events_url)


def place_of(settings: Settings, name: str, aws: Aws) -> Place:
    """Build the clients of one environment. Raises Misconfigured."""
    environment = settings.environment(name)
    prometheus = environment.prometheus_url or settings.prometheus_url
    if prometheus is None:
        raise Misconfigured(f"The environment {name} has no prometheus_url, and PROMETHEUS_URL is not set")
    target = settings.target_database_url(name)
    return Place(
        elb=Elb(aws),
        ecs=Ecs(aws),
        ecr=Ecr(aws),
        scaling=Scaling(aws),
        prometheus=Prometheus(prometheus),
        storage=StorageService(environment.url),
        target=Target(target) if target else None,
    )


@dataclass(kw_only=True)
class App:
    """The parts of one running process, started by `start` and stopped, in the opposite order, by `stop`."""

    role: Role
    services: Services
    port: int | None = None
    _sockets: Sockets | None = None
    _flights: Flights | None = None
    _site: Site | None = None
    _sender: Sender | None = None
    _sending: asyncio.Task[None] | None = None
    _auth_until: datetime | None = None
    _greeting: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the parts: first what works, then what takes work in. Raises Unavailable or Misconfigured."""
        settings = self.services.settings
        metrics.BUILD.labels(metadata.version("opsbot")).set(1)
        await schema.upgrade(self.services.database)
        self._greeting = asyncio.create_task(self._greet())
        works, listens = self.role != "web", self.role != "work"
        await durable.launch(self.services, executor=works, on_lost=_end)
        if works:
            self._send()
        handler = None
        if listens:
            bolt = build_slack(registry.COMMANDS, self.services)
            handler = http_handler(bolt) if settings.slack_signing_secret else None
            if settings.slack_app_token:
                self._sockets = Sockets(bolt, settings, now=now)
            else:
                self._flights = Flights(bolt)
        # A bare worker has no address to be asked at unless it was given one.
        if listens or "port" in settings.model_fields_set:
            self._site = Site(checks=self.checks(), collect=self.collect, slack=handler)
            self.port = await self._site.start(settings.http_host, settings.port)
        if self._sockets:
            await self._sockets.start()
        logger.info("opsbot_started", role=self.role, port=self.port, environments=sorted(self.services.places))

    async def stop(self) -> None:
        """Take no more work, let what is at work end or park it, and close."""
        logger.info("opsbot_stopping", role=self.role)
        if self._greeting:
            self._greeting.cancel()
            await asyncio.gather(self._greeting, return_exceptions=True)
        if self._sockets:
            await self._sockets.stop()
        if self._site:
            await self._site.stop()
        if self._flights:
            await self._flights.land(LAST_ANSWERS)
        await durable.close()
        if self._sender and self._sending:
            self._sender.stop()
            await asyncio.wait({self._sending}, timeout=LAST_SENDS.total_seconds())
            self._sending.cancel()
            await asyncio.gather(self._sending, return_exceptions=True)
        logger.info("opsbot_stopped", role=self.role)

    async def broken(self) -> None:
        """Return when a part that must run for ever has ended by itself, which it never should."""
        if self._sending is None:
            await asyncio.Event().wait()
        else:
            await asyncio.wait({self._sending})
            logger.error("sender_ended", exc_info=None if self._sending.cancelled() else self._sending.exception())

    def checks(self) -> Mapping[str, Check]:
        """Return what must be true for this process to be ready."""
        parts: dict[str, Callable[[], Awaitable[None]]] = {
            "database": self.services.database.ping,
            "durable engine": durable.check,
        }
        if self.role != "work":
            parts["slack"] = self._check_slack
        return parts

    async def collect(self) -> None:
        """Bring the numbers up to date that are not counted where they happen. Raises Unavailable."""
        if self._sockets:
            metrics.SOCKETS.set(self._sockets.connected())
        age = durable.lease_age()
        if age is not None:
            metrics.LEASE_AGE.set(age.total_seconds())
        async with self.services.database.transaction() as session:
            waiting = await claims.waiting(session)
            workflows = await durable.counts(session)
        for lane in LANES:
            metrics.OUTBOX_PENDING.labels(lane).set(waiting[lane].things if lane in waiting else 0)
            metrics.OUTBOX_AGE.labels(lane).set(waiting[lane].age if lane in waiting else 0)
        metrics.WORKFLOWS.clear()
        for (name, status), count in workflows.items():
            metrics.WORKFLOWS.labels(name, status).set(count)

    async def _check_slack(self) -> None:
        if self._sockets:
            if not self._sockets.connected():
                raise Unavailable("No live Socket Mode connection to Slack")
        elif self._auth_until is None or now() > self._auth_until:
            await self.services.slack.auth()
            self._auth_until = now() + AUTH_KEPT

    async def _greet(self) -> None:
        """Learn the workspace's address, for the links in pages; nothing waits for it."""
        while True:
            try:
                identity = await self.services.slack.auth()
            except OpsError as error:
                logger.warning("slack_unreachable", reason=error.sentence)
                await asyncio.sleep(GREETING_PAUSE.total_seconds())
            else:
                logger.info("slack_greeted", team=identity.team, bot=identity.bot_user_id)
                return

    def _send(self) -> None:
        self._sender = Sender(
            database=self.services.database,
            slack=self.services.slack,
            pagerduty=self.services.pagerduty,
            renderers=registry.RENDERERS,
            listeners=registry.LISTENERS,
            settings=self.services.settings,
        )
        self._sending = asyncio.create_task(self._sender.run())


async def run(settings: Settings, role: Role) -> int:
    """Run one role until it is told to stop (0) or a part of it breaks (1). Raises our errors at the start."""
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, _tell, told)
    async with open_database(settings) as database, build(settings, database) as services:
        app = App(role=role, services=services)
        try:
            await app.start()
            ends = {asyncio.create_task(told.wait()), asyncio.create_task(app.broken())}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for end in ends:
                end.cancel()
        finally:
            await app.stop()
    return 0 if told.is_set() else 1


def _tell(told: asyncio.Event) -> None:
    if told.is_set():
        # Asked twice: somebody is waiting at a terminal, and everything is durable anyway.
        os._exit(1)
    told.set()


def _end(reason: str) -> None:
    logger.critical("lease_lost", reason=reason)
    os._exit(1)
