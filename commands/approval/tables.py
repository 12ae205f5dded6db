"""Rows of approvals. One open request per subject, one vote per person and request: the database refuses more."""

from datetime import datetime

from sqlalchemy import Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from bot.store import Moment


class ApprovalRow(SQLModel, table=True):
    """A request for approval; its policy is frozen into it."""

    __tablename__ = "approval"
    __table_args__ = (
        Index("approval_one_open", "subject", unique=True, postgresql_where=text("state = 'open'")),
        Index("approval_subject_created", "subject", "created_at"),
    )

    id: str = Field(primary_key=True)
    subject: str
    plan_hash: str
    policy: dict[str, object] = Field(sa_type=JSONB)
    asked_by: str
    asked_by_email: str
    state: str
    created_at: datetime = Field(sa_type=Moment)
    expires_at: datetime = Field(sa_type=Moment)


class VoteRow(SQLModel, table=True):
    """One person's decision on one request."""

    __tablename__ = "approval_vote"

    approval: str = Field(primary_key=True, foreign_key="approval.id")
    person: str = Field(primary_key=True)
    name: str
    email: str
    choice: str
    reason: str = ""
    at: datetime = Field(sa_type=Moment)
