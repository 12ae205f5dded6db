"""The values of an incident: frozen, keyword-only, no slots."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, NewType

IncidentId = NewType("IncidentId", str)
Severity = Literal["P0", "P1", "P2", "P3"]


@dataclass(frozen=True, kw_only=True)
class Rung:
    """One level of the ladder as it was when the incident opened: `after` counts from the opening."""

    level: int
    after: timedelta
    who: str


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """What somebody reports: `key` names the thing in trouble, so that reporting it twice is one incident."""

    key: str
    severity: Severity
    environment: str
    title: str
    reason: str
    evidence: tuple[str, ...]
    card: str
    deployment: str = ""
    facts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Incident:
    """An incident as people see it. `level` is the highest level whose page PagerDuty has accepted."""

    id: IncidentId
    dedup_key: str
    severity: Severity
    environment: str
    title: str
    state: str
    level: int
    fence: int
    card: str
    deployment: str
    ladder: tuple[Rung, ...]
    opened_at: datetime
