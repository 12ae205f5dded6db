"""PromQL functions over evaluated arguments, after Prometheus 2.42 (promql/functions.go, promql/quantile.go)."""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence

from bot.sandbox.promql_values import Matrix, Sample, Vector, Window, mapped, only, unnamed, without
from bot.sandbox.samples import NAME, Labels

# Prometheus extrapolates to the edge of the window when the edge is nearer than 1.1 average intervals.
_NEAR = 1.1


def increase(window: Window) -> float | None:
    """Return the growth of a counter over its window, extrapolated to the edges; None below two points."""
    return _extrapolated(window, counter=True)


def rate(window: Window) -> float | None:
    """Return `increase` per second."""
    grown = _extrapolated(window, counter=True)
    return None if grown is None else grown / ((window.end - window.start) / 1000)


def delta(window: Window) -> float | None:
    """Return the change of a gauge over its window, extrapolated to the edges."""
    return _extrapolated(window, counter=False)


def irate(window: Window) -> float | None:
    """Return the rate per second between the last two points."""
    if len(window.times) < 2:  # noqa: PLR2004
        return None
    before, last = window.values[-2:]
    grown = last if last < before else last - before
    return grown / ((window.times[-1] - window.times[-2]) / 1000)


def _extrapolated(window: Window, *, counter: bool) -> float | None:
    times, values = window.times, window.values
    if len(times) < 2:  # noqa: PLR2004
        return None
    first = values[0]
    grown = values[-1] - first + (_lost_at_resets(values) if counter else 0.0)
    sampled = (times[-1] - times[0]) / 1000
    average = sampled / (len(times) - 1)
    to_start, to_end = (times[0] - window.start) / 1000, (window.end - times[-1]) / 1000
    if counter and grown > 0 and first >= 0:
        # A counter cannot have been below zero, so it is not extrapolated further back than to there.
        to_start = min(to_start, sampled * (first / grown))
    reached = sampled
    for gap in (to_start, to_end):
        reached += gap if gap < average * _NEAR else average / 2
    return grown * (reached / sampled)


def _lost_at_resets(values: Sequence[float]) -> float:
    return sum(before for before, after in itertools.pairwise(values) if after < before)


def _over_time(pick: Callable[[Sequence[float]], float]) -> Callable[[Window], float | None]:
    return lambda window: pick(window.values) if window.values else None


OVER_WINDOWS: Mapping[str, Callable[[Window], float | None]] = {
    "increase": increase,
    "rate": rate,
    "delta": delta,
    "irate": irate,
    "avg_over_time": _over_time(lambda values: sum(values) / len(values)),
    "sum_over_time": _over_time(math.fsum),
    "min_over_time": _over_time(min),
    "max_over_time": _over_time(max),
    "count_over_time": _over_time(lambda values: float(len(values))),
    "last_over_time": _over_time(lambda values: values[-1]),
}
OVER_VALUES: Mapping[str, Callable[[float], float]] = {
    "abs": abs,
    "ceil": lambda value: float(math.ceil(value)) if math.isfinite(value) else value,
    "floor": lambda value: float(math.floor(value)) if math.isfinite(value) else value,
}


def over_windows(name: str, matrix: Matrix) -> Vector:
    """Apply a function to each window; `last_over_time` alone keeps the metric's name."""
    found = []
    for window in matrix:
        value = OVER_WINDOWS[name](window)
        if value is not None:
            labels = window.labels if name == "last_over_time" else unnamed(window.labels)
            found.append(Sample(labels, value))
    return found


def over_values(name: str, vector: Vector) -> Vector:
    """Apply a function to each value."""
    return mapped(vector, OVER_VALUES[name])


def scalar(vector: Vector) -> float:
    """Return the only value, NaN unless there is exactly one."""
    return vector[0].value if len(vector) == 1 else math.nan


def clamp(vector: Vector, low: float, high: float) -> Vector:
    """Keep the values within bounds."""
    return mapped(vector, lambda value: max(low, min(high, value)))


def timestamp(vector: Vector, moment: int) -> Vector:
    """Return when each sample was taken, in seconds."""
    return [Sample(unnamed(sample.labels), (moment if sample.at is None else sample.at) / 1000) for sample in vector]


def histogram_quantile(quantile: float, vector: Vector) -> Vector:
    """Estimate a quantile of each histogram by linear interpolation within the bucket that holds it."""
    histograms: dict[Labels, list[tuple[float, float]]] = {}
    for sample in vector:
        edge = dict(only(sample.labels, ["le"])).get("le")
        bound = _bound(edge)
        if bound is not None:
            histograms.setdefault(without(sample.labels, ["le", NAME]), []).append((bound, sample.value))
    return [Sample(labels, _quantile(quantile, sorted(buckets))) for labels, buckets in histograms.items()]


def _bound(edge: str | None) -> float | None:
    try:
        return float(edge) if edge is not None else None
    except ValueError:
        return None


def _quantile(quantile: float, buckets: list[tuple[float, float]]) -> float:
    buckets = _coalesced(buckets)
    if math.isnan(quantile):
        return math.nan
    if not 0 <= quantile <= 1:
        return math.copysign(math.inf, quantile)
    if buckets[-1][0] != math.inf or len(buckets) < 2 or buckets[-1][1] == 0:  # noqa: PLR2004
        return math.nan
    rank = quantile * buckets[-1][1]
    index = next((n for n, (_, count) in enumerate(buckets[:-1]) if count >= rank), len(buckets) - 1)
    if index == len(buckets) - 1:
        return buckets[-2][0]
    end, count = buckets[index]
    if index == 0:
        return end if end <= 0 else end * (rank / count)
    start, below = buckets[index - 1]
    return start + (end - start) * ((rank - below) / (count - below))


def _coalesced(buckets: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Add up buckets with one bound, and never let a later bucket count less: rates of buckets may disagree a bit."""
    summed: dict[float, float] = {}
    for bound, count in buckets:
        summed[bound] = summed.get(bound, 0.0) + count
    highest, cleaned = 0.0, []
    for bound, count in summed.items():
        highest = max(highest, count)
        cleaned.append((bound, highest))
    return cleaned
