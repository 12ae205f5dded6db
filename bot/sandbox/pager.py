"""What PagerDuty keeps: the roster of four levels, incidents, events, and who was paged. Values and rules, no HTTP."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

ROUTING_KEY = "sandbox0routing0key0of0opsbot000"
API_KEY = "sandbox-api-key"
SERVICE, POLICY = "PLLMOBS", "PLADDER"
LOWEST, HIGHEST = 1, 4
SEVERITIES = frozenset({"critical", "error", "warning", "info"})
ACTIONS = frozenset({"trigger", "acknowledge", "resolve"})
_LONGEST_SUMMARY, _LONGEST_KEY, _KEY_LENGTH = 1024, 255, 32


@dataclass(frozen=True, kw_only=True)
class User:
    """One person of the roster; `delay` is the minutes after which PagerDuty itself would go on to the next level."""

    id: str
    name: str
    email: str
    level: int
    delay: int


ROSTER: tuple[User, ...] = (
    User(id="PUSER01", name="Charlie Brown", email="charlie@llm-observatory.io", level=1, delay=20),
    User(id="PUSER02", name="John Smith", email="john@llm-observatory.io", level=2, delay=20),
    User(id="PUSER03", name="Maria Garcia (manager)", email="maria@llm-observatory.io", level=3, delay=35),
    User(id="PUSER04", name="Executives", email="executives@llm-observatory.io", level=4, delay=30),
)


@dataclass(frozen=True, kw_only=True)
class Page:
    """One person called."""

    at: datetime
    level: int
    who: str
    summary: str
    dedup_key: str


@dataclass(kw_only=True)
class Incident:
    """One incident; `level` is where its escalation stands."""

    id: str
    number: int
    dedup_key: str
    title: str
    created: datetime
    changed: datetime
    details: Mapping[str, Any]
    status: str = "triggered"
    level: int = LOWEST
    urgency: str = "high"
    notes: list[dict[str, str]] = field(default_factory=list)
    acknowledged_by: str | None = None


class Pager:
    """All of it. Rules raise Rejected; everything that was accepted can be looked at afterwards."""

    def __init__(self) -> None:
        self.incidents: dict[str, Incident] = {}
        self.events: list[dict[str, Any]] = []
        self.changes: list[dict[str, Any]] = []
        self.pages: list[Page] = []

    def accept(self, event: Mapping[str, Any], now: datetime) -> str:
        """Take an alert event in and return its dedup key; the same key is the same incident while it is open."""
        findings = event_findings(event)
        if findings:
            raise Rejected(findings)
        key = str(event.get("dedup_key") or f"{len(self.events):032x}")
        self.events.append({**event, "dedup_key": key, "at": now.isoformat()})
        incident = self.open_incident(key)
        match event["event_action"]:
            case "trigger" if incident is None:
                self._open(key, event["payload"], now)
            case "acknowledge" if incident is not None and incident.status == "triggered":
                incident.status, incident.changed = "acknowledged", now
            case "resolve" if incident is not None:
                incident.status, incident.changed = "resolved", now
        return key

    def accept_change(self, event: Mapping[str, Any], now: datetime) -> None:
        """Take a change event in."""
        payload = event.get("payload")
        findings = _key_findings(event)
        if not isinstance(payload, Mapping) or not payload.get("summary"):
            findings.append("'payload.summary' is missing or blank")
        if findings:
            raise Rejected(findings)
        self.changes.append({**event, "at": now.isoformat()})

    def open_incident(self, key: str) -> Incident | None:
        """Return the unresolved incident of a dedup key."""
        return next(
            (each for each in self.incidents.values() if each.dedup_key == key and each.status != "resolved"), None
        )

    def change(self, incident: Incident, wanted: object, by: str, now: datetime) -> None:
        """Apply what a PUT asks for: `status`, `escalation_level`, `urgency`, `title`."""
        if not isinstance(wanted, Mapping) or "type" not in wanted:
            raise Rejected(["Incident is missing or has no type"])
        if incident.status == "resolved":
            raise Rejected(["Incident Already Resolved"])
        status = wanted.get("status", incident.status)
        if status not in {"triggered", "acknowledged", "resolved"}:
            raise Rejected([f"Status {status!r} is not acknowledged or resolved"])
        level = wanted.get("escalation_level")
        if level is not None and (not isinstance(level, int) or not LOWEST <= level <= HIGHEST):
            raise Rejected(["Cannot Escalate: the escalation policy has no such level"])
        if status == "acknowledged":
            incident.acknowledged_by = by
        incident.status, incident.changed = status, now
        incident.urgency = wanted.get("urgency", incident.urgency)
        incident.title = wanted.get("title", incident.title)
        if level is not None and level != incident.level:
            incident.level, incident.status = level, "triggered"
            self._page(incident, now)

    def _open(self, key: str, payload: Mapping[str, Any], now: datetime) -> None:
        number = len(self.incidents) + 1
        incident = Incident(
            id=f"PINC{number:04d}",
            number=number,
            dedup_key=key,
            title=payload["summary"],
            created=now,
            changed=now,
            details=payload.get("custom_details") or {},
            urgency="high" if payload["severity"] in {"critical", "error"} else "low",
        )
        self.incidents[incident.id] = incident
        self._page(incident, now)

    def _page(self, incident: Incident, now: datetime) -> None:
        who = next(user.name for user in ROSTER if user.level == incident.level)
        self.pages.append(
            Page(at=now, level=incident.level, who=who, summary=incident.title, dedup_key=incident.dedup_key)
        )


class Rejected(Exception):
    """The input breaks a rule of PagerDuty; `findings` says which."""

    def __init__(self, findings: Sequence[str]) -> None:
        super().__init__("; ".join(findings))
        self.findings = list(findings)


def event_findings(event: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with an Events v2 alert event, in PagerDuty's words."""
    findings = _key_findings(event)
    action = event.get("event_action")
    if action not in ACTIONS:
        findings.append("'event_action' is missing or invalid. It must be one of trigger, acknowledge, resolve")
    key = event.get("dedup_key")
    if key is not None and (not isinstance(key, str) or len(key) > _LONGEST_KEY):
        findings.append("'dedup_key' is longer than 255 characters or no text")
    if action in {"acknowledge", "resolve"} and not key:
        findings.append("'dedup_key' is missing or blank")
    if action == "trigger":
        findings += _payload_findings(event.get("payload"))
    return findings


