"""The JSON of PagerDuty's REST API for what the pager keeps."""

from typing import Any

from bot.sandbox import pager
from bot.sandbox.pager import Incident, User


def incident(of: Incident) -> dict[str, Any]:
    """Return an incident; its level is not a member of PagerDuty's, who is assigned tells it."""
    assignee = next(user for user in pager.ROSTER if user.level == of.level)
    open_assignments = [{"at": of.changed.isoformat(), "assignee": user_reference(assignee)}]
    return {
        "id": of.id,
        "type": "incident",
        "summary": f"[#{of.number}] {of.title}",
        "self": f"https://api.pagerduty.com/incidents/{of.id}",
        "html_url": f"https://llm-observatory.pagerduty.com/incidents/{of.id}",
        "incident_number": of.number,
        "title": of.title,
        "description": of.title,
        "incident_key": of.dedup_key,
        "status": of.status,
        "urgency": of.urgency,
        "created_at": of.created.isoformat(),
        "updated_at": of.changed.isoformat(),
        "last_status_change_at": of.changed.isoformat(),
        "resolved_at": of.changed.isoformat() if of.status == "resolved" else None,
        "assignments": [] if of.status == "resolved" else open_assignments,
        "acknowledgements": _acknowledgements(of),
        "pending_actions": [],
        "service": _reference(pager.SERVICE, "service", "llm-observatory"),
        "escalation_policy": _reference(pager.POLICY, "escalation_policy", "LLM Observatory ladder"),
    }


def user_reference(user: User) -> dict[str, Any]:
    """Return a reference to a person."""
    return _reference(user.id, "user", user.name)


def oncalls() -> dict[str, Any]:
    """Return who is on call: one person for each level, without end."""
    entries = [
        {
            "escalation_policy": _reference(pager.POLICY, "escalation_policy", "LLM Observatory ladder"),
            "escalation_level": user.level,
            "schedule": None,
            "user": _user(user),
            "start": None,
            "end": None,
        }
        for user in pager.ROSTER
    ]
    return {"oncalls": entries, "limit": 25, "offset": 0, "more": False, "total": None}


def users() -> dict[str, Any]:
    """Return the people of the account."""
    people = [_user(user) for user in pager.ROSTER]
    return {"users": people, "limit": 25, "offset": 0, "more": False, "total": None}


def abilities() -> dict[str, Any]:
    """Return what the account may use."""
    return {"abilities": ["teams", "coordinated_responding", "urgencies", "event_rules"]}


def policy() -> dict[str, Any]:
    """Return the escalation policy, each level a little later than the bot's own ladder."""
    rules = [
        {"id": f"PRULE{user.level}", "escalation_delay_in_minutes": user.delay, "targets": [user_reference(user)]}
        for user in pager.ROSTER
    ]
    return {
        "escalation_policy": {
            **_reference(pager.POLICY, "escalation_policy", "LLM Observatory ladder"),
            "type": "escalation_policy",
            "name": "LLM Observatory ladder",
            "num_loops": 0,
            "escalation_rules": rules,
            "services": [_reference(pager.SERVICE, "service", "llm-observatory")],
        }
    }


def service() -> dict[str, Any]:
    """Return the service; nothing closes or un-acknowledges its incidents by itself."""
    return {
        "service": {
            **_reference(pager.SERVICE, "service", "llm-observatory"),
            "type": "service",
            "name": "llm-observatory",
            "status": "active",
            "acknowledgement_timeout": None,
            "auto_resolve_timeout": None,
            "incident_urgency_rule": {"type": "constant", "urgency": "severity_based"},
            "escalation_policy": _reference(pager.POLICY, "escalation_policy", "LLM Observatory ladder"),
        }
    }


def _acknowledgements(of: Incident) -> list[dict[str, Any]]:
    by = next((user for user in pager.ROSTER if user.email == of.acknowledged_by), None)
    if of.status != "acknowledged" or by is None:
        return []
    return [{"at": of.changed.isoformat(), "acknowledger": user_reference(by)}]


def _user(user: User) -> dict[str, Any]:
    return {
        **user_reference(user),
        "type": "user",
        "name": user.name,
        "email": user.email,
        "time_zone": "Etc/UTC",
        "role": "user",
    }


def _reference(identity: str, kind: str, summary: str) -> dict[str, Any]:
    return {
        "id": identity,
        "type": f"{kind}_reference",
        "summary": summary,
        "self": f"https://api.pagerduty.com/{kind.replace('policy', 'policie')}s/{identity}",
        "html_url": f"https://llm-observatory.pagerduty.com/{kind}s/{identity}",
    }
