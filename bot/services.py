"""The collaborators that handlers and workflows act through, built once in `bot/app.py`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from bot.clients.ecr import Ecr
from bot.clients.ecs import Ecs
from bot.clients.elb import Elb
from bot.clients.pagerduty import PagerDuty
from bot.clients.prometheus import Prometheus
from bot.clients.scaling import Scaling
from bot.clients.service import StorageService
from bot.clients.slack import Slack
from bot.clients.target import Target
from bot.people import People
from bot.settings import Settings
from bot.store import Database


@dataclass(frozen=True, kw_only=True)
class Place:
    """Everything outside that one environment consists of. `target` is None where no database URL is given."""

    elb: Elb
    ecs: Ecs
    ecr: Ecr
    scaling: Scaling
    prometheus: Prometheus
    storage: StorageService
    target: Target | None


@dataclass(frozen=True, kw_only=True)
class Services:
    """What a handler gets beside its request."""

    settings: Settings
    database: Database
    people: People
    slack: Slack
    pagerduty: PagerDuty | None
    places: Mapping[str, Place]
    now: Callable[[], datetime]