def _key_findings(event: Mapping[str, Any]) -> list[str]:
    key = event.get("routing_key")
    if not key:
        return ["'routing_key' is missing or blank"]
    if not isinstance(key, str) or len(key) != _KEY_LENGTH:
        return ["Length of 'routing_key' is incorrect (should be 32 characters)"]
    return [] if key == ROUTING_KEY else ["'routing_key' is unknown"]


def _payload_findings(payload: object) -> list[str]:
    if not isinstance(payload, Mapping):
        return ["'payload' is missing or blank"]
    findings = [
        f"'payload.{name}' is missing or blank" for name in ("summary", "source", "severity") if not payload.get(name)
    ]
    summary, severity = payload.get("summary"), payload.get("severity")
    if isinstance(summary, str) and len(summary) > _LONGEST_SUMMARY:
        findings.append("'payload.summary' is longer than 1024 characters")
    if severity and severity not in SEVERITIES:
        findings.append("'payload.severity' is invalid (must be one of critical, warning, error, info)")
    moment = payload.get("timestamp")
    if moment is not None and not _is_moment(moment):
        findings.append("'payload.timestamp' is not a valid ISO 8601 time")
    return findings


def _is_moment(value: object) -> bool:
    try:
        datetime.fromisoformat(str(value)).astimezone(UTC)
    except ValueError:
        return False
    return True
