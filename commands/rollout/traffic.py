"""The weights of the rule: intent first, then compare, write, read back. Absolute, so that doing it twice is once.

Facts deploy.md section 5: ELB has no conditional write, so the environment's lease with its epoch is the only guard.
"""

import asyncio
from collections.abc import Mapping

from bot import audit
from bot.clients.elb import Elb
from bot.errors import OpsError, OutcomeUnknown, Unavailable
from bot.store import Database
from commands.rollout import store
from commands.rollout.records import Deployment, Plan, Shift

_TRIES = 5
_PAUSE_SECONDS = 0.5  # a limit of the API's consistency, not a wait of the runbook: never scaled
_READ_BACKS = 20


def to_idle(plan: Plan) -> dict[str, int]:
    """Return the weights with all traffic on the new colour."""
    return {plan.live.target_group: 0, plan.idle.target_group: 100}


def to_live(plan: Plan) -> dict[str, int]:
    """Return the weights with all traffic on the colour that was live before."""
    return {plan.live.target_group: 100, plan.idle.target_group: 0}


async def shift(
    database: Database,
    elb: Elb,
    deployment: Deployment,
    weights: Mapping[str, int],
    *,
    expected: Mapping[str, int] | None,
) -> Shift:
    """Write the weights. `expected` are those found before; None on the way back, which no drift may stop."""
    plan = deployment.plan
    assert plan is not None
    if not await _intend(database, deployment, weights):
        return Shift(code="fenced", sentence="another deployment has taken over this environment; nothing was written")
    problem = ""
    for attempt in range(_TRIES):
        # Before each try: an earlier one without an answer may have worked.
        needless = await _needless(elb, plan, weights, expected)
        if needless is not None:
            unsure = bool(problem) and needless.code == "unchanged"
            return await _after_failure(elb, plan, weights, problem) if unsure else needless
        try:
            await elb.set_weights(plan.rule, weights)
            return await _read_back(elb, plan, weights)
        except Unavailable as error:
            problem = error.sentence
            await asyncio.sleep(_PAUSE_SECONDS * 2**attempt)
        except OpsError as error:
            return Shift(code="unchanged", sentence=f"the load balancer refused the weights: {error.sentence}")
    return await _after_failure(elb, plan, weights, problem)


async def _needless(
    elb: Elb, plan: Plan, weights: Mapping[str, int], expected: Mapping[str, int] | None
) -> Shift | None:
    """Return why nothing is to be written, or None. The way back is written even where nothing can be read."""
    try:
        found = dict((await elb.rule(plan.rule)).weights)
    except OpsError as error:
        if expected is None:
            return None
        return Shift(code="unchanged", sentence=f"the weights could not be read, nothing was written: {error.sentence}")
    if found == dict(weights):
        return _result("done", plan, found, "the weights were already there")
    if expected is not None and found != dict(expected):
        sentence = f"somebody else changed the weights to {_words(plan, found)}; nothing was written"
        return _result("drift", plan, found, sentence)
    return None


async def _after_failure(elb: Elb, plan: Plan, weights: Mapping[str, int], problem: str) -> Shift:
    """Every try failed without a definite answer: read before saying what happened."""
    try:
        found = dict((await elb.rule(plan.rule)).weights)
    except OpsError as error:
        return Shift(code="unknown", sentence=f"the weights are unknown: {problem}; {error.sentence}")
    code = "done" if found == dict(weights) else "unchanged"
    return _result(code, plan, found, problem)


async def _read_back(elb: Elb, plan: Plan, weights: Mapping[str, int]) -> Shift:
    found: dict[str, int] = {}
    for _ in range(_READ_BACKS):
        try:
            found = dict((await elb.rule(plan.rule)).weights)
        except (OutcomeUnknown, Unavailable):
            await asyncio.sleep(_PAUSE_SECONDS)
            continue
        if found == dict(weights):
            return _result("done", plan, found, "written and read back")
        await asyncio.sleep(_PAUSE_SECONDS)
    return _result("unknown", plan, found, "the weights were written but read back differently")


async def _intend(database: Database, deployment: Deployment, weights: Mapping[str, int]) -> bool:
    async with database.transaction() as session:
        mine = await store.fence(session, deployment, dict(weights))
        action = "weights_intended" if mine else "weights_fenced"
        await audit.record(session, actor="opsbot", action=action, subject=deployment.id, weights=dict(weights))
    return mine


def _result(code: str, plan: Plan, found: Mapping[str, int], how: str) -> Shift:
    words = _words(plan, found)
    pairs = tuple((side.colour, found.get(side.target_group, 0)) for side in (plan.live, plan.idle))
    return Shift(code=code, sentence=f"{words}: {how}", weights=pairs)


def _words(plan: Plan, found: Mapping[str, int]) -> str:
    if not found:
        return "unknown weights"
    return ", ".join(f"{side.colour} {found.get(side.target_group, 0)} %" for side in (plan.live, plan.idle))
