"""The durable course of a deployment. Names of workflows and steps are data in production: docs/style.md section 6."""

from datetime import timedelta

import structlog
from dbos import DBOS

from commands.approval.records import ApprovalState
from commands.rollout import endings, judges, looks, planning, stages, steps
from commands.rollout.course import Course
from commands.rollout.endings import Stop
from commands.rollout.records import (
    Done,
    Outcome,
    Plan,
    Preflight,
    Recheck,
    Rules,
    Shift,
    Status,
    TrafficLook,
)

DEPLOY = "deploy"
_BACK_TRIES = 10
_BACK_PAUSE = timedelta(seconds=1)  # between tries of the way back: as short as the API allows, never scaled

log = structlog.get_logger(__name__)


@DBOS.workflow(name=DEPLOY, max_recovery_attempts=1000)
async def deploy(deployment_id: str) -> str:
    """make_plan → ask → wait → look_again → the steps of the plan → finish; any stop goes the way back first."""
    course = Course(id=deployment_id)
    try:
        outcome = await _run(course)
    except Exception as error:
        log.exception("workflow_broke", deployment_id=deployment_id, step=course.step)
        outcome = endings.broken(course.step, error, touched=course.touched)
    await course.tell(steps.finish, outcome)
    return str(outcome.state)


async def _run(course: Course) -> Outcome:
    preflight = await course.do(Preflight, planning.make_plan)
    if preflight.plan is None:
        return endings.refused(preflight.findings)
    if preflight.dry_run:
        return endings.planned()
    plan = preflight.plan
    try:
        plan = await _permitted(course, plan)
        await _carry_out(course, plan, preflight.rules)
    except Stop as stop:
        return await _way_out(course, plan, stop, preflight.rules)
    return endings.succeeded(plan)


async def _carry_out(course: Course, plan: Plan, rules: Rules) -> None:
    run = stages.Run(course=course, plan=plan, rules=rules)
    for number, item in enumerate(plan.steps):
        # Whoever starts the deployment marks its first step, so that the first write is not kept waiting.
        await course.begin(str(item.step), marked=number == 0)
        await stages.STAGES[item.step](run)


async def _permitted(course: Course, plan: Plan) -> Plan:
    """Wait for the approvals of exactly this plan; a plan that changed meanwhile is asked for again. Raises Stop."""
    while True:
        if plan.approvals:
            await _wait_for_approval(course)
        again = await course.do(Recheck, planning.look_again)
        if again.stopping:
            raise Stop("refused", endings.first_sentence(again.stopping))
        if again.same or again.plan is None:
            return plan
        plan = again.plan


async def _wait_for_approval(course: Course) -> None:
    while True:
        left = await course.do(float, planning.ask)
        if left <= 0:
            state = await course.do(ApprovalState, planning.expire)
            if state is ApprovalState.EXPIRED:
                raise Stop("expired", "nobody approved it in time")
        await course.rest(timedelta(seconds=left))
        answer = course.answer()
        if answer is not None and answer["kind"] == "denied":
            raise Stop("denied", f"{answer['name']} denied it: {answer['reason']}", person=answer["name"])
        if answer is not None and answer["kind"] == "approved":
            return


async def _way_out(course: Course, plan: Plan, stop: Stop, rules: Rules) -> Outcome:
    """Bring production to a known state before anybody is told: the traffic first, then what is left over."""
    shift: Shift | None = None
    if course.touched and stop.code not in endings.STAYS:
        shift = await _traffic_back(course, rules)
    if course.step:
        await course.tell(steps.mark, course.step, str(Status.FAILED), stop.reason)
    if course.touched:
        await _scaling_resumed(course, rules)
    elif course.prepared:
        await _idle_stopped(course, rules)
    await course.tell(planning.withdraw)
    return endings.of(stop, shift, plan)


async def _traffic_back(course: Course, rules: Rules) -> Shift:
    shift = await course.do(Shift, steps.switch_back)
    for _ in range(_BACK_TRIES):
        if shift.code in {"done", "fenced"}:
            break
        await course.breathe(_BACK_PAUSE)
        shift = await course.do(Shift, steps.switch_back)
    return await _seen_back(course, shift, rules) if shift.code == "done" else shift


async def _seen_back(course: Course, shift: Shift, rules: Rules) -> Shift:
    """Look until the traffic is seen back; weights alone are what was asked for, not what happened."""
    first = look = await course.do(TrafficLook, looks.traffic)
    while not judges.is_back(look, rules.thresholds):
        if look.at - first.at >= rules.durations.observe:
            return endings.unseen(shift, look)
        await course.breathe(rules.durations.observe_poll)
        look = await course.do(TrafficLook, looks.traffic)
    return endings.seen(shift, look)


async def _scaling_resumed(course: Course, rules: Rules) -> None:
    for _ in range(_BACK_TRIES):
        done = await course.do(Done, steps.resume_scaling)
        if done.code != "retry":
            return
        await course.breathe(rules.durations.prepare_poll)


async def _idle_stopped(course: Course, rules: Rules) -> None:
    for _ in range(_BACK_TRIES):
        done = await course.do(Done, steps.stop_idle)
        if done.code != "retry":
            return
        await course.breathe(rules.durations.prepare_poll)
