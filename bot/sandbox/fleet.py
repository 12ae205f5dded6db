"""What ECS and the load balancer do with services, as pure rules over values: rolling deployments at 100-200 %, the
circuit breaker, health checks, draining. Time is the service's own seconds, passed in; who scales it is the caller."""

import hashlib
import math
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field

from bot.sandbox import releases

NEVER = math.inf
PENDING, RUNNING, DEACTIVATING, STOPPED = "PENDING", "RUNNING", "DEACTIVATING", "STOPPED"
INITIAL, HEALTHY, UNHEALTHY, DRAINING = "initial", "healthy", "unhealthy", "draining"
IN_PROGRESS, COMPLETED, FAILED = "IN_PROGRESS", "COMPLETED", "FAILED"


@dataclass(frozen=True, kw_only=True)
class Timing:
    """How long things take, in seconds."""

    start: float = 30.0
    health: float = 20.0
    grace: float = 30.0
    drain: float = 60.0


@dataclass(kw_only=True)
class Task:
    """One running copy. `target` is its state in the target group, None where it is not registered."""

    id: str
    address: str
    image: str
    task_definition: str
    deployment: str
    created: float
    due: float
    status: str = PENDING
    target: str | None = None
    reason: str = ""

    @property
    def lives(self) -> bool:
        """Tell whether ECS counts it towards the desired number."""
        return self.status in {PENDING, RUNNING}


@dataclass(kw_only=True)
class Deployment:
    """One task definition being brought to a service."""

    id: str
    task_definition: str
    image: str
    created: float
    failed: int = 0
    rollout: str = IN_PROGRESS


@dataclass(kw_only=True)
class Service:
    """An ECS service behind one target group; the first deployment is PRIMARY, the others are ACTIVE."""

    cluster: str
    name: str
    group: str
    desired: int
    timing: Timing
    deployments: list[Deployment]
    tasks: list[Task] = field(default_factory=list)
    stopped: deque[Task] = field(default_factory=lambda: deque(maxlen=20))
    events: deque[tuple[float, str]] = field(default_factory=lambda: deque(maxlen=20))
    born: int = 0

    @property
    def primary(self) -> Deployment:
        """Return the deployment that ECS is working towards."""
        return self.deployments[0]

    def living(self, deployment: Deployment | None = None) -> list[Task]:
        """Return the tasks that count, of one deployment or of all."""
        return [task for task in self.tasks if task.lives and (deployment is None or task.deployment == deployment.id)]

    def running(self, deployment: Deployment | None = None) -> int:
        """Count tasks in RUNNING."""
        return sum(task.status == RUNNING for task in self.living(deployment))

    def healthy(self, deployment: Deployment | None = None) -> int:
        """Count tasks whose target answers health checks."""
        return sum(task.target == HEALTHY for task in self.living(deployment))


