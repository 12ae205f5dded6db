"""Rows of incidents and their timeline. One open incident per key: the database refuses a second."""

from datetime import datetime

from sqlalchemy import BigInteger, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from bot.store import Moment


class IncidentRow(SQLModel, table=True):
    """An incident; `ladder` is frozen at the opening, `fence` grows with every change of state or level."""

    __tablename__ = "incident"
    __table_args__ = (
        Index("incident_one_open", "dedup_key", unique=True, postgresql_where=text("state <> 'resolved'")),
        Index("incident_open_in", "environment", postgresql_where=text("state <> 'resolved'")),
    )

    id: str = Field(primary_key=True)
    dedup_key: str
    severity: str
    environment: str
    title: str
    state: str
    level: int
    fence: int
    card: str
    deployment: str
    ladder: list[dict[str, object]] = Field(sa_type=JSONB)
    opened_at: datetime = Field(sa_type=Moment)


class IncidentEventRow(SQLModel, table=True):
    """One line of an incident's timeline; the same key is written once."""

    __tablename__ = "incident_event"

    id: int | None = Field(default=None, primary_key=True, sa_type=BigInteger)
    incident: str = Field(foreign_key="incident.id", index=True)
    key: str = Field(unique=True)
    kind: str
    source: str
    detail: dict[str, object] = Field(sa_type=JSONB)
    at: datetime = Field(sa_type=Moment)
