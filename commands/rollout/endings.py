"""How a deployment ended, decided from what stopped it and from what came of the way back. Pure."""

from dataclasses import replace

from commands.checks import Finding, stopping
from commands.rollout.records import Outcome, Plan, Shift, State, TrafficLook


class Stop(Exception):
    """A step cannot go on; `person` is set where somebody asked for it."""

    def __init__(self, code: str, reason: str, *, evidence: tuple[str, ...] = (), person: str = "") -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.evidence = evidence
        self.person = person


STAYS = frozenset(
    {"replaced", "retire_traffic", "retire_refused", "retire_not_found", "retire_failed", "retire_invalid"}
)
"""Stops after the deployment was proven: the traffic stays where it is."""

_QUIET = {"expired": State.EXPIRED, "denied": State.DENIED, "refused": State.REFUSED}


def refused(findings: tuple[Finding, ...]) -> Outcome:
    """Preflight forbids it; nothing was changed."""
    stops = stopping(findings)
    evidence = tuple(f"{finding.check}: {finding.evidence}" for finding in stops)
    return Outcome(state=State.REFUSED, code=stops[0].code, reason=first_sentence(stops), evidence=evidence)


def planned() -> Outcome:
    """A dry run ends with its plan."""
    return Outcome(state=State.PLANNED, code="dry_run", reason="This was a dry run; nothing was changed.")


def succeeded(plan: Plan) -> Outcome:
    """Everything was done."""
    reason = f"{plan.version} is live on {plan.idle.colour}; {plan.live.colour} is retired"
    return Outcome(state=State.SUCCEEDED, code="done", reason=reason, touched=True)


def broken(step: str, error: Exception, *, touched: bool) -> Outcome:
    """A bug of ours: say so, leave the traffic where it is, and get people."""
    reason = (
        f"opsbot itself failed in step {step or 'preflight'} ({type(error).__name__}); the traffic was left as it is"
    )
    evidence = (str(error)[:500],)
    return Outcome(state=State.DEGRADED, code="bug", reason=reason, evidence=evidence, touched=touched, pages=True)


def of(stop: Stop, shift: Shift | None, plan: Plan) -> Outcome:
    """Return the outcome after the way back. `shift` is None where no traffic had to be moved."""
    if stop.code in _QUIET:
        return Outcome(state=_QUIET[stop.code], code=stop.code, reason=stop.reason, evidence=stop.evidence)
    if stop.code in STAYS:
        proven = stop.code == "replaced"
        state = State.SUCCEEDED if proven else State.DEGRADED
        return Outcome(state=state, code=stop.code, reason=stop.reason, touched=True, pages=not proven)
    if shift is None:
        return _untouched(stop, plan)
    return _back(stop, shift, plan)


def _back(stop: Stop, shift: Shift, plan: Plan) -> Outcome:
    evidence = (*stop.evidence, shift.sentence)
    if shift.code != "done":
        reason = f"{stop.reason}. The way back is not confirmed: {shift.sentence}"
        return Outcome(state=State.DEGRADED, code=stop.code, reason=reason, evidence=evidence, touched=True, pages=True)
    if stop.code == "aborted":
        reason = f"{stop.reason}; all traffic is back on {plan.live.colour}"
        return Outcome(state=State.ABORTED, code=stop.code, reason=reason, evidence=evidence, touched=True)
    return Outcome(
        state=State.ROLLED_BACK, code=stop.code, reason=stop.reason, evidence=evidence, touched=True, pages=True
    )


def seen(shift: Shift, look: TrafficLook) -> Shift:
    """The way back is confirmed by the traffic."""
    return replace(shift, sentence=f"{shift.sentence}; {_rates(look)}")


def unseen(shift: Shift, look: TrafficLook) -> Shift:
    """The weights are back, the traffic was not seen to follow."""
    return replace(shift, code="unseen", sentence=f"{shift.sentence}, but {_rates(look)}")


def first_sentence(findings: tuple[Finding, ...]) -> str:
    """Return the first reason in words, and how many more there are."""
    first = findings[0]
    more = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
    return f"{first.check}: {first.evidence.rstrip('.')}{more}"


def _untouched(stop: Stop, plan: Plan) -> Outcome:
    where = f"{plan.live.colour} was not touched"
    if stop.code == "aborted":
        reason = f"{stop.reason}; {where}"
        return Outcome(state=State.ABORTED, code=stop.code, reason=reason, evidence=stop.evidence)
    reason = f"{stop.reason}; {where}"
    return Outcome(state=State.FAILED, code=stop.code, reason=reason, evidence=stop.evidence, pages=True)


def _rates(look: TrafficLook) -> str:
    if look.problem:
        return f"traffic cannot be seen: {look.problem}"
    return f"old colour {look.live or 0:.1f} requests/s, new colour {look.idle or 0:.1f} requests/s"
