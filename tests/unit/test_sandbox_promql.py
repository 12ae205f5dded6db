"""PromQL over samples in memory: the queries the bot asks, and a clear refusal of what is not known."""

import math

import pytest

from bot.sandbox.promql import Evaluator, duration, parse
from bot.sandbox.promql_values import BadQuery, ExecutionFailed, written
from bot.sandbox.samples import Samples, labelled

STEP = 10_000
MINUTE = 60_000
NEWBORN = "(sum(increase(errors[{t}]) and errors offset {t}) or vector(0)) + (sum(errors unless errors offset {t}) or vector(0))"


def samples(**series):
    """Each keyword is a metric: a list of (labels, values), one value for each ten seconds; None is a missed scrape."""
    kept = Samples(retention=10**9)
    length = max(len(values) for lines in series.values() for _, values in lines)
    for index in range(length):
        scrape = {
            labelled(name, **labels): float(values[index])
            for name, lines in series.items()
            for labels, values in lines
            if index < len(values) and values[index] is not None
        }
        kept.append(index * STEP, scrape)
    return kept


def ask(kept, query, moment):
    return Evaluator(samples=kept, lookback=5 * MINUTE, moment=moment).value(parse(query))


def one(kept, query, moment):
    found = ask(kept, query, moment)
    assert len(found) == 1, found
    return found[0].value


def named(vector):
    return {dict(sample.labels).get("color"): sample.value for sample in vector}


COUNTING = samples(
    requests=[
        ({"color": "blue", "status": "200"}, range(0, 3100, 100)),
        ({"color": "blue", "status": "500"}, range(31)),
        ({"color": "green", "status": "200"}, range(0, 310, 10)),
    ],
    size=[({"color": "blue"}, [7] * 31), ({"color": "green"}, [-3] * 31)],
)
END = 300_000


def test_a_rate_is_per_second_and_an_increase_per_window():
    assert one(COUNTING, 'rate(requests{color="green"}[1m])', END) == pytest.approx(1.0)
    assert one(COUNTING, 'increase(requests{color="green"}[1m])', END) == pytest.approx(60.0)


def test_a_window_in_milliseconds_works():
    assert one(COUNTING, 'rate(requests{color="green"}[20333ms])', END) == pytest.approx(1.0)


def test_one_sample_gives_no_rate():
    assert ask(COUNTING, "rate(requests[9999ms])", END) == []


def test_the_error_share_needs_sums_on_both_sides():
    share = 'sum(rate(requests{status=~"5.."}[1m])) / sum(rate(requests{color="blue"}[1m]))'
    assert one(COUNTING, share, END) == pytest.approx(1 / 101)
    # The runbook's own query divides each failing series by itself.
    runbook = 'rate(requests{status=~"5.."}[1m]) / rate(requests[1m])'
    assert one(COUNTING, runbook, END) == 1.0


def test_sum_by_keeps_the_named_labels():
    rates = named(ask(COUNTING, "sum by (color) (rate(requests[1m]))", END))
    assert rates == pytest.approx({"blue": 10.1, "green": 1.0})


def test_sum_without_drops_the_named_labels_and_the_name():
    found = ask(COUNTING, "sum without (status) (requests)", END)
    assert named(found) == {"blue": 3030.0, "green": 300.0}
    assert all("__name__" not in dict(sample.labels) for sample in found)


def test_a_restart_of_a_counter_is_no_negative_growth():
    kept = samples(errors=[({}, [0, 10, 20, 5, 15, 25, 35])])
    assert one(kept, "increase(errors[1m])", MINUTE) == pytest.approx(55.0)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param([None] * 25 + [3] * 6, 3, id="born at three within the window"),
        pytest.param([None] * 25 + [3, 5, 7, 8, 9, 9], 9, id="born and grown within the window"),
        pytest.param([5] * 25 + [5, 5, 5, 5, 5, 5], 0, id="no new error"),
    ],
)
def test_errors_of_a_newborn_series_are_counted(values, expected):
    kept = samples(errors=[({"instance": "a"}, values)], up=[({}, [1] * 31)])
    assert one(kept, NEWBORN.format(t="1m"), END) == pytest.approx(expected)


def test_growth_and_births_add_up():
    kept = samples(
        errors=[({"instance": "a"}, range(31)), ({"instance": "b"}, [None] * 28 + [4, 4, 4])],
    )
    assert one(kept, NEWBORN.format(t="1m"), END) == pytest.approx(6 + 4)


def test_no_errors_at_all_count_zero():
    assert one(COUNTING, NEWBORN.format(t="1m"), END) == 0


def test_or_with_zero_times_the_whole_turns_an_empty_side_into_zero():
    share = '(sum(rate(requests{status="404"}[1m])) or 0 * sum(rate(requests[1m]))) / sum(rate(requests[1m]))'
    assert one(COUNTING, share, END) == 0.0


def test_a_quantile_is_interpolated_within_its_bucket():
    buckets = [({"le": le}, [0, count]) for le, count in (("0.1", 50), ("0.2", 90), ("0.4", 100), ("+Inf", 100))]
    kept = samples(b=buckets)
    assert one(kept, "histogram_quantile(0.95, b)", STEP) == pytest.approx(0.3)
    assert one(kept, "histogram_quantile(0.5, sum by (le) (b))", STEP) == pytest.approx(0.1)
    assert one(kept, "histogram_quantile(2, b)", STEP) == math.inf
    assert math.isnan(one(kept, "histogram_quantile(0.95, b * 0)", STEP))


