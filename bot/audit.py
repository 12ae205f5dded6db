"""What people and the bot did, for people: a row for each act in the caller's transaction; the database keeps it so."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from bot.store import Moment


class Audit(SQLModel, table=True):
    """One act. `subject` is the id of the deployment, incident or environment that it concerned."""

    __tablename__ = "audit"

    id: int | None = Field(default=None, primary_key=True, sa_type=sa.BigInteger)
    at: datetime | None = Field(
        default=None, sa_type=Moment, sa_column_kwargs={"server_default": sa.func.now(), "nullable": False}
    )
    actor: str
    action: str
    subject: str = Field(index=True)
    origin: str
    detail: dict[str, Any] = Field(default_factory=dict, sa_type=JSONB)


async def record(
    session: AsyncSession, *, actor: str, action: str, subject: str, origin: str = "bot", **detail: object
) -> None:
    """Write one row; `detail` must be JSON values. The time is the database's, of the transaction's start."""
    await session.exec(
        sa.insert(Audit).values(actor=actor, action=action, subject=subject, origin=origin, detail=detail)
    )
