"""Ask for approval, take a decision, let a request expire: each in the caller's transaction.

The caller tells people and wakes the workflow; this file only decides with `policy` and writes.
"""

from dataclasses import replace
from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from bot import audit
from bot.contract import Person
from bot.errors import NotFound
from commands.approval import policy, store
from commands.approval.records import Approval, ApprovalState, Choice, Policy, Ruling, Vote

_FINAL = {"approved": ApprovalState.APPROVED, "denied": ApprovalState.DENIED}


async def ask(session: AsyncSession, request: Approval, *, now: datetime) -> Approval:
    """Open a request and void an older one of the subject; asking again for the same plan changes nothing."""
    before = await store.newest(session, request.subject, lock=True)
    if before is not None and before.plan_hash == request.plan_hash and before.state is not ApprovalState.VOIDED:
        return before
    if before is not None and before.state is ApprovalState.OPEN:
        await store.close(session, before.id, ApprovalState.VOIDED)
    count = await store.number(session, request.subject)
    numbered = replace(request, id=f"{request.subject}:{count + 1}", created_at=now)
    await store.add(session, numbered)
    await audit.record(
        session, actor="opsbot", action="approval_asked", subject=request.subject, plan_hash=request.plan_hash
    )
    return numbered


async def decide(
    session: AsyncSession, subject: str, vote: Vote, person: Person, *, shown: str, now: datetime
) -> Ruling:
    """Take a click. Whoever is first wins; every click is written to the audit log. Raises NotFound."""
    approval = await store.newest(session, subject, lock=True)
    if approval is None:
        raise NotFound(f"Nothing waits for approval under {subject}. Nothing was changed.")
    ruling = policy.rule(approval, vote, person, shown=shown, now=now)
    if ruling.counted:
        await store.add_vote(session, approval.id, vote)
    if ruling.code in _FINAL:
        await store.close(session, approval.id, _FINAL[ruling.code])
    await audit.record(
        session,
        actor=person.id,
        action=f"approval_{vote.choice}",
        subject=subject,
        origin="slack",
        ruling=ruling.code,
        reason=vote.reason,
        plan_hash=approval.plan_hash,
    )
    return ruling


async def expire(session: AsyncSession, subject: str) -> ApprovalState:
    """Close a request whose time is up and return its state; a decision that came first stands."""
    return await _close(session, subject, ApprovalState.EXPIRED)


async def withdraw(session: AsyncSession, subject: str) -> ApprovalState:
    """Close a request that nobody has to decide any more and return its state; a decision stands."""
    return await _close(session, subject, ApprovalState.VOIDED)


async def void(session: AsyncSession, subject: str) -> ApprovalState:
    """Take back a request, approved or not, because its plan is not true any more."""
    return await _close(session, subject, ApprovalState.VOIDED, also=ApprovalState.APPROVED)


async def covers(session: AsyncSession, subject: str, plan_hash: str) -> bool:
    """Tell whether the newest request of the subject is approved, and for exactly this plan."""
    approval = await store.newest(session, subject)
    return approval is not None and approval.state is ApprovalState.APPROVED and approval.plan_hash == plan_hash


def vote_of(person: Person, choice: Choice, *, now: datetime, reason: str = "") -> Vote:
    """Return a person's decision."""
    return Vote(person=person.id, name=person.name, email=person.email, choice=choice, at=now, reason=reason)


def request_for(
    subject: str, plan_hash: str, needed: Policy, asker: Person, *, now: datetime, expires_at: datetime
) -> Approval:
    """Return an open request that is not yet written."""
    return Approval(
        id="",
        subject=subject,
        plan_hash=plan_hash,
        policy=needed,
        asked_by=asker.id,
        asked_by_email=asker.email,
        state=ApprovalState.OPEN,
        created_at=now,
        expires_at=expires_at,
    )


async def _close(
    session: AsyncSession, subject: str, state: ApprovalState, *, also: ApprovalState = ApprovalState.OPEN
) -> ApprovalState:
    approval = await store.newest(session, subject, lock=True)
    if approval is None or approval.state not in {ApprovalState.OPEN, also}:
        return approval.state if approval else state
    await store.close(session, approval.id, state)
    await audit.record(session, actor="opsbot", action=f"approval_{state}", subject=subject)
    return state
