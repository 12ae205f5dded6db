"""Who may decide, decided purely: four eyes, role, expiry, the plan that was shown, and finality."""

from datetime import datetime

from bot.contract import Person
from commands.approval.records import Approval, ApprovalState, Choice, Ruling, Vote


def rule(approval: Approval, vote: Vote, person: Person, *, shown: str, now: datetime) -> Ruling:
    """Return what a decision means; `shown` is the start of the plan's hash that the person was looking at."""
    refusal = _settled(approval, now) or _stale(approval, shown, now) or _forbidden(approval, vote, person)
    if refusal is not None:
        code, sentence = refusal
        return Ruling(code=code, sentence=sentence, approval=approval)
    if vote.choice is Choice.DENY:
        return Ruling(code="denied", sentence=f"{person.name} denied it: {vote.reason}", approval=approval)
    given = sum(1 for other in approval.votes if other.choice is Choice.APPROVE) + 1
    if given >= approval.policy.needed:
        return Ruling(code="approved", sentence=f"Approved by {person.name}.", approval=approval)
    missing = approval.policy.needed - given
    return Ruling(code="accepted", sentence=f"Approved by {person.name}; {missing} more needed.", approval=approval)


def is_author(approval: Approval, person: Person) -> bool:
    """Tell whether a person is the one who asked, also with a second Slack account of the same e-mail."""
    return _same(approval.asked_by, approval.asked_by_email, person)


def _settled(approval: Approval, now: datetime) -> tuple[str, str] | None:
    if approval.state is ApprovalState.OPEN:
        return None
    last = approval.votes[-1] if approval.votes else None
    if last is not None and approval.state in {ApprovalState.APPROVED, ApprovalState.DENIED}:
        ago = max(0, round((now - last.at).total_seconds()))
        return ("already_decided", f"Already {approval.state} by {last.name} {ago} s ago. Nothing was changed.")
    if approval.state is ApprovalState.EXPIRED:
        return ("expired", "This request has expired. Ask again with `/deploy`. Nothing was changed.")
    return ("plan_changed", "The plan has changed, so this request is void. Look at the card and decide there.")


def _stale(approval: Approval, shown: str, now: datetime) -> tuple[str, str] | None:
    if now >= approval.expires_at:
        return ("expired", "This request has expired. Ask again with `/deploy`. Nothing was changed.")
    if not shown and not approval.is_first:
        return ("plan_unnamed", f"The plan has changed before: name it, {approval.plan_hash[:8]}. Nothing was changed.")
    if not approval.plan_hash.startswith(shown):
        return ("plan_changed", "The plan has changed since this button was shown. Look at the card and decide again.")
    return None


def _forbidden(approval: Approval, vote: Vote, person: Person) -> tuple[str, str] | None:
    wanted = approval.policy.role
    if is_author(approval, person) and vote.choice is Choice.APPROVE:
        return (
            "four_eyes",
            f"You asked for this; someone else with the role {wanted} has to approve. Nothing was changed.",
        )
    if wanted not in person.roles and not is_author(approval, person):
        return ("no_role", f"Only people with the role {wanted} decide this. Nothing was changed.")
    if any(_same(other.person, other.email, person) for other in approval.votes):
        return ("already_voted", "Your approval is already counted; someone else has to give the next one.")
    return None


def _same(slack_id: str, email: str, person: Person) -> bool:
    return slack_id == person.id or bool(email and email.lower() == person.email.lower())