class Fleet:
    """All services. `update` is what the API writes, `step` is the passing of time."""

    def __init__(self) -> None:
        self.services: dict[tuple[str, str], Service] = {}
        self._addresses = 0

    def add(self, service: Service, *, settled: bool) -> None:
        """Take a service in; a settled one has its tasks running and healthy already."""
        self.services[service.cluster, service.name] = service
        if not settled:
            return
        for _ in range(service.desired):
            task = self._start(service, 0.0)
            task.status, task.target, task.due = RUNNING, HEALTHY, NEVER
        service.primary.rollout = COMPLETED

    def update(
        self, service: Service, now: float, *, desired: int | None, definition: tuple[str, str] | None, force: bool
    ) -> None:
        """Apply UpdateService: `definition` is (task definition ARN, image). Only a change opens a deployment."""
        if desired is not None:
            service.desired = desired
        arn, image = definition or (service.primary.task_definition, service.primary.image)
        if force or arn != service.primary.task_definition:
            seed = f"{service.cluster}/{service.name}/{now}/{len(service.deployments)}/{service.born}"
            number = int(hashlib.sha256(seed.encode()).hexdigest()[:15], 16)
            opened = Deployment(id=f"ecs-svc/{number:019d}", task_definition=arn, image=image, created=now)
            service.deployments.insert(0, opened)
        self._schedule(service, now)

    def deregister(self, group: str, address: str, now: float) -> bool:
        """Start to drain one target by hand; False where it is not registered."""
        for service in self.services.values():
            for task in service.tasks:
                if (service.group, task.address) == (group, address) and task.target not in {None, DRAINING}:
                    task.target, task.due = DRAINING, now + service.timing.drain
                    return True
        return False

    def stop(self, service: Service, task: Task, now: float, reason: str) -> None:
        """Take one task away: its target drains, then the task is gone."""
        task.reason = reason
        if task.target is None:
            task.status, task.due = STOPPED, now
        else:
            task.status, task.target, task.due = DEACTIVATING, DRAINING, now + service.timing.drain

    def step(self, now: float, in_use: Collection[str]) -> None:
        """Let everything that is due happen; `in_use` are the target groups that some rule forwards to."""
        for service in self.services.values():
            for task in service.tasks:
                while task.due <= now and task.status != STOPPED:
                    self._advance(service, task, used=service.group in in_use, now=now)
            service.stopped.extend(task for task in service.tasks if task.status == STOPPED)
            service.tasks = [task for task in service.tasks if task.status != STOPPED]
            self._schedule(service, now)

    def _advance(self, service: Service, task: Task, *, used: bool, now: float) -> None:
        """Make one transition; the next one is due relative to this one, so a coarse clock adds no delay."""
        release = releases.find(task.image)
        timing = service.timing
        match task.status, task.target:
            case ("PENDING", _) if release is None:
                self._fail(service, task, f"CannotPullContainerError: {task.image}: not found")
            case "PENDING", _:
                task.status, task.target, task.due = RUNNING, INITIAL, task.due + timing.health
            case "RUNNING", "initial" if not used:
                task.due = now + timing.health
            case "RUNNING", "initial" if release is not None and release.gets_healthy:
                task.target, task.due = HEALTHY, NEVER
            case "RUNNING", "initial":
                task.target, task.due = UNHEALTHY, task.due + timing.grace
            case "RUNNING", "unhealthy":
                self._fail(service, task, f"Task failed ELB health checks in (target-group {service.group})")
            case "RUNNING", _:
                task.target, task.due = None, NEVER
            case _:
                task.status, task.target, task.due = STOPPED, None, NEVER

    def _fail(self, service: Service, task: Task, reason: str) -> None:
        self.stop(service, task, task.due, reason)
        if task.status == STOPPED:
            task.due = NEVER
        for deployment in service.deployments:
            if deployment.id == task.deployment:
                deployment.failed += 1
        service.events.append((task.due, f"(service {service.name}) (task {task.id}) {reason}."))

    def _schedule(self, service: Service, now: float) -> None:
        """Start what is missing, stop what is too much, and say how far the deployment is."""
        primary = service.primary
        if primary.rollout == IN_PROGRESS and primary.failed >= breaker_threshold(service.desired):
            primary.rollout = FAILED
            service.events.append((now, f"(service {service.name}) (deployment {primary.id}) deployment failed."))
        own, total = service.living(primary), service.living()
        if primary.rollout != FAILED:
            for _ in range(min(service.desired - len(own), 2 * service.desired - len(total))):
                self._start(service, now)
        self._stop_extra(service, own, service.desired, now)
        others = [task for task in total if task.deployment != primary.id]
        self._stop_extra(service, others, service.desired - service.healthy(primary), now)
        service.deployments[1:] = [old for old in service.deployments[1:] if service.living(old)]
        done = service.healthy(primary) == len(service.living(primary)) == service.desired
        if primary.rollout == IN_PROGRESS and done and len(service.deployments) == 1:
            primary.rollout = COMPLETED
            service.events.append((now, f"(service {service.name}) has reached a steady state."))

    def _stop_extra(self, service: Service, tasks: list[Task], keep: int, now: float) -> None:
        for task in sorted(tasks, key=_worth, reverse=True)[max(0, keep) :]:
            self.stop(service, task, now, "Scaling activity initiated by deployment")

    def _start(self, service: Service, now: float) -> Task:
        primary = service.primary
        self._addresses += 1
        service.born += 1
        identity = hashlib.sha256(f"{service.cluster}/{service.name}/{service.born}".encode()).hexdigest()[:32]
        # Spread over 80-120 % of the usual start, so that a service comes up one task after the other.
        spread = 0.8 + 0.4 * ((service.born - 1) % 6) / 5
        task = Task(
            id=identity,
            address=f"10.0.{self._addresses // 250}.{self._addresses % 250 + 4}",
            image=primary.image,
            task_definition=primary.task_definition,
            deployment=primary.id,
            created=now,
            due=now + service.timing.start * spread,
        )
        service.tasks.append(task)
        return task


def breaker_threshold(desired: int) -> int:
    """Return after how many failed tasks ECS gives up: half of the desired number, at least 3 and at most 200."""
    return min(200, max(3, math.ceil(desired / 2)))


def _worth(task: Task) -> tuple[bool, bool, float]:
    return task.target == HEALTHY, task.status == RUNNING, -task.created
