"""Queries by colour: both sides summed, windows in milliseconds, counters born at a value counted."""

from datetime import timedelta

from bot.settings import Metrics
from commands.rollout import queries

MINUTE = timedelta(minutes=1)


def test_errors_are_counted_per_colour_and_zero_where_none():
    query = queries.errors(Metrics(), 'color="green"', MINUTE)
    assert query.startswith('(sum(increase(http_requests_total{color="green",status=~"5.."}[60000ms])')
    assert "or vector(0)" in query
    assert "unless" in query


def test_a_window_shorter_than_a_second_is_still_a_window():
    assert queries.span(timedelta(seconds=0.333)) == "333ms"
    assert queries.span(timedelta(0)) == "1ms"
