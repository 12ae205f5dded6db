"""The values of an approval: frozen, keyword-only, no slots."""

import enum
from dataclasses import dataclass
from datetime import datetime

from bot.contract import Role


class Choice(enum.StrEnum):
    """What a person decided."""

    APPROVE = "approve"
    DENY = "deny"


class ApprovalState(enum.StrEnum):
    """Where a request for approval is; everything but `open` is final."""

    OPEN = "open"
    APPROVED = "approved"
    DENIED = "denied"
    EXPIRED = "expired"
    VOIDED = "voided"


@dataclass(frozen=True, kw_only=True)
class Policy:
    """Who may decide; stored with the request when it is made."""

    needed: int
    role: Role = Role.APPROVER


@dataclass(frozen=True, kw_only=True)
class Vote:
    """One person's decision."""

    person: str
    name: str
    email: str
    choice: Choice
    at: datetime
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Approval:
    """A request for approval of one plan of one subject."""

    id: str
    subject: str
    plan_hash: str
    policy: Policy
    asked_by: str
    asked_by_email: str
    state: ApprovalState
    created_at: datetime
    expires_at: datetime
    votes: tuple[Vote, ...] = ()

    @property
    def is_first(self) -> bool:
        """Tell whether its plan is the only one that was ever shown for the subject."""
        return self.id.rpartition(":")[2] in {"", "1"}


@dataclass(frozen=True, kw_only=True)
class Ruling:
    """What came of a click: `code` is accepted, approved, denied, or the reason of a refusal."""

    code: str
    sentence: str
    approval: Approval

    @property
    def counted(self) -> bool:
        """Tell whether the click was written down as a decision."""
        return self.code in {"accepted", "approved", "denied"}
