"""Evaluates PromQL over samples in memory, with the parser of Prometheus' own grammar and the rules of version 2.42.

What it does not know it refuses by name: a wrong number would be worse than none.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import promql_parser as ast

from bot.sandbox import promql_functions as functions
from bot.sandbox import promql_operators as operators
from bot.sandbox.promql_operators import Matching
from bot.sandbox.promql_values import BadQuery, Matrix, Sample, Value, Vector, Window, distinct, mapped
from bot.sandbox.samples import NAME, Labels, Matcher, Samples, Series

# Pairs and no mapping: the parser's enumerations cannot be hashed.
_OPERATORS = (
    (ast.MatchOp.Equal, "="),
    (ast.MatchOp.NotEqual, "!="),
    (ast.MatchOp.Re, "=~"),
    (ast.MatchOp.NotRe, "!~"),
)
_EVERYTHING = Matching(on=False, labels=())
_MILLISECOND = timedelta(milliseconds=1)


def parse(query: str) -> Any:
    """Parse a query. Raises BadQuery with the parser's own words."""
    try:
        return ast.parse(query)
    except ValueError as error:
        raise BadQuery(f"parse error: {error}") from error


def duration(text: str) -> float:
    """Return the seconds of a duration such as 1m30s. Raises ValueError."""
    span: timedelta = ast.parse_duration(text)
    return span.total_seconds()


@dataclass(frozen=True, kw_only=True)
class Evaluator:
    """Evaluates expressions at one moment; times and the lookback are milliseconds."""

    samples: Samples
    lookback: int
    moment: int

    def value(self, node: Any) -> Value:
        """Return what an expression is worth now. Raises BadQuery and ExecutionFailed."""
        evaluate = _NODES.get(type(node))
        if evaluate is None:
            raise BadQuery(f"{type(node).__name__} here is not supported by this Prometheus")
        return evaluate(self, node)

    def window(self, node: Any) -> Matrix:
        """Return the range vector of a matrix selector."""
        if isinstance(node, ast.ParenExpr):
            return self.window(node.expr)
        if not isinstance(node, ast.MatrixSelector):
            raise BadQuery(f"{type(node).__name__} as a range is not supported by this Prometheus")
        end = self.moment - _milliseconds(node.vector_selector.offset)
        start = end - _milliseconds(node.range)
        found = ((series.labels, series.between(start, end)) for series in self._series(node.vector_selector))
        return [Window(labels, times, values, start, end) for labels, (times, values) in found if times]

    def vector(self, node: Any) -> Vector:
        """Return an expression that must be an instant vector."""
        value = self.value(node)
        if not isinstance(value, list):
            raise BadQuery(f"expected type instant vector, got {type(value).__name__}")
        return value

    def number(self, node: Any) -> float:
        """Return an expression that must be a scalar."""
        value = self.value(node)
        if not isinstance(value, float):
            raise BadQuery(f"expected type scalar, got {type(value).__name__}")
        return value

    def _series(self, selector: Any) -> Iterator[Series]:
        if selector.at is not None:
            raise BadQuery("the @ modifier is not supported by this Prometheus")
        return self.samples.select(matchers(selector))

    def _selected(self, selector: Any) -> Vector:
        moment = self.moment - _milliseconds(selector.offset)
        found = []
        for series in self._series(selector):
            point = series.at(moment, self.lookback)
            if point is not None:
                found.append(Sample(series.labels, point.value, point.at))
        return found

    def _negated(self, node: Any) -> Value:
        value = self.value(node.expr)
        if isinstance(value, str):
            raise BadQuery("unary expression is not allowed on a string")
        return -value if isinstance(value, float) else mapped(value, lambda each: -each)

    def _called(self, node: Any) -> Value:
        name, arguments = node.func.name, node.args
        if name in functions.OVER_WINDOWS:
            return distinct(functions.over_windows(name, self.window(arguments[0])))
        if name in functions.OVER_VALUES:
            return functions.over_values(name, self.vector(arguments[0]))
        if name not in _FUNCTIONS:
            raise BadQuery(f"function {name!r} is not supported by this Prometheus")
        return _FUNCTIONS[name](self, arguments)

    def _absent(self, node: Any) -> Vector:
        return [] if self.vector(node) else [Sample(_promised(node), 1.0)]

    def _binary(self, node: Any) -> Value:
        modifier = node.modifier
        matching, as_bool = _EVERYTHING, False
        if modifier is not None:
            symbol = str(node.op)
            cards = ast.VectorMatchCardinality
            if modifier.card in (cards.ManyToOne, cards.OneToMany):
                raise BadQuery(f"group_left and group_right of {symbol!r} are not supported by this Prometheus")
            as_bool = bool(modifier.return_bool)
            if modifier.matching is not None:
                on = modifier.matching.type == ast.LabelModifierType.Include
                matching = Matching(on=on, labels=tuple(modifier.matching.labels))
        return operators.binary(
            str(node.op), self.value(node.lhs), self.value(node.rhs), matching=matching, as_bool=as_bool
        )

    def _aggregated(self, node: Any) -> Vector:
        grouping = Matching(on=True, labels=())
        if node.modifier is not None:
            by = node.modifier.type == ast.AggModifierType.By
            grouping = Matching(on=by, labels=tuple(node.modifier.labels))
        symbol = str(node.op)
        if node.param is not None and symbol not in operators.RANKINGS:
            raise BadQuery(f"aggregation {symbol!r} is not supported by this Prometheus")
        most = self.number(node.param) if node.param is not None else None
        return operators.aggregate(symbol, self.vector(node.expr), grouping=grouping, most=most)


