"""What a page says to PagerDuty and what the thread says of it. Pure."""

from collections.abc import Mapping
from datetime import datetime

from bot import blocks
from escalation.records import Incident, Rung, Trouble

_SUMMARY = 1024  # PagerDuty's limit
_SEVERITIES = {"P0": "critical", "P1": "critical", "P2": "error", "P3": "warning"}


def event(incident: Incident, trouble: Trouble, *, now: datetime, thread: str) -> Mapping[str, object]:
    """Return the Events v2 trigger: its dedup key makes a repeat a log entry on the same alert."""
    details = {
        "reason": trouble.reason,
        "evidence": list(trouble.evidence),
        "thread": thread or "see the deployment's card in Slack",
        "incident": incident.id,
        **dict(trouble.facts),
    }
    return {
        "event_action": "trigger",
        "dedup_key": incident.dedup_key,
        "client": "opsbot",
        "payload": {
            "summary": f"{incident.severity} {incident.title}"[:_SUMMARY],
            "source": f"opsbot/{incident.environment}",
            "severity": _SEVERITIES[incident.severity],
            "timestamp": now.isoformat(),
            "component": incident.environment,
            "group": "deployment",
            "class": trouble.reason,
            "custom_details": details,
        },
        "links": [{"href": thread, "text": "Thread in Slack"}] if thread else [],
    }


def opened(incident: Incident, rung: Rung | None) -> str:
    """Say in the thread that an incident is open and who is being paged."""
    whom = f"paging level {rung.level} ({blocks.escape(rung.who)})" if rung else "nobody is paged at this severity"
    return f":rotating_light: *{incident.severity} incident* `{incident.id}` is open: {whom}."


def accepted(incident: Incident) -> str:
    """Say that PagerDuty has taken the page."""
    return f":pager: PagerDuty accepted the page of `{incident.id}` (level {incident.level})."


def unreachable(incident: Incident, answer: str) -> str:
    """Ask the people in the channel, because the pager does not work."""
    return (
        f":rotating_light: <!channel> *PagerDuty did not take the page* of `{incident.id}` "
        f"({blocks.escape(answer)}). It is tried again until it does. Until then somebody here has to act: "
        f"{blocks.escape(incident.title)}"
    )


def thread_url(workspace: str, channel: str, ts: str) -> str:
    """Return Slack's permalink of a message; empty while the workspace's address is not known."""
    return f"{workspace.rstrip('/')}/archives/{channel}/p{ts.replace('.', '')}" if workspace else ""