def test_a_series_that_left_the_scrape_is_stale_at_once():
    kept = samples(up=[({"instance": "a"}, [1, 1, None]), ({"instance": "b"}, [1, 1, 1])])
    assert len(ask(kept, "up", STEP)) == 2
    assert len(ask(kept, "up", 2 * STEP)) == 1


def test_a_sample_older_than_the_lookback_is_gone():
    kept = samples(up=[({}, [1])])
    assert ask(kept, "up", 5 * MINUTE)
    assert ask(kept, "up", 5 * MINUTE + 1) == []
    assert one(kept, "absent(up)", 5 * MINUTE + 1) == 1.0


def test_offset_looks_back_and_forward():
    assert one(COUNTING, 'requests{color="green"} offset 1m', END) == 240
    assert one(COUNTING, 'requests{color="green"} offset -1m', END - MINUTE) == 300
    assert one(COUNTING, 'requests{color="green"} offset 10001ms', END) == 280


def test_all_four_matchers_are_anchored():
    for matcher, colours in (('="blue"', 1), ('!="blue"', 1), ('=~"bl.*|green"', 2), ('=~"lue"', 0), ('!~"g.+"', 1)):
        assert len(ask(COUNTING, f"size{{color{matcher}}}", END)) == colours, matcher
    assert len(ask(COUNTING, '{__name__=~"si.e", missing=""}', END)) == 2


def test_aggregations_over_values():
    wanted = {"sum": 4, "avg": 2, "max": 7, "min": -3, "count": 2, "group": 1}
    assert {name: one(COUNTING, f"{name}(size)", END) for name in wanted} == wanted
    assert named(ask(COUNTING, "topk(1, size)", END)) == {"blue": 7}
    assert named(ask(COUNTING, "bottomk(1, size)", END)) == {"green": -3}


def test_comparisons_filter_or_give_truth():
    assert named(ask(COUNTING, "size > 0", END)) == {"blue": 7}
    assert named(ask(COUNTING, "size > bool 0", END)) == {"blue": 1, "green": 0}
    assert named(ask(COUNTING, "0 < size", END)) == {"blue": 7}
    assert ask(COUNTING, "1 < bool 2", END) == 1.0


def test_sets_match_on_the_named_labels():
    assert len(ask(COUNTING, "requests and on (color) (size > 0)", END)) == 2
    assert len(ask(COUNTING, "requests unless on (color) (size > 0)", END)) == 1
    assert len(ask(COUNTING, "(size > 0) or size", END)) == 2


def test_scalars_and_time():
    assert ask(COUNTING, "time() - 100", END) == 200
    assert ask(COUNTING, 'scalar(size{color="blue"}) ^ 2', END) == 49
    assert math.isnan(ask(COUNTING, "scalar(size)", END))
    assert one(COUNTING, "time() - timestamp(size{color='blue'})", END + 4000) == 4
    assert one(COUNTING, "-size{color='blue'} % 4", END) == -3
    assert ask(COUNTING, "1 / 0", END) == math.inf
    assert named(ask(COUNTING, "abs(clamp_min(size, -2))", END)) == {"blue": 7, "green": 2}


def test_functions_over_time():
    kept = samples(gauge=[({}, [1, 5, 3, 4])])
    wanted = {"avg": 3.25, "min": 1, "max": 5, "sum": 13, "count": 4, "last": 4}
    assert {name: one(kept, f"{name}_over_time(gauge[30s])", 3 * STEP) for name in wanted} == wanted
    assert one(kept, "delta(gauge[30s])", 3 * STEP) == pytest.approx(3)
    assert one(kept, "irate(gauge[30s])", 3 * STEP) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("sum(requests", "parse error"),
        ("rate(requests)", "parse error"),
        ("nope(requests)", "nope"),
        ("label_replace(size, 'a', 'b', 'c', 'd')", "label_replace"),
        ("rate(requests[1m:10s])", "Subquery"),
        ("requests[1m]", "MatrixSelector"),
        ("requests @ 5", "@"),
        ("quantile(0.5, size)", "quantile"),
        ("requests * on (color) group_left size", "group_left"),
        ("stddev(size)", "stddev"),
        ("1 atan2 2", "atan2"),
        ('requests{a="b" or c="d"}', "or"),
        ('"text" + 1', "parse error"),
    ],
)
def test_what_is_not_known_is_refused_by_name(query, named):
    with pytest.raises(BadQuery, match=named):
        ask(COUNTING, query, END)


def test_many_to_many_matching_fails_in_execution():
    with pytest.raises(ExecutionFailed, match="many-to-many"):
        ask(COUNTING, "size / on () requests", END)
    with pytest.raises(ExecutionFailed, match="many-to-one"):
        ask(COUNTING, 'requests{color="blue"} / on (color) size', END)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1"), (0.05, "0.05"), (1e-7, "0.0000001"), (1e21, "1000000000000000000000"),
        (math.nan, "NaN"), (math.inf, "+Inf"), (-math.inf, "-Inf"), (-0.0, "-0"), (-2.5, "-2.5"),
    ],
)  # fmt: skip
def test_numbers_are_written_as_prometheus_writes_them(value, text):
    assert written(value) == text


def test_durations_are_read_as_prometheus_reads_them():
    assert duration("1m30s") == 90.0
    with pytest.raises(ValueError, match="soon"):
        duration("soon")