def matchers(selector: Any) -> list[Matcher]:
    """Return the conditions of a selector."""
    if selector.matchers.or_matchers:
        raise BadQuery("`or` between label matchers is not supported by this Prometheus")
    named = [Matcher(label=NAME, operator="=", value=selector.name)] if selector.name else []
    return named + [
        Matcher(label=each.name, operator=_operator(each.op), value=each.value) for each in selector.matchers.matchers
    ]


def _operator(kind: Any) -> str:
    return next(symbol for known, symbol in _OPERATORS if known == kind)


def _promised(node: Any) -> Labels:
    """Return the labels that `absent` can know: those with one equality matcher."""
    if not isinstance(node, ast.VectorSelector):
        return ()
    equal = [each for each in matchers(node) if each.operator == "=" and each.label != NAME]
    names = [each.label for each in matchers(node)]
    return tuple(sorted((each.label, each.value) for each in equal if names.count(each.label) == 1))


def _milliseconds(span: timedelta | None) -> int:
    return 0 if span is None else span // _MILLISECOND


_NODES: Mapping[type, Callable[[Evaluator, Any], Value]] = {
    ast.NumberLiteral: lambda _, node: float(node.val),
    ast.StringLiteral: lambda _, node: str(node.val),
    ast.ParenExpr: lambda self, node: self.value(node.expr),
    ast.UnaryExpr: Evaluator._negated,
    ast.VectorSelector: Evaluator._selected,
    ast.Call: Evaluator._called,
    ast.BinaryExpr: Evaluator._binary,
    ast.AggregateExpr: Evaluator._aggregated,
}
_FUNCTIONS: Mapping[str, Callable[[Evaluator, Sequence[Any]], Value]] = {
    "time": lambda self, _: self.moment / 1000,
    "vector": lambda self, given: [Sample((), self.number(given[0]))],
    "scalar": lambda self, given: functions.scalar(self.vector(given[0])),
    "absent": lambda self, given: self._absent(given[0]),
    "timestamp": lambda self, given: functions.timestamp(self.vector(given[0]), self.moment),
    "histogram_quantile": lambda self, given: functions.histogram_quantile(
        self.number(given[0]), self.vector(given[1])
    ),
    "clamp_min": lambda self, given: functions.clamp(self.vector(given[0]), self.number(given[1]), math.inf),
    "clamp_max": lambda self, given: functions.clamp(self.vector(given[0]), -math.inf, self.number(given[1])),
}
