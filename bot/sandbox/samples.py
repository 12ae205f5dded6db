"""Series and their samples in memory, kept as Prometheus keeps them: millisecond times, stale markers, a retention."""

import math
import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

Labels: TypeAlias = tuple[tuple[str, str], ...]
NAME = "__name__"
STALE = math.nan


@dataclass(frozen=True)
class Point:
    """One sample; `at` in milliseconds since the epoch."""

    at: int
    value: float


@dataclass(frozen=True, kw_only=True)
class Matcher:
    """One condition on a label, with PromQL's four operators; a missing label is the empty text."""

    label: str
    operator: str
    value: str

    def test(self) -> Callable[[str], bool]:
        """Return the condition as a function of the label's value."""
        if self.operator in {"=", "!="}:
            return lambda text: (text == self.value) == (self.operator == "=")
        pattern = re.compile(f"(?s:{self.value})")
        return lambda text: (pattern.fullmatch(text) is not None) == (self.operator == "=~")


@dataclass
class Series:
    """One time series: NaN marks that it went stale."""

    labels: Labels
    times: "array[int]" = field(default_factory=lambda: array("q"))
    values: "array[float]" = field(default_factory=lambda: array("d"))

    def at(self, moment: int, lookback: int) -> Point | None:
        """Return the newest sample of the last `lookback` milliseconds, None when there is none or it is stale."""
        index = bisect_right(self.times, moment) - 1
        if index < 0 or self.times[index] < moment - lookback or math.isnan(self.values[index]):
            return None
        return Point(self.times[index], self.values[index])

    def between(self, start: int, end: int) -> tuple[Sequence[int], Sequence[float]]:
        """Return times and values from start to end, both included, without stale markers."""
        first, last = bisect_left(self.times, start), bisect_right(self.times, end)
        times, values = self.times[first:last], self.values[first:last]
        if not any(map(math.isnan, values)):
            return times, values
        kept = [(at, value) for at, value in zip(times, values, strict=True) if not math.isnan(value)]
        return [at for at, _ in kept], [value for _, value in kept]

    def forget(self, before: int) -> None:
        """Drop what is older."""
        keep = bisect_left(self.times, before)
        del self.times[:keep]
        del self.values[:keep]


class Samples:
    """All series. What a scrape no longer shows goes stale at the time of that scrape."""

    _PRUNE_EVERY = 512

    def __init__(self, *, retention: int) -> None:
        self._series: dict[Labels, Series] = {}
        self._by_name: dict[str, list[Series]] = {}
        self._shown: set[Labels] = set()
        self._retention = retention
        self._scrapes = 0

    def append(self, moment: int, scrape: Mapping[Labels, float]) -> None:
        """Take one whole scrape in; `moment` grows from call to call."""
        for labels in self._shown - scrape.keys():
            self._add(labels, moment, STALE)
        for labels, value in scrape.items():
            self._add(labels, moment, value)
        self._shown = set(scrape)
        self._scrapes += 1
        if self._scrapes % self._PRUNE_EVERY == 0:
            self._prune(moment - self._retention)

    def select(self, matchers: Iterable[Matcher]) -> Iterator[Series]:
        """Yield the series that fulfil all matchers."""
        wanted = list(matchers)
        name = next((each.value for each in wanted if each.label == NAME and each.operator == "="), None)
        tests = [(each.label, each.test()) for each in wanted]
        for series in self._series.values() if name is None else self._by_name.get(name, ()):
            labels = dict(series.labels)
            if all(test(labels.get(label, "")) for label, test in tests):
                yield series

    def _add(self, labels: Labels, moment: int, value: float) -> None:
        series = self._series.get(labels)
        if series is None:
            series = self._series[labels] = Series(labels)
            self._by_name.setdefault(dict(labels)[NAME], []).append(series)
        series.times.append(moment)
        series.values.append(value)

    def _prune(self, before: int) -> None:
        for labels, series in list(self._series.items()):
            series.forget(before)
            if not series.times:
                del self._series[labels]
                self._by_name[dict(labels)[NAME]].remove(series)


def labelled(name: str, **labels: str) -> Labels:
    """Return the labels of a series in their canonical order."""
    return tuple(sorted({NAME: name, **labels}.items()))
