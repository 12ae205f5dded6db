"""The steps of a blue-green deployment, one coroutine each; they look, ask the pure judges, and go on or stop.

Order and deadlines: facts deploy.md section 5.1. The executor in `workflow.py` runs them as the plan lists them.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from commands.checks import Verdict, stopping
from commands.rollout import judges, looks, steps, watch
from commands.rollout.course import Course
from commands.rollout.endings import Stop
from commands.rollout.records import (
    Baseline,
    Done,
    IdleLook,
    Plan,
    Reading,
    Rules,
    Shift,
    Step,
    TrafficLook,
    Verified,
)

_SWITCH_TRIES = 3
"""Facts deploy.md section 5.1 step 7: known to be unchanged, tried again at most so often."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a stage works with: the course, the approved plan, and the rules it was approved under."""

    course: Course
    plan: Plan
    rules: Rules


Stage = Callable[[Run], Awaitable[None]]


async def prepare(run: Run) -> None:
    """Start the idle colour."""
    run.course.prepared = True
    tries = max(1, int(run.rules.durations.prepare / run.rules.durations.prepare_poll))
    done = await run.course.attempt(steps.prepare, every=run.rules.durations.prepare_poll, tries=tries)
    await run.course.done(f"{done.sentence}, {done.value.rpartition('/')[2]}")


async def stabilise(run: Run) -> None:
    """Wait until every task of the idle colour runs the planned image and is healthy."""
    first: IdleLook | None = None
    shown = ""
    while True:
        look = await run.course.do(IdleLook, looks.idle)
        first = first or look
        verdict = judges.idle_ready(look, run.plan)
        if verdict.code == "ready":
            await run.course.done(verdict.sentence)
            return
        late = look.at - first.at >= run.rules.durations.prepare
        if verdict.code == "failed" or late:
            after = " in time" if late else ""
            raise Stop("never_healthy", f"{run.plan.idle.colour} did not become healthy{after}: {verdict.sentence}")
        if verdict.sentence != shown:
            shown = verdict.sentence
            await run.course.note(shown)
        await run.course.rest(run.rules.durations.prepare_poll)


async def verify(run: Run) -> None:
    """Ask the idle colour through the test rule until all checks pass or the time is up."""
    started = None
    while True:
        result = await run.course.do(Verified, looks.verify)
        started = started or result.at
        bad = stopping(result.findings)
        if not bad:
            good = sum(1 for finding in result.findings if finding.verdict is Verdict.PASS)
            await run.course.done(f"{good} of {len(result.findings)} checks passed")
            return
        if result.at - started >= run.rules.durations.verify - run.rules.durations.verify_poll:
            evidence = tuple(f"{finding.check}: {finding.evidence}" for finding in bad)
            raise Stop(
                "verification", f"{run.plan.idle.colour} failed its verification: {evidence[0]}", evidence=evidence
            )
        await run.course.rest(run.rules.durations.verify_poll)


async def switch(run: Run) -> None:
    """Write the weights and read them back."""
    run.course.touched = True
    shift = await run.course.do(Shift, steps.switch)
    for _ in range(_SWITCH_TRIES - 1):
        if shift.code != "unchanged":
            break
        await run.course.rest(run.rules.durations.observe_poll)
        shift = await run.course.do(Shift, steps.switch)
    if shift.code == "done":
        await run.course.done(shift.sentence)
        return
    # The write is known not to have happened: production still is where it was.
    run.course.touched = shift.code == "unknown"
    raise Stop(f"switch_{shift.code}", f"the traffic was not switched: {shift.sentence}")


async def observe(run: Run) -> None:
    """Wait until the requests follow the weights, seen twice in a row."""
    first: TrafficLook | None = None
    seen = 0
    while True:
        look = await run.course.do(TrafficLook, looks.traffic)
        first = first or look
        seen = seen + 1 if judges.follows(look, run.rules.thresholds) else 0
        if seen == judges.TWICE:
            await run.course.done(judges.traffic_sentence(look, run.plan))
            return
        if look.at - first.at >= run.rules.durations.observe:
            sentence = judges.traffic_sentence(look, run.plan)
            raise Stop("traffic_unverified", f"the traffic did not follow the weights: {sentence}")
        await run.course.rest(run.rules.durations.observe_poll)


