"""What was measured: figures with their goals, as one table and as one line of JSON. Pure."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import starmap

TIMES = "×"  # noqa: RUF001 - meant
HEADS = ("figure", "measured", "goal", "", "how")


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One measured value. `goal` is the most it may be, or with `at_least` the least; None where none was set."""

    key: str
    name: str
    value: float
    unit: str
    goal: float | None = None
    at_least: bool = False
    how: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached; None without a goal."""
        if self.goal is None:
            return None
        return self.value >= self.goal if self.at_least else self.value <= self.goal


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least this share of the values does not exceed (nearest rank)."""
    if not values:
        raise ValueError("there is no percentile of nothing")
    rank = math.ceil(share * len(values) - 1e-9)
    return sorted(values)[max(rank, 1) - 1]


def median(values: Sequence[float]) -> float:
    """Return the middle value, between two the mean of both."""
    if not values:
        raise ValueError("there is no median of nothing")
    low, high = (len(values) - 1) // 2, len(values) // 2
    ranked = sorted(values)
    return (ranked[low] + ranked[high]) / 2


def table(figures: Sequence[Figure]) -> str:
    """Return the figures as a table of text."""
    rows = [HEADS, *(_row(figure) for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADS))]
    rows.insert(1, tuple("-" * width for width in widths))
    return "\n".join("  ".join(starmap(str.ljust, zip(row, widths, strict=True))).rstrip() for row in rows)


def line(figures: Sequence[Figure]) -> str:
    """Return the figures as one line of JSON, by key."""
    said = {
        figure.key: {
            "value": round(figure.value, 4),
            "unit": figure.unit,
            "goal": figure.goal,
            "at_least": figure.at_least,
            "met": figure.met,
        }
        for figure in figures
    }
    return json.dumps(said)


def _row(figure: Figure) -> tuple[str, ...]:
    goal = "" if figure.goal is None else f"{'≥' if figure.at_least else '≤'} {figure.goal:g}{_spaced(figure.unit)}"
    verdict = {None: "", True: "met", False: "missed"}[figure.met]
    return (figure.name, f"{_shown(figure.value)}{_spaced(figure.unit)}", goal, verdict, figure.how)


def _shown(value: float) -> str:
    size = abs(value)
    return f"{value:.0f}" if size >= 100 else f"{value:.1f}" if size >= 10 else f"{value:.2f}"


def _spaced(unit: str) -> str:
    return unit if unit in {TIMES, ""} else f" {unit}"
