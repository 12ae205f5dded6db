"""The only code that sees rows of deployments: takes a session, returns records."""

import dataclasses
from collections.abc import Iterable
from datetime import datetime
from typing import cast

from sqlalchemy import update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from bot.errors import NotFound
from commands.rollout.records import OPEN_STATES, Deployment, DeploymentId, Lease, Progress, Status, dump, restore
from commands.rollout.tables import DeploymentRow, EnvironmentLeaseRow, ReleaseRow

KNOWN_GOOD, KNOWN_BAD = "known good", "known bad"


async def add(session: AsyncSession, deployment: Deployment) -> bool:
    """Write a new deployment. Returns False where this id is already there."""
    values = _columns(deployment)
    statement = insert(DeploymentRow).values(**values).on_conflict_do_nothing().returning(col(DeploymentRow.id))
    return (await session.exec(statement)).first() is not None


async def get(session: AsyncSession, deployment_id: str) -> Deployment:
    """Return a deployment. Raises NotFound."""
    row = await session.get(DeploymentRow, deployment_id, populate_existing=True)
    return _record(row, deployment_id)


async def change(session: AsyncSession, deployment_id: str, **fields: object) -> Deployment:
    """Replace fields of a deployment under a row lock and return it. Raises NotFound."""
    return await _write(session, dataclasses.replace(await _locked(session, deployment_id), **fields))  # type: ignore[arg-type]


async def mark(
    session: AsyncSession, deployment_id: str, step: str, status: Status, *, detail: str, now: datetime
) -> Deployment:
    """Record how far a step is; the first mark of a step is its start."""
    deployment = await _locked(session, deployment_id)
    before = next((item for item in deployment.progress if item.step == step), None)
    ended = status in {Status.DONE, Status.FAILED}
    item = Progress(
        step=step,
        status=status,
        detail=detail,
        started_at=before.started_at if before and before.started_at else now,
        finished_at=now if ended else None,
    )
    others = tuple(item if other.step == step else other for other in deployment.progress)
    return await _write(session, dataclasses.replace(deployment, progress=others if before else (*others, item)))


async def latest(session: AsyncSession, environment: str | None = None, most: int = 10) -> tuple[Deployment, ...]:
    """Return the newest deployments, dry runs left out."""
    query = select(DeploymentRow).where(col(DeploymentRow.dry_run).is_(False))
    if environment is not None:
        query = query.where(col(DeploymentRow.environment) == environment)
    query = query.order_by(col(DeploymentRow.created_at).desc()).limit(most)
    return _records(await session.exec(query))


async def unfinished(session: AsyncSession, environment: str | None = None) -> tuple[Deployment, ...]:
    """Return every deployment that is not at its end, oldest first."""
    states = [str(state) for state in OPEN_STATES]
    query = select(DeploymentRow).where(col(DeploymentRow.state).in_(states)).order_by(col(DeploymentRow.created_at))
    if environment is not None:
        query = query.where(col(DeploymentRow.environment) == environment)
    return _records(await session.exec(query))


async def lease(session: AsyncSession, environment: str, now: datetime) -> Lease:
    """Return the environment's lease under a row lock, so that two askers are served one after the other."""
    fresh = insert(EnvironmentLeaseRow).values(environment=environment, epoch=0, held=False, since=now)
    # A row that is there is written as it was: that locks it, in the one statement that also reads it.
    same = {"environment": fresh.excluded.environment}
    locked = fresh.on_conflict_do_update(index_elements=["environment"], set_=same).returning(EnvironmentLeaseRow)
    row = (await session.exec(locked, execution_options={"populate_existing": True})).scalar_one()
    holder = DeploymentId(row.holder) if row.holder else None
    return Lease(environment=environment, epoch=row.epoch, holder=holder, held=row.held, since=row.since)


async def take_lease(session: AsyncSession, environment: str, holder: str, now: datetime) -> int:
    """Give the environment to a deployment and return the new epoch; the caller has looked at `lease` before."""
    return await _set_lease(session, environment, holder=holder, held=False, since=now)