async def bake(run: Run) -> None:
    """Watch the new colour; harm stops at once, doubt asks while the watch goes on, and only proof ends it."""
    base = await run.course.do(Baseline, looks.baseline)
    limits = watch.Limits(thresholds=run.rules.thresholds, durations=run.rules.durations, baseline=base)
    reading = await run.course.do(Reading, looks.reading)
    memory = watch.Memory(last=reading.at)
    while True:
        memory, said = watch.judge(memory, reading, limits, paused=run.course.paused)
        if said.call is watch.Call.HARM:
            raise Stop(f"harm_{said.code}", said.reason, evidence=(watch.describe(reading, limits),))
        if said.call is watch.Call.PROVEN:
            await run.course.done(said.reason)
            return
        if said.call is watch.Call.ASK:
            memory = await _ask(run, memory, said, reading.at)
        # What is read now, also while a question is open: whoever answers it needs the latest numbers.
        now = watch.describe(reading, limits)
        await run.course.note(f"{now} · {memory.baked / limits.durations.bake:.0%} of the watch")
        await run.course.rest(run.rules.durations.tick)
        # Without it the latency has no limit, so one miss must not leave the whole watch unguarded.
        if limits.baseline.p95 is None:
            limits = replace(limits, baseline=await run.course.do(Baseline, looks.baseline))
        reading = await run.course.do(Reading, looks.reading)


async def drain(run: Run) -> None:
    """Wait until the old colour has no more requests; at the deadline say what is left, nothing is cut off."""
    first: TrafficLook | None = None
    while True:
        look = await run.course.do(TrafficLook, looks.traffic)
        first = first or look
        if judges.drained(look):
            await run.course.done(f"{run.plan.live.colour} has no requests any more")
            return
        if look.at - first.at >= run.rules.durations.drain:
            left = f"{look.live:.1f} requests/s" if look.live is not None else "an unknown number of requests"
            await run.course.done(f"time is up with {left} left on {run.plan.live.colour}; nothing was cut off")
            return
        await run.course.rest(run.rules.durations.drain_poll)


async def hold(run: Run) -> None:
    """Keep the old colour ready; a newer deployment may end the hold early, with consent."""
    await run.course.tell(steps.open_hold)
    answer = await run.course.wait_for("replaced", run.rules.durations.hold)
    if answer is not None:
        raise Stop("replaced", f"its hold was given up for {answer['name']}", person=answer["name"])
    await run.course.done(f"{run.plan.live.colour} was kept ready for the whole hold")


async def retire(run: Run) -> None:
    """Scale the old colour down after a second look; while an incident is open it stays."""
    while True:
        done = await run.course.do(Done, steps.retire)
        if done.code == "ok":
            await run.course.done(done.sentence)
            return
        if done.code not in {"retry", "incident"}:
            raise Stop(f"retire_{done.code}", done.sentence)
        await run.course.note(done.sentence)
        await run.course.rest(run.rules.durations.answer)


STAGES: Mapping[Step, Stage] = {
    Step.PREPARE: prepare,
    Step.STABILISE: stabilise,
    Step.VERIFY: verify,
    Step.SWITCH: switch,
    Step.OBSERVE: observe,
    Step.WATCH: bake,
    Step.DRAIN: drain,
    Step.HOLD: hold,
    Step.RETIRE: retire,
}


async def _ask(run: Run, memory: watch.Memory, said: watch.Judgement, at: datetime) -> watch.Memory:
    """Put the question, or take its answer; no answer goes back, because production is already on the new colour."""
    if memory.asked_at is None:
        await run.course.tell(steps.put_question, said.reason, f"{said.code}:{at.isoformat()}")
        return watch.asked(memory, said, at)
    answer = run.course.answer()
    if answer is not None and answer["kind"] == "keep":
        return watch.kept(memory)
    if answer is not None and answer["kind"] == "back":
        raise Stop("asked_back", f"{answer['name']} sent the traffic back: {said.reason}", person=answer["name"])
    if at - memory.asked_at >= run.rules.durations.answer:
        raise Stop(f"unanswered_{said.code}", f"nobody answered: {said.reason}")
    return memory
