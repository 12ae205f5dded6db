"""The only code that sees rows of incidents: takes a session, returns records."""

from datetime import timedelta
from typing import cast

from sqlalchemy import func, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from escalation.records import Incident, IncidentId, Rung, Severity
from escalation.tables import IncidentEventRow, IncidentRow

OPEN, RESOLVED = "open", "resolved"


async def add(session: AsyncSession, incident: Incident) -> bool:
    """Write a new open incident. Returns False where one with this key is open already."""
    values = {
        "id": incident.id,
        "dedup_key": incident.dedup_key,
        "severity": incident.severity,
        "environment": incident.environment,
        "title": incident.title,
        "state": incident.state,
        "level": incident.level,
        "fence": incident.fence,
        "card": incident.card,
        "deployment": incident.deployment,
        "ladder": [_stored(rung) for rung in incident.ladder],
        "opened_at": incident.opened_at,
    }
    statement = insert(IncidentRow).values(**values).on_conflict_do_nothing().returning(col(IncidentRow.id))
    return (await session.exec(statement)).first() is not None


async def get(session: AsyncSession, incident_id: str) -> Incident | None:
    """Return an incident under a row lock, or None."""
    row = await session.get(IncidentRow, incident_id, with_for_update=True, populate_existing=True)
    return _record(row) if row else None


async def open_under(session: AsyncSession, dedup_key: str) -> IncidentId | None:
    """Return the id of the open incident with this key, or None."""
    query = select(IncidentRow.id).where(col(IncidentRow.dedup_key) == dedup_key, col(IncidentRow.state) != RESOLVED)
    found = (await session.exec(query)).first()
    return IncidentId(found) if found else None


async def open_in(session: AsyncSession, environment: str) -> tuple[Incident, ...]:
    """Return the open incidents of an environment, oldest first."""
    query = select(IncidentRow).where(col(IncidentRow.environment) == environment)
    query = query.where(col(IncidentRow.state) != RESOLVED).order_by(col(IncidentRow.opened_at))
    return tuple(_record(row) for row in await session.exec(query))


async def raise_level(session: AsyncSession, incident_id: str, level: int) -> None:
    """Record that a level's page was accepted; the level never goes down."""
    below = (col(IncidentRow.id) == incident_id, col(IncidentRow.level) < level)
    statement = update(IncidentRow).where(*below).values(level=level, fence=col(IncidentRow.fence) + 1)
    await session.exec(statement)


async def note(
    session: AsyncSession, incident_id: str, *, key: str, kind: str, source: str, detail: dict[str, object]
) -> None:
    """Write one line of the timeline at the database's time; the same key is written once."""
    values = {"incident": incident_id, "key": key, "kind": kind, "source": source, "detail": detail, "at": func.now()}
    await session.exec(insert(IncidentEventRow).values(**values).on_conflict_do_nothing())


def _stored(rung: Rung) -> dict[str, object]:
    return {"level": rung.level, "after_seconds": rung.after.total_seconds(), "who": rung.who}


def _record(row: IncidentRow) -> Incident:
    return Incident(
        id=IncidentId(row.id),
        dedup_key=row.dedup_key,
        severity=cast("Severity", row.severity),
        environment=row.environment,
        title=row.title,
        state=row.state,
        level=row.level,
        fence=row.fence,
        card=row.card,
        deployment=row.deployment,
        ladder=tuple(_rung(stored) for stored in row.ladder),
        opened_at=row.opened_at,
    )


def _rung(stored: dict[str, object]) -> Rung:
    after = timedelta(seconds=float(str(stored["after_seconds"])))
    return Rung(level=int(str(stored["level"])), after=after, who=str(stored["who"]))
