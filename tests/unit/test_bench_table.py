"""The arithmetic and the table of `make bench`."""

import json

import pytest

from tests.bench.figures import TIMES, Figure, line, median, percentile, table


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [([7.0], 0.99, 7.0), ([3.0, 1.0, 2.0], 0.5, 2.0), ([4.0, 1.0, 3.0, 2.0], 0.5, 2.0), ([1.0, 2.0], 0.0, 1.0)],
)
def test_a_percentile_is_one_of_the_values(values, share, expected):
    assert percentile(values, share) == expected


def test_of_a_hundred_values_the_99th_percentile_leaves_one_above():
    assert percentile([float(value) for value in range(1, 101)], 0.99) == 99.0


@pytest.mark.parametrize(("values", "expected"), [([5.0], 5.0), ([9.0, 1.0, 2.0], 2.0), ([4.0, 1.0, 3.0, 2.0], 2.5)])
def test_a_median_lies_in_the_middle(values, expected):
    assert median(values) == expected


@pytest.mark.parametrize("measure", [median, lambda values: percentile(values, 0.5)])
def test_nothing_has_no_middle(measure):
    with pytest.raises(ValueError, match="of nothing"):
        measure([])


@pytest.mark.parametrize(
    ("goal", "at_least", "met"), [(None, False, None), (2.0, False, True), (1.0, False, False), (2.0, True, False)]
)
def test_a_goal_is_met_on_its_own_side(goal, at_least, met):
    assert Figure(key="k", name="n", value=1.5, unit="s", goal=goal, at_least=at_least).met is met


def test_the_table_names_goal_and_verdict_of_each_figure():
    figures = [
        Figure(key="start_s", name="start", value=1.234, unit="s", goal=3.0, how="median of 5"),
        Figure(key="rate", name="rate", value=0.5, unit=TIMES, goal=0.8, at_least=True),
        Figure(key="cpu", name="cpu", value=123.4, unit="%"),
    ]
    assert table(figures).splitlines() == [
        "figure  measured  goal            how",
        "------  --------  ------  ------  -----------",
        "start   1.23 s    ≤ 3 s   met     median of 5",
        f"rate    0.50{TIMES}     ≥ 0.8{TIMES}  missed",
        "cpu     123 %",
    ]
    said = json.loads(line(figures))
    assert said["rate"] == {"value": 0.5, "unit": TIMES, "goal": 0.8, "at_least": True, "met": False}