async def hold_lease(session: AsyncSession, environment: str, holder: str, epoch: int, now: datetime) -> None:
    """Mark the environment as held: the way back is kept open, and a new deployment needs consent."""
    where = (col(EnvironmentLeaseRow.holder) == holder, col(EnvironmentLeaseRow.epoch) == epoch)
    statement = update(EnvironmentLeaseRow).where(col(EnvironmentLeaseRow.environment) == environment, *where)
    await session.exec(statement.values(held=True, since=now))


async def release_lease(session: AsyncSession, environment: str, holder: str, now: datetime) -> None:
    """Free the environment if this deployment still holds it."""
    where = (col(EnvironmentLeaseRow.environment) == environment, col(EnvironmentLeaseRow.holder) == holder)
    statement = update(EnvironmentLeaseRow).where(*where).values(holder=None, held=False, since=now)
    await session.exec(statement)


async def fence(session: AsyncSession, deployment: Deployment, intent: dict[str, int]) -> bool:
    """Record the weights about to be written. Returns False where another holder or epoch has taken over."""
    statement = (
        update(EnvironmentLeaseRow)
        .where(
            col(EnvironmentLeaseRow.environment) == deployment.environment,
            col(EnvironmentLeaseRow.holder) == deployment.id,
            col(EnvironmentLeaseRow.epoch) == deployment.epoch,
        )
        .values(intent={"deployment": deployment.id, "weights": intent})
        .returning(col(EnvironmentLeaseRow.epoch))
    )
    return (await session.exec(statement)).first() is not None


async def judge(session: AsyncSession, deployment: Deployment, standing: str, now: datetime) -> None:
    """Write down that a version proved good or bad in this environment."""
    values = {"standing": standing, "deployment": deployment.id, "at": now}
    statement = insert(ReleaseRow).values(environment=deployment.environment, version=deployment.version, **values)
    statement = statement.on_conflict_do_update(index_elements=["environment", "version"], set_=values)
    await session.exec(statement)


async def standing(session: AsyncSession, environment: str, version: str) -> str | None:
    """Return `known good`, `known bad`, or None for a version this environment has not seen."""
    row = await session.get(ReleaseRow, (environment, version))
    return row.standing if row else None


async def _set_lease(session: AsyncSession, environment: str, *, holder: str, held: bool, since: datetime) -> int:
    statement = (
        update(EnvironmentLeaseRow)
        .where(col(EnvironmentLeaseRow.environment) == environment)
        .values(holder=holder, held=held, since=since, epoch=col(EnvironmentLeaseRow.epoch) + 1)
        .returning(col(EnvironmentLeaseRow.epoch))
    )
    return cast("int", (await session.exec(statement)).scalar_one())


async def _locked(session: AsyncSession, deployment_id: str) -> Deployment:
    row = await session.get(DeploymentRow, deployment_id, with_for_update=True, populate_existing=True)
    return _record(row, deployment_id)


async def _write(session: AsyncSession, changed: Deployment) -> Deployment:
    await session.exec(update(DeploymentRow).where(col(DeploymentRow.id) == changed.id).values(**_columns(changed)))
    return changed


def _columns(deployment: Deployment) -> dict[str, object]:
    return {
        "id": deployment.id,
        "environment": deployment.environment,
        "version": deployment.version,
        "state": str(deployment.state),
        "dry_run": deployment.dry_run,
        "created_at": deployment.created_at,
        "body": dump(deployment),
    }


def _records(rows: Iterable[DeploymentRow]) -> tuple[Deployment, ...]:
    return tuple(restore(Deployment, row.body) for row in rows)


def _record(row: DeploymentRow | None, deployment_id: str) -> Deployment:
    if row is None:
        raise NotFound(f"There is no deployment {deployment_id}. `/deploy status` lists the ones there are.")
    return restore(Deployment, row.body)
