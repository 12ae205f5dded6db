"""Small pure verdicts on what was looked at: is the idle colour ready, does the traffic follow, is it drained."""

from dataclasses import dataclass

from bot.settings import Thresholds
from commands.rollout.records import IdleLook, Plan, TrafficLook

TWICE = 2
_QUIET = 0.05  # requests per second below which a colour counts as empty: Prometheus' rate of a scrape that saw one


@dataclass(frozen=True, kw_only=True)
class Ready:
    """`code` is ready, waiting or failed."""

    code: str
    sentence: str


def idle_ready(look: IdleLook, plan: Plan) -> Ready:
    """Judge the idle colour: revision, image of every task, counts, crashes and health (facts deploy.md 5.1 step 4)."""
    if look.problem:
        return Ready(code="waiting", sentence=look.problem)
    counted = f"{look.healthy} of {plan.desired} healthy, {look.running} running"
    if look.rollout == "FAILED":
        return Ready(
            code="failed", sentence=f"ECS gave the deployment up ({look.failed_tasks} failed tasks), {counted}"
        )
    foreign = [image for image in look.images if plan.digest not in image and image != plan.image]
    complete = look.rollout == "COMPLETED" and look.deployments == 1 and look.running == look.desired == plan.desired
    if complete and foreign:
        return Ready(code="failed", sentence=f"tasks run {foreign[0]} instead of the planned image")
    if complete and look.healthy >= plan.desired and len(look.images) == plan.desired and look.failed_tasks == 0:
        return Ready(code="ready", sentence=f"{counted}, all on the planned image")
    crashed = f", {look.failed_tasks} failed tasks" if look.failed_tasks else ""
    return Ready(code="waiting", sentence=counted + crashed)


def follows(look: TrafficLook, thresholds: Thresholds) -> bool:
    """Tell whether the new colour has the traffic and the old one is empty within the tolerance."""
    if look.problem or not look.idle:
        return False
    old = look.live or 0.0
    return old / (old + look.idle) <= thresholds.traffic_tolerance


def is_back(look: TrafficLook, thresholds: Thresholds) -> bool:
    """Tell whether the old colour has the traffic again."""
    if look.problem or not look.live:
        return False
    new = look.idle or 0.0
    return new / (new + look.live) <= thresholds.traffic_tolerance


def drained(look: TrafficLook) -> bool:
    """Tell whether the old colour is known to have no requests any more."""
    return not look.problem and look.idle is not None and (look.live or 0.0) < _QUIET


def traffic_sentence(look: TrafficLook, plan: Plan) -> str:
    """Say what was seen on each colour."""
    if look.problem:
        return f"traffic cannot be seen: {look.problem}"
    parts = ((plan.idle.colour, look.idle), (plan.live.colour, look.live))
    return ", ".join(f"{name} {'no data' if rate is None else f'{rate:.1f} requests/s'}" for name, rate in parts)
