"""What PromQL expressions evaluate to, how numbers are written, and the errors that Prometheus tells apart."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

from bot.sandbox.samples import NAME, Labels


class BadQuery(Exception):
    """The query is not PromQL, or a part of PromQL that this evaluator does not know (HTTP 400, bad_data)."""


class ExecutionFailed(Exception):
    """The query is good and the data do not allow it, such as many-to-many matching (HTTP 422, execution)."""


@dataclass(frozen=True)
class Sample:
    """One element of an instant vector. `at` is its own time where it comes straight from a selector."""

    labels: Labels
    value: float
    at: int | None = None


@dataclass(frozen=True)
class Window:
    """One element of a range vector: its samples and the bounds that were asked for, in milliseconds."""

    labels: Labels
    times: Sequence[int]
    values: Sequence[float]
    start: int
    end: int


Vector: TypeAlias = list[Sample]
Matrix: TypeAlias = list[Window]
Value: TypeAlias = float | str | Vector


def without(labels: Labels, names: Iterable[str]) -> Labels:
    """Return the labels less some."""
    dropped = set(names)
    return tuple(pair for pair in labels if pair[0] not in dropped)


def only(labels: Labels, names: Iterable[str]) -> Labels:
    """Return some of the labels."""
    kept = set(names)
    return tuple(pair for pair in labels if pair[0] in kept)


def unnamed(labels: Labels) -> Labels:
    """Return the labels without the metric's name."""
    return without(labels, [NAME])


def distinct(vector: Vector) -> Vector:
    """Return the vector; fail where two elements have the same labels, as Prometheus does."""
    if len({sample.labels for sample in vector}) < len(vector):
        raise ExecutionFailed("vector cannot contain metrics with the same labelset")
    return vector


def mapped(vector: Vector, change: Callable[[float], float]) -> Vector:
    """Apply a function to every value; the names go."""
    return distinct([Sample(unnamed(sample.labels), change(sample.value)) for sample in vector])


def written(value: float) -> str:
    """Write a number as Prometheus does: no exponent, shortest form, NaN, +Inf and -Inf."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if value == int(value):
        return f"{'-' if value == 0 and math.copysign(1, value) < 0 else ''}{int(value)}"
    return format(Decimal(repr(value)), "f")
