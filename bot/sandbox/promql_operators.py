"""PromQL operators and aggregations over evaluated operands, after Prometheus 2.42 (promql/engine.go)."""

import math
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from bot.sandbox.promql_values import BadQuery, ExecutionFailed, Sample, Value, Vector, distinct, only, unnamed, without
from bot.sandbox.samples import NAME, Labels


def _divide(left: float, right: float) -> float:
    if right:
        return left / right
    return math.nan if left == 0 or math.isnan(left) else math.copysign(math.inf, left) * math.copysign(1, right)


def _modulo(left: float, right: float) -> float:
    return math.nan if right == 0 or math.isinf(left) else math.fmod(left, right)


def _power(left: float, right: float) -> float:
    try:
        return math.pow(left, right)
    except OverflowError:
        return math.inf
    except ValueError:
        return math.nan


ARITHMETIC: Mapping[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": _divide,
    "%": _modulo,
    "^": _power,
}
COMPARISON: Mapping[str, Callable[[float, float], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
}
SETS = frozenset({"and", "or", "unless"})


@dataclass(frozen=True, kw_only=True)
class Matching:
    """How elements of two vectors find each other: `on` these labels, or on all but these."""

    on: bool
    labels: tuple[str, ...]

    def signature(self, labels: Labels) -> Labels:
        """Return the part of the labels that must agree."""
        return only(labels, self.labels) if self.on else without(labels, (*self.labels, NAME))


def binary(symbol: str, left: Value, right: Value, *, matching: Matching, as_bool: bool) -> Value:
    """Evaluate `left symbol right` for any mix of scalars and vectors."""
    if isinstance(left, str) or isinstance(right, str):
        raise BadQuery(f"operator {symbol!r} is not defined for strings")
    if symbol in SETS:
        if isinstance(left, float) or isinstance(right, float):
            raise BadQuery(f"set operator {symbol!r} not allowed in binary scalar expression")
        return _set(symbol, left, right, matching)
    if symbol not in ARITHMETIC and symbol not in COMPARISON:
        raise BadQuery(f"operator {symbol!r} is not supported by this Prometheus")
    if isinstance(left, float) and isinstance(right, float):
        return _number(symbol, left, right)
    if isinstance(left, float) or isinstance(right, float):
        return _with_number(symbol, left, right, as_bool=as_bool)
    return _one_to_one(symbol, left, right, matching=matching, as_bool=as_bool)


def _number(symbol: str, left: float, right: float) -> float:
    if symbol in ARITHMETIC:
        return ARITHMETIC[symbol](left, right)
    return float(COMPARISON[symbol](left, right))


def _with_number(symbol: str, left: float | Vector, right: float | Vector, *, as_bool: bool) -> Vector:
    vector = left if isinstance(left, list) else right
    assert isinstance(vector, list)
    found = []
    for sample in vector:
        first = left if isinstance(left, float) else sample.value
        second = right if isinstance(right, float) else sample.value
        value = _number(symbol, first, second)
        if symbol in ARITHMETIC or as_bool:
            found.append(Sample(unnamed(sample.labels), value))
        elif value:
            found.append(Sample(sample.labels, sample.value))
    return distinct(found)


def _one_to_one(symbol: str, left: Vector, right: Vector, *, matching: Matching, as_bool: bool) -> Vector:
    partners = _by_signature(right, matching, side="right")
    found: dict[Labels, Sample] = {}
    for sample in left:
        signature = matching.signature(sample.labels)
        partner = partners.get(signature)
        if partner is None:
            continue
        value = _number(symbol, sample.value, partner.value)
        if symbol in COMPARISON and not as_bool:
            if not value:
                continue
            value = sample.value
        labels = unnamed(sample.labels) if symbol in ARITHMETIC or as_bool else sample.labels
        labels = only(labels, matching.labels) if matching.on else without(labels, matching.labels)
        if signature in found:
            raise ExecutionFailed("multiple matches for labels: many-to-one matching must be explicit")
        found[signature] = Sample(labels, value)
    return list(found.values())


def _by_signature(vector: Vector, matching: Matching, *, side: str) -> dict[Labels, Sample]:
    found: dict[Labels, Sample] = {}
    for sample in vector:
        signature = matching.signature(sample.labels)
        if signature in found:
            raise ExecutionFailed(
                f"found duplicate series for the match group {dict(signature)} on the {side} hand-side of the "
                "operation; many-to-many matching not allowed: matching labels must be unique on one side"
            )
        found[signature] = sample
    return found


def _set(symbol: str, left: Vector, right: Vector, matching: Matching) -> Vector:
    theirs = {matching.signature(sample.labels) for sample in right}
    if symbol == "and":
        return [sample for sample in left if matching.signature(sample.labels) in theirs]
    if symbol == "unless":
        return [sample for sample in left if matching.signature(sample.labels) not in theirs]
    ours = {matching.signature(sample.labels) for sample in left}
    return left + [sample for sample in right if matching.signature(sample.labels) not in ours]


AGGREGATIONS: Mapping[str, Callable[[list[float]], float]] = {
    "sum": sum,
    "avg": lambda values: sum(values) / len(values),
    "max": lambda values: _best(values, max),
    "min": lambda values: _best(values, min),
    "count": lambda values: float(len(values)),
    "group": lambda _: 1.0,
}
RANKINGS = frozenset({"topk", "bottomk"})


def aggregate(symbol: str, vector: Vector, *, grouping: Matching, most: float | None) -> Vector:
    """Aggregate by the grouping's labels; `most` is the parameter of topk and bottomk."""
    groups: dict[Labels, list[Sample]] = {}
    for sample in vector:
        groups.setdefault(grouping.signature(sample.labels), []).append(sample)
    if symbol in AGGREGATIONS:
        reduce = AGGREGATIONS[symbol]
        return [Sample(labels, reduce([each.value for each in members])) for labels, members in groups.items()]
    if symbol not in RANKINGS or most is None:
        raise BadQuery(f"aggregation {symbol!r} is not supported by this Prometheus")
    return [each for members in groups.values() for each in _ranked(members, int(most), top=symbol == "topk")]


def _ranked(members: Iterable[Sample], most: int, *, top: bool) -> Vector:
    def order(sample: Sample) -> tuple[bool, float]:
        return math.isnan(sample.value), -sample.value if top else sample.value

    return sorted(members, key=order)[: max(0, most)]


def _best(values: list[float], pick: Callable[[list[float]], float]) -> float:
    numbers = [value for value in values if not math.isnan(value)]
    return pick(numbers) if numbers else math.nan
