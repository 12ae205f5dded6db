"""The values of a deployment that cross a step: frozen, keyword-only, no slots, new fields last with a default."""

import enum
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NewType, TypeVar, cast

from pydantic import TypeAdapter

from bot.settings import Colour, Durations, Strategy, Thresholds
from commands.checks import Finding

DeploymentId = NewType("DeploymentId", str)
Value = TypeVar("Value")


class State(enum.StrEnum):
    """Where a deployment is. The last ones are final."""

    PLANNING = "planning"
    WAITING = "waiting for approval"
    RUNNING = "running"
    PAUSED = "paused"
    HOLDING = "holding"
    SUCCEEDED = "succeeded"
    PLANNED = "planned"
    REFUSED = "refused"
    DENIED = "denied"
    EXPIRED = "expired"
    ABORTED = "aborted"
    FAILED = "failed"
    ROLLED_BACK = "rolled back"
    DEGRADED = "degraded"


OPEN_STATES = frozenset({State.PLANNING, State.WAITING, State.RUNNING, State.PAUSED, State.HOLDING})


class Step(enum.StrEnum):
    """The steps of a blue-green deployment in the words of the runbook; names are data in production."""

    PREPARE = "prepare"
    STABILISE = "stabilise"
    VERIFY = "verify"
    SWITCH = "switch"
    OBSERVE = "observe"
    WATCH = "watch"
    DRAIN = "drain"
    HOLD = "hold"
    RETIRE = "retire"


class Status(enum.StrEnum):
    """How far a step is."""

    PENDING = "pending"
    RUNNING = "in_progress"
    DONE = "complete"
    FAILED = "error"


@dataclass(frozen=True, kw_only=True)
class PlanStep:
    """One step of a plan; `expected` is how long it usually takes, `limit` when it counts as failed."""

    step: Step
    title: str
    expected: timedelta
    limit: timedelta


@dataclass(frozen=True, kw_only=True)
class Side:
    """One colour as it was found when the plan was made."""

    colour: Colour
    service: str
    target_group: str
    selector: str
    container: str
    task_definition: str
    image: str
    desired: int
    version: str = ""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything that approvers approve. Its hash covers every field (`plans.fingerprint`)."""

    environment: str
    version: str
    strategy: Strategy
    image: str
    digest: str
    cluster: str
    rule: str
    live: Side
    idle: Side
    desired: int
    steps: tuple[PlanStep, ...]
    deregistration_delay: timedelta
    approvals: int
    limits: tuple[tuple[str, float], ...]
    ticket: str = ""
    schema_version: str = ""
    gives_up_hold: str = ""


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The waits and limits in force when the plan was made; they govern the whole run."""

    durations: Durations
    thresholds: Thresholds


@dataclass(frozen=True, kw_only=True)
class Preflight:
    """What was found before the plan; the plan is absent where something forbids it."""

    findings: tuple[Finding, ...]
    plan: Plan | None
    rules: Rules
    dry_run: bool = False


@dataclass(frozen=True, kw_only=True)
class Progress:
    """One line of the card: how far a step is and what was observed."""

    step: str
    status: Status
    detail: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a deployment ended. `touched` tells whether production traffic was ever moved."""

    state: State
    code: str
    reason: str
    evidence: tuple[str, ...] = ()
    touched: bool = False
    pages: bool = False


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """A deployment as people see it."""

    id: DeploymentId
    environment: str
    version: str
    strategy: Strategy
    state: State
    requested_by: str
    requested_by_name: str
    requested_by_email: str
    channel: str
    created_at: datetime
    dry_run: bool = False
    ticket: str = ""
    replaces: str = ""
    gives_up_hold: bool = False
    plan: Plan | None = None
    plan_hash: str = ""
    findings: tuple[Finding, ...] = ()
    progress: tuple[Progress, ...] = ()
    outcome: Outcome | None = None
    question: str = ""
    approvers: tuple[str, ...] = ()
    expires_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    hold_until: datetime | None = None
    epoch: int = 0
    executor: str = ""
    touched: bool = False


@dataclass(frozen=True, kw_only=True)
class Lease:
    """Who may write the weights of an environment. A write with an older epoch is refused."""

    environment: str
    epoch: int
    holder: DeploymentId | None
    held: bool
    since: datetime


@dataclass(frozen=True, kw_only=True)
class Done:
    """What came of an effect. `code` is ok, retry (nothing certain yet, try again) or the reason of a failure."""

    code: str
    sentence: str = ""
    value: str = ""


@dataclass(frozen=True, kw_only=True)
class Recheck:
    """What a second look at the plan found, just before it is carried out."""

    same: bool
    plan: Plan | None = None
    differences: tuple[str, ...] = ()
    stopping: tuple[Finding, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Verified:
    """The findings of one verification and when it ended."""

    at: datetime
    findings: tuple[Finding, ...]


@dataclass(frozen=True, kw_only=True)
class IdleLook:
    """The idle colour as ECS and the load balancer report it."""

    at: datetime
    rollout: str = ""
    task_definition: str = ""
    deployments: int = 0
    desired: int = 0
    running: int = 0
    failed_tasks: int = 0
    healthy: int = 0
    states: tuple[tuple[str, int], ...] = ()
    images: tuple[str, ...] = ()
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class TrafficLook:
    """Requests per second by colour; None where Prometheus has no answer, `problem` where it could not be asked."""

    at: datetime
    live: float | None
    idle: float | None
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One tick of the watch. Counts are requests; durations are seconds; None means no data."""

    at: datetime
    requests: float | None = None
    errors: float | None = None
    evaluate_requests: float | None = None
    evaluate_errors: float | None = None
    p95: float | None = None
    latency_requests: float | None = None
    healthy: int | None = None
    desired: int = 0
    failed_tasks: int | None = None
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """The previous hour of the colour that was live."""

    p95: float | None
    error_rate: float | None


@dataclass(frozen=True, kw_only=True)
class Shift:
    """What came of a write of the weights. `code`: done, unchanged, drift, fenced, unknown."""

    code: str
    sentence: str
    weights: tuple[tuple[str, int], ...] = ()
    at: datetime | None = None


def dump(value: object) -> Any:
    """Turn a record into JSON values."""
    return _adapter(type(value)).dump_python(value, mode="json")


def restore(kind: type[Value], value: object) -> Value:
    """Turn JSON values back into a record."""
    return cast("Value", _adapter(kind).validate_python(value))


def _adapter(kind: type[object]) -> TypeAdapter[object]:
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


_ADAPTERS: dict[type[object], TypeAdapter[object]] = {}
