"""A world in memory behind the clients' signatures: what ECS, the load balancer and Prometheus would answer."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

from bot import durable
from bot.clients.ecs import ServiceState
from bot.clients.elb import Rule, TargetGroup, TargetHealth
from bot.clients.service import Answer
from bot.contract import Request
from bot.errors import NotFound, OpsError, Unavailable
from bot.sender import Sender
from bot.services import Place, Services
from bot.settings import Config, Durations, Settings
from commands import deploy, registry
from commands.rollout import store
from tests.builders import BLUE, DIGEST, GREEN, JANE, environment
from tests.fakes import FakePagerDuty, FakeSlack

MS = timedelta(milliseconds=1)
QUICK = Durations(
    approval=8000 * MS,
    prepare=1500 * MS,
    prepare_poll=20 * MS,
    verify=600 * MS,
    verify_poll=50 * MS,
    observe=600 * MS,
    observe_poll=20 * MS,
    observe_window=20 * MS,
    bake=400 * MS,
    tick=40 * MS,
    answer=700 * MS,
    blind=200 * MS,
    no_data=200 * MS,
    unhealthy=200 * MS,
    drain=300 * MS,
    drain_poll=20 * MS,
    hold=500 * MS,
    card_gap=10 * MS,
)


@dataclass
class Cloud:
    """One environment. Tests set what goes wrong: `failures` once each, `down` until taken out again.

    `writes` lists every outside write in order.
    """

    images: dict[str, str] = field(default_factory=lambda: {"v0.0.9": "sha256:old", "v0.1.0": DIGEST})
    weights: dict[str, int] = field(default_factory=lambda: {BLUE: 100, GREEN: 0})
    tasks: dict[str, int] = field(default_factory=lambda: {"storage-blue": 6, "storage-green": 0})
    revision: dict[str, str] = field(default_factory=dict)
    writes: list[str] = field(default_factory=list)
    failures: dict[str, list[OpsError]] = field(default_factory=dict)
    down: set[str] = field(default_factory=set)
    suspended: set[str] = field(default_factory=set)
    sick: bool = False
    error_share: float = 0.0
    p95: float = 0.15
    frozen_traffic: bool = False
    baseline_misses: int = 0
    health_status: int = 200

    def place(self) -> Place:
        """Return the clients of this environment."""
        parts = dict.fromkeys(("elb", "ecs", "ecr", "scaling", "prometheus", "storage"), self)
        return Place(**parts, target=None)

    async def rule(self, arn):
        self._fail("rule")
        return Rule(arn=arn, weights=dict(self.weights), sticky=False)

    async def set_weights(self, arn, weights):
        self._fail("set_weights")
        self.weights = dict(weights)
        self.writes.append(f"weights {weights[BLUE]}/{weights[GREEN]}")
        self._fail("set_weights_reply")

    async def health(self, group):
        name = "storage-blue" if group == BLUE else "storage-green"
        state = "unhealthy" if self.sick and name == "storage-green" else "healthy"
        return TargetHealth(states=Counter({state: self.tasks[name]}))

    async def group(self, arn):
        return TargetGroup(
            arn=arn,
            sticky=False,
            deregistration_delay=timedelta(0),
            interval=timedelta(seconds=1),
            healthy_threshold=2,
        )

    async def service(self, cluster, name):
        self._fail("service")
        sick = self.sick and name == "storage-green" and self.tasks[name] > 0
        return ServiceState(
            name=name,
            task_definition=self.revision.get(name, f"arn:td/{name}:1"),
            desired=self.tasks[name],
            running=self.tasks[name],
            pending=0,
            deployments=1,
            rollout="IN_PROGRESS" if sick else "COMPLETED",
            failed_tasks=0,
        )

    async def image(self, arn, container):
        return f"registry/storage@{self.images['v0.0.9']}" if arn.endswith(":1") else arn.partition("#")[2]

    async def revision_for(self, base, container, image):
        self._fail("revision_for")
        return f"{base.rpartition(':')[0]}:2#{image}"

    async def update(self, cluster, name, *, task_definition=None, desired=None):
        self._fail("update")
        if task_definition is not None:
            self.revision[name] = task_definition
        if desired is not None and self.tasks[name] != desired:
            self.tasks[name] = desired
            self.writes.append(f"{name} {desired}")

    async def running_images(self, cluster, service, *, container=None):
        revision = self.revision.get(service, "")
        return (revision.partition("#")[2],) * self.tasks[service]

    async def digest(self, repository, tag):
        self._fail("digest")
        if tag not in self.images:
            raise NotFound(f"Image {repository}:{tag} is not in the registry")
        return self.images[tag]

    async def tags_of(self, repository, digest):
        return tuple(tag for tag, known in self.images.items() if known == digest)

    async def uri(self, repository):
        return "registry/storage"

    async def suspend_scale_in(self, cluster, service):
        self._fail("suspend")
        self.suspended.add(service)
        return True

    async def resume(self, cluster, service):
        self._fail("resume")
        self.suspended.discard(service)
        return True

    async def firing(self):
        self._fail("firing")
        return ()

    async def scalar(self, query):
        self._fail("scalar")
        if "[3600000ms]" in query and self.baseline_misses:
            self.baseline_misses -= 1
            raise Unavailable("the baseline cannot be read")
        new = 'color="green"' in query
        share = (self.weights[GREEN] if new else self.weights[BLUE]) / 100
        if self.frozen_traffic:
            share = 0.0 if new else 1.0
        if query.startswith("count("):
            return 6.0
        if query.startswith("histogram_quantile"):
            return self.p95 if new else 0.15
        if query.startswith("sum(rate"):
            return 100.0 * share
        requests = 12_000.0 * share
        return requests * (self.error_share if new else 0.0005) if "status=~" in query else requests

    async def probe(self, path, *, method="GET", header=None, body=None):
        status = self.health_status if header and header[1] == "green" else 200
        return Answer(status=status, seconds=0.001, body="up 1\n", json={"status": "healthy"})

    def _fail(self, call):
        if call in self.down:
            raise Unavailable(f"{call} does not answer")
        queue = self.failures.get(call)
        if queue:
            raise queue.pop(0)


@dataclass
class Stage:
    """The bot in one process on a real PostgreSQL, with fakes around it."""

    services: Services
    cloud: Cloud
    slack: FakeSlack
    pagerduty: FakePagerDuty
    count: int = 0

    def request(self, text="", person=JANE, **fields) -> Request:
        """Return what Slack would deliver for this person, each time with a key of its own."""
        self.count += 1
        values = {"key": f"k{self.count}", "at": datetime.now(UTC), "channel": "C0ALERTS", "channel_name": "alerts"}
        return Request(person=person, text=text, **(values | fields))

    async def command(self, text, person=JANE, **fields):
        """Run `/deploy` as this person."""
        return await deploy.handle(self.request(text, person, **fields), self.services)

    async def click(self, action, deployment_id, person, value=None, **fields):
        """Press a button of the card as this person."""
        request = self.request(person=person, value=value or deployment_id, **fields)
        return await deploy.COMMAND.buttons[action](request, self.services)

    async def only(self):
        """Return the newest deployment, dry runs included."""
        async with self.services.database.transaction() as session:
            rows = [*await store.unfinished(session), *await store.latest(session)]
        return rows[0]

    async def get(self, deployment_id):
        """Return one deployment."""
        async with self.services.database.transaction() as session:
            return await store.get(session, deployment_id)

    def said(self) -> str:
        """Return everything that was said in threads."""
        return "\n".join(message.text for message in self.slack.messages if message.thread)


@asynccontextmanager
async def stage(database, *, approvals=1, cloud=None, durations=QUICK) -> AsyncIterator[Stage]:
    """Build the bot around the fakes, run it, and stop it."""
    import asyncio  # noqa: PLC0415 - only here

    cloud = cloud or Cloud()
    config = Config(environments={"production": environment(approvals=approvals)}, durations=durations)
    settings = Settings().model_copy(update={"config": config})
    slack, pagerduty = FakeSlack(), FakePagerDuty()
    slack.workspace_url = "https://sandbox.slack.com/"
    services = Services(
        settings=settings,
        database=database,
        people=SimpleNamespace(),
        slack=slack,
        pagerduty=pagerduty,
        places={"production": cloud.place()},
        now=lambda: datetime.now(UTC),
    )
    await durable.launch(services, executor=True)
    sender = Sender(
        database=database,
        slack=slack,
        pagerduty=pagerduty,
        renderers=registry.RENDERERS,
        listeners=registry.LISTENERS,
        settings=settings,
    )
    task = asyncio.create_task(sender.run())
    try:
        yield Stage(services=services, cloud=cloud, slack=slack, pagerduty=pagerduty)
    finally:
        await durable.close()
        sender.stop()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
