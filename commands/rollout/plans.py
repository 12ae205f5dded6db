"""A plan is data: what is found becomes a tuple of steps with durations, and a hash that approvers approve."""

import hashlib
import json
from datetime import timedelta

from bot.settings import Durations, Thresholds
from commands.checks import Finding
from commands.rollout.records import Plan, PlanStep, Side, Step, dump

_START = timedelta(seconds=60)  # facts deploy.md 5.3: a Fargate task starts in 30-60 s


def blue_green(durations: Durations, *, idle: Side, healthy_after: timedelta) -> tuple[PlanStep, ...]:
    """Return the steps of facts deploy.md section 5.1 that belong to this issue, with their durations."""
    return (
        _step(Step.PREPARE, f"Start {idle.service} with the new version", timedelta(seconds=5), durations.prepare),
        _step(Step.STABILISE, f"Wait until {idle.colour} is healthy", _START + healthy_after, durations.prepare),
        _step(Step.VERIFY, f"Verify {idle.colour} through the test rule", timedelta(seconds=10), durations.verify),
        _step(Step.SWITCH, f"Switch the traffic to {idle.colour}", timedelta(seconds=2), timedelta(seconds=30)),
        _step(Step.OBSERVE, f"Observe the traffic on {idle.colour}", durations.observe_window * 2, durations.observe),
        _step(Step.WATCH, "Watch errors and latency", durations.bake, durations.bake + durations.answer),
        _step(Step.DRAIN, f"Drain {_other(idle)}", durations.drain_poll * 2, durations.drain),
        _step(Step.HOLD, f"Hold {_other(idle)} ready for rollback", durations.hold, durations.hold),
        _step(Step.RETIRE, f"Retire {_other(idle)}", timedelta(seconds=5), durations.prepare),
    )


def limits(thresholds: Thresholds) -> tuple[tuple[str, float], ...]:
    """Return the thresholds as part of the plan, so that a changed limit asks again."""
    return tuple((name, float(value)) for name, value in thresholds.model_dump().items())


def fingerprint(plan: Plan) -> str:
    """Return the hash that an approval covers: every field of the plan, and nothing that is not in it."""
    return hashlib.sha256(json.dumps(dump(plan), sort_keys=True).encode()).hexdigest()


def differences(old: Plan, new: Plan) -> tuple[str, ...]:
    """Name what changed between two plans, in the order of the plan's fields."""
    before, after = _flat(dump(old)), _flat(dump(new))
    names = [*before, *(name for name in after if name not in before)]
    return tuple(
        f"{name}: {before.get(name, 'absent')} → {after.get(name, 'absent')}"
        for name in names
        if before.get(name) != after.get(name)
    )


def until_traffic(plan: Plan) -> timedelta:
    """Return the usual time from approval to traffic on the new colour."""
    order = [item.step for item in plan.steps]
    last = order.index(Step.OBSERVE)
    return sum((item.expected for item in plan.steps[: last + 1]), timedelta())


def until_done(plan: Plan) -> timedelta:
    """Return the usual time from approval to the hold."""
    return sum((item.expected for item in plan.steps if item.step not in {Step.HOLD, Step.RETIRE}), timedelta())


def all_checks(findings: tuple[Finding, ...]) -> str:
    """Say in one line how the checks went."""
    good = sum(1 for finding in findings if finding.verdict == "pass")
    return f"{good} of {len(findings)} passed"


def _flat(value: object, prefix: str = "") -> dict[str, object]:
    if isinstance(value, dict):
        pairs = [(str(key), item) for key, item in value.items()]
    elif isinstance(value, list):
        pairs = [(str(index + 1), item) for index, item in enumerate(value)]
    else:
        return {prefix: value}
    flat: dict[str, object] = {}
    for key, item in pairs:
        flat |= _flat(item, f"{prefix}.{key}" if prefix else key)
    return flat


def _step(step: Step, title: str, expected: timedelta, limit: timedelta) -> PlanStep:
    return PlanStep(step=step, title=title, expected=min(expected, limit), limit=limit)


def _other(side: Side) -> str:
    return "green" if side.colour == "blue" else "blue"
