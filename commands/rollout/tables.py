"""Rows of deployments, of the lease that guards an environment's weights, and of what is known of each release."""

from datetime import datetime

from sqlalchemy import Index
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from bot.store import Moment


class DeploymentRow(SQLModel, table=True):
    """A deployment: `body` is the record, the other columns are what is searched."""

    __tablename__ = "deployment"
    __table_args__ = (Index("deployment_environment_created", "environment", "created_at"),)

    id: str = Field(primary_key=True)
    environment: str
    version: str
    state: str = Field(index=True)
    dry_run: bool
    created_at: datetime = Field(sa_type=Moment)
    body: dict[str, object] = Field(sa_type=JSONB)


class EnvironmentLeaseRow(SQLModel, table=True):
    """One row per environment. `epoch` grows with each holder; `intent` is the last weights somebody meant to write."""

    __tablename__ = "environment_lease"

    environment: str = Field(primary_key=True)
    epoch: int = 0
    holder: str | None = None
    held: bool = False
    since: datetime = Field(sa_type=Moment)
    intent: dict[str, object] | None = Field(default=None, sa_type=JSONB)


class ReleaseRow(SQLModel, table=True):
    """What an environment has learned about a version: known good or known bad."""

    __tablename__ = "release"

    environment: str = Field(primary_key=True)
    version: str = Field(primary_key=True)
    standing: str
    deployment: str
    at: datetime = Field(sa_type=Moment)
