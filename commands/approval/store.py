"""The only code that sees rows of approvals: takes a session, returns records."""

from sqlalchemy import func, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from bot.contract import Role
from commands.approval.records import Approval, ApprovalState, Choice, Policy, Vote
from commands.approval.tables import ApprovalRow, VoteRow


async def add(session: AsyncSession, approval: Approval) -> None:
    """Write a new open request."""
    policy = {"needed": approval.policy.needed, "role": str(approval.policy.role)}
    session.add(
        ApprovalRow(
            id=approval.id,
            subject=approval.subject,
            plan_hash=approval.plan_hash,
            policy=policy,
            asked_by=approval.asked_by,
            asked_by_email=approval.asked_by_email,
            state=str(approval.state),
            created_at=approval.created_at,
            expires_at=approval.expires_at,
        )
    )
    await session.flush()


async def newest(session: AsyncSession, subject: str, *, lock: bool = False) -> Approval | None:
    """Return the newest request of a subject; locked, so that of two clicks one is first."""
    query = select(ApprovalRow).where(col(ApprovalRow.subject) == subject)
    query = query.order_by(col(ApprovalRow.created_at).desc(), col(ApprovalRow.id).desc()).limit(1)
    if lock:
        query = query.with_for_update()
    row = (await session.exec(query, execution_options={"populate_existing": True})).first()
    if row is None:
        return None
    votes = await session.exec(select(VoteRow).where(col(VoteRow.approval) == row.id).order_by(col(VoteRow.at)))
    return _record(row, tuple(_vote(vote) for vote in votes))


async def number(session: AsyncSession, subject: str) -> int:
    """Return how many requests a subject has had."""
    query = select(func.count()).select_from(ApprovalRow).where(col(ApprovalRow.subject) == subject)
    return (await session.exec(query)).one()


async def close(session: AsyncSession, approval_id: str, state: ApprovalState) -> None:
    """Set the final state of a request; the caller holds its lock and has looked at its state."""
    await session.exec(update(ApprovalRow).where(col(ApprovalRow.id) == approval_id).values(state=str(state)))


async def add_vote(session: AsyncSession, approval_id: str, vote: Vote) -> None:
    """Write one decision."""
    session.add(
        VoteRow(
            approval=approval_id,
            person=vote.person,
            name=vote.name,
            email=vote.email,
            choice=str(vote.choice),
            reason=vote.reason,
            at=vote.at,
        )
    )
    await session.flush()


def _record(row: ApprovalRow, votes: tuple[Vote, ...]) -> Approval:
    return Approval(
        id=row.id,
        subject=row.subject,
        plan_hash=row.plan_hash,
        policy=_policy(row.policy),
        asked_by=row.asked_by,
        asked_by_email=row.asked_by_email,
        state=ApprovalState(row.state),
        created_at=row.created_at,
        expires_at=row.expires_at,
        votes=votes,
    )


def _vote(row: VoteRow) -> Vote:
    return Vote(
        person=row.person, name=row.name, email=row.email, choice=Choice(row.choice), at=row.at, reason=row.reason
    )


def _policy(stored: dict[str, object]) -> Policy:
    return Policy(needed=int(str(stored["needed"])), role=Role(str(stored["role"])))
