"""The watch after the switch, decided purely: one reading in, one verdict out.

Rules and limits: facts deploy.md section 4.3 against the previous hour (section 5.1 step 9), because at 100 % of the
traffic there is no baseline at the same time. Unknown never counts as good: the bake clock stops while blind.
"""

import enum
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bot.settings import Durations, Thresholds
from commands.rollout.records import Baseline, Reading


class Call(enum.StrEnum):
    """What the watch says after a reading."""

    GO_ON = "go on"
    HARM = "harm"
    ASK = "ask"
    PROVEN = "proven"


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a watch is judged by."""

    thresholds: Thresholds
    durations: Durations
    baseline: Baseline


@dataclass(frozen=True, kw_only=True)
class Memory:
    """What the watch remembers between two readings."""

    last: datetime
    baked: timedelta = timedelta(0)
    harm_errors: int = 0
    harm_latency: int = 0
    evaluate_errors: int = 0
    evaluate_latency: int = 0
    provider_errors: int = 0
    crashes: int = 0
    unhealthy_since: datetime | None = None
    blind_since: datetime | None = None
    silent_since: datetime | None = None
    asked_at: datetime | None = None
    question: str = ""
    doubt: str = ""
    accepted: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """The verdict of one reading: `reason` is a sentence with the number and its limit."""

    call: Call
    code: str
    reason: str


def judge(memory: Memory, reading: Reading, limits: Limits, *, paused: bool = False) -> tuple[Memory, Judgement]:
    """Return what to remember and what to do. Harm is looked for in every reading, also while paused."""
    seen = _count(memory, reading, limits)
    harm = _harm(seen, reading, limits)
    if harm is not None:
        return seen, harm
    if seen.asked_at is not None:
        return seen, Judgement(call=Call.ASK, code=seen.question, reason=seen.doubt)
    doubt = _blind(seen, reading, limits) or _silent(seen, reading, limits) or _evaluate(seen, reading, limits)
    if doubt is not None:
        return seen, doubt
    sighted = not reading.problem and reading.requests is not None and reading.requests > 0
    baked = seen.baked + (reading.at - memory.last if sighted and not paused else timedelta(0))
    seen = replace(seen, baked=baked)
    if baked >= limits.durations.bake and not _suspicious(seen) and _enough(reading, limits):
        return seen, Judgement(call=Call.PROVEN, code="proven", reason=describe(reading, limits))
    return seen, Judgement(call=Call.GO_ON, code="baking", reason=describe(reading, limits))


def asked(memory: Memory, doubt: Judgement, at: datetime) -> Memory:
    """Remember the open question; the watch goes on meanwhile, and harm is still harm."""
    return replace(memory, asked_at=at, question=doubt.code, doubt=doubt.reason)


def kept(memory: Memory) -> Memory:
    """Remember that a person takes the doubt on: it is not asked again, but blindness is, after its time."""
    if memory.question in {"blind", "no_data"}:
        memory = replace(memory, blind_since=None, silent_since=None, provider_errors=0)
    else:
        memory = replace(memory, accepted=memory.accepted | {memory.question})
    return replace(memory, asked_at=None, question="", doubt="")


def describe(reading: Reading, limits: Limits) -> str:
    """Say what was read, each number with its limit."""
    if reading.problem:
        return f"metrics cannot be read: {reading.problem}"
    parts = [f"{reading.requests or 0:.0f} requests"]
    rate = _share(reading.errors, reading.requests)
    if rate is not None:
        parts.append(f"errors {rate:.2%} (limit {limits.thresholds.error_rate_harm:.0%})")
    if reading.p95 is not None:
        parts.append(f"P95 {reading.p95 * 1000:.0f} ms{_p95_limit(limits)}")
    if reading.healthy is not None:
        parts.append(f"{reading.healthy} of {reading.desired} healthy")
    return ", ".join(parts)


def _count(memory: Memory, reading: Reading, limits: Limits) -> Memory:
    """Advance the counters of consecutive readings; a reading that could not be made changes no error counter."""
    memory = replace(memory, last=reading.at)
    if reading.healthy is not None:
        ill = reading.healthy < reading.desired
        since = (memory.unhealthy_since or reading.at) if ill else None
        memory = replace(memory, unhealthy_since=since)
    if reading.failed_tasks is not None:
        memory = replace(memory, crashes=memory.crashes + 1 if reading.failed_tasks > 0 else 0)
    if reading.problem:
        blind = memory.provider_errors + 1
        since = memory.blind_since or (reading.at if blind >= limits.thresholds.provider_errors else None)
        return replace(memory, provider_errors=blind, blind_since=since)
    silent = not reading.requests
    return replace(
        memory,
        provider_errors=0,
        blind_since=None,
        silent_since=(memory.silent_since or reading.at) if silent else None,
        harm_errors=memory.harm_errors + 1 if _bad_errors(reading, limits) else 0,
        harm_latency=memory.harm_latency + 1 if _slow(reading, limits, limits.thresholds.latency_ratio_harm) else 0,
        evaluate_errors=memory.evaluate_errors + 1 if _doubtful_errors(reading, limits) else 0,
        evaluate_latency=(
            memory.evaluate_latency + 1 if _slow(reading, limits, limits.thresholds.latency_ratio_evaluate) else 0
        ),
    )


def _harm(memory: Memory, reading: Reading, limits: Limits) -> Judgement | None:
    if memory.harm_errors >= limits.thresholds.harm_ticks:
        return Judgement(call=Call.HARM, code="error_rate", reason=_errors_sentence(reading, limits))
    if memory.harm_latency >= limits.thresholds.latency_ticks:
        ratio = limits.thresholds.latency_ratio_harm
        return Judgement(call=Call.HARM, code="latency", reason=_latency_sentence(reading, limits, ratio))
    if memory.crashes >= 2:  # noqa: PLR2004 - facts deploy.md 4.3: failedTasks > 0 twice
        return Judgement(call=Call.HARM, code="crash_loop", reason=f"{reading.failed_tasks} tasks crashed, seen twice")
    since = memory.unhealthy_since
    if since is not None and reading.at - since >= limits.durations.unhealthy:
        sentence = f"only {reading.healthy} of {reading.desired} tasks are healthy for {_seconds(reading.at - since)}"
        return Judgement(call=Call.HARM, code="unhealthy", reason=sentence)
    return None


def _blind(memory: Memory, reading: Reading, limits: Limits) -> Judgement | None:
    since = memory.blind_since
    if since is None or reading.at - since < limits.durations.blind:
        return None
    sentence = f"metrics could not be read for {_seconds(reading.at - since)}: {reading.problem}"
    return Judgement(call=Call.ASK, code="blind", reason=sentence)


def _silent(memory: Memory, reading: Reading, limits: Limits) -> Judgement | None:
    since = memory.silent_since
    if since is None or reading.problem or reading.at - since < limits.durations.no_data:
        return None
    sentence = f"no request was counted on the new colour for {_seconds(reading.at - since)}"
    return Judgement(call=Call.ASK, code="no_data", reason=sentence)


def _evaluate(memory: Memory, reading: Reading, limits: Limits) -> Judgement | None:
    errors_taken, latency_taken = "error_rate" in memory.accepted, "latency" in memory.accepted
    if memory.evaluate_errors >= limits.thresholds.evaluate_ticks and not errors_taken:
        return Judgement(call=Call.ASK, code="error_rate", reason=_errors_sentence(reading, limits, evaluate=True))
    if memory.evaluate_latency >= limits.thresholds.latency_ticks and not latency_taken:
        ratio = limits.thresholds.latency_ratio_evaluate
        return Judgement(call=Call.ASK, code="latency", reason=_latency_sentence(reading, limits, ratio))
    return None


def _suspicious(memory: Memory) -> bool:
    doubts = {"error_rate": memory.evaluate_errors, "latency": memory.evaluate_latency}
    open_doubt = any(count for code, count in doubts.items() if code not in memory.accepted)
    return (
        open_doubt
        or memory.harm_errors > 0
        or memory.harm_latency > 0
        or memory.unhealthy_since is not None
        or memory.crashes > 0
    )


def _enough(reading: Reading, limits: Limits) -> bool:
    return (reading.requests or 0) >= limits.thresholds.harm_min_requests and reading.healthy is not None


def _bad_errors(reading: Reading, limits: Limits) -> bool:
    wanted = limits.thresholds
    share = _share(reading.errors, reading.requests)
    return (
        share is not None
        and share > wanted.error_rate_harm
        and (reading.errors or 0) >= wanted.harm_min_errors
        and (reading.requests or 0) >= wanted.harm_min_requests
    )


def _doubtful_errors(reading: Reading, limits: Limits) -> bool:
    wanted = limits.thresholds
    share = _share(reading.evaluate_errors, reading.evaluate_requests)
    return (
        share is not None
        and share > wanted.error_rate_evaluate
        and (reading.evaluate_errors or 0) >= wanted.evaluate_min_errors
        and (reading.evaluate_requests or 0) >= wanted.evaluate_min_requests
    )


def _slow(reading: Reading, limits: Limits, ratio: float) -> bool:
    base = limits.baseline.p95
    if reading.p95 is None or base is None:
        return False
    floor = limits.thresholds.latency_floor_seconds if ratio >= limits.thresholds.latency_ratio_harm else 0.0
    enough = (reading.latency_requests or 0) >= limits.thresholds.latency_min_requests
    return enough and reading.p95 > ratio * base and reading.p95 > floor


def _share(part: float | None, whole: float | None) -> float | None:
    return part / whole if part is not None and whole else None


def _errors_sentence(reading: Reading, limits: Limits, *, evaluate: bool = False) -> str:
    failed, whole = reading.errors, reading.requests
    limit, window = limits.thresholds.error_rate_harm, limits.durations.hard_window
    if evaluate:
        failed, whole = reading.evaluate_errors, reading.evaluate_requests
        limit, window = limits.thresholds.error_rate_evaluate, limits.durations.evaluate_window
    share = _share(failed, whole) or 0.0
    counted = f"{failed or 0:.0f} of {whole or 0:.0f} requests in {_seconds(window)}"
    return f"error rate {share:.2%} (limit {limit:.1%}): {counted}"


def _latency_sentence(reading: Reading, limits: Limits, ratio: float) -> str:
    base = limits.baseline.p95 or 0.0
    found = reading.p95 or 0.0
    times = found / base if base else 0.0
    return f"P95 {found * 1000:.0f} ms is {times:.1f} x the {base * 1000:.0f} ms before (limit {ratio:g} x)"


def _p95_limit(limits: Limits) -> str:
    """Name the P95 above which the traffic goes back: the ratio to the baseline, and never below the floor."""
    if limits.baseline.p95 is None:
        return ""
    wanted = limits.thresholds
    most = max(wanted.latency_ratio_harm * limits.baseline.p95, wanted.latency_floor_seconds)
    return f" (limit {most * 1000:.0f} ms)"


def _seconds(span: timedelta) -> str:
    whole = span.total_seconds()
    return f"{whole / 60:.0f} min" if whole >= 120 else f"{whole:.3g} s"  # noqa: PLR2004 - two minutes
