"""The evaluator against promtool on the same samples: Prometheus itself says whether our numbers are its numbers."""

import json
import math
import re
import shutil
import subprocess

import pytest

from bot.sandbox.promql import Evaluator, parse
from bot.sandbox.promql_values import written
from bot.sandbox.samples import Samples, labelled

PROMTOOL = shutil.which("promtool")
pytestmark = [
    pytest.mark.prometheus,
    pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed (Debian package prometheus)"),
]

STEP = 10_000
LENGTH = 61
SERIES = {
    labelled("m", color="blue", instance="a", status="200"): [100 * n for n in range(LENGTH)],
    labelled("m", color="blue", instance="b", status="200"): [(70 * n) % 2000 for n in range(LENGTH)],
    labelled("m", color="blue", instance="a", status="500"): [None] * 40 + [3 + n // 2 for n in range(LENGTH - 40)],
    labelled("m", color="green", instance="c", status="200"): [None] * 20 + [13 * n for n in range(LENGTH - 20)],
    labelled("m", color="green", instance="c", status="500"): [None] * 58 + [9, 9, 9],
    labelled("gone", instance="a"): list(range(30)) + [None] * (LENGTH - 30),
    labelled("g", color="blue"): [((n * 7) % 11) - 4 for n in range(LENGTH)],
    labelled("g", color="green"): [((n * 5) % 13) / 8 for n in range(LENGTH)],
    **{
        labelled("b", color=color, le=le): [share * n for n in range(LENGTH)]
        for color in ("blue", "green")
        for le, share in (("0.1", 50), ("0.25", 80 if color == "blue" else 60), ("0.5", 97), ("+Inf", 100))
    },
}
QUERIES = (
    "rate(m[1m])",
    "increase(m[95s])",
    "increase(m[40333ms])",
    "sum by (color) (rate(m[2m]))",
    "sum without (instance) (m)",
    "irate(m[1m])",
    "delta(g[1m])",
    (
        '(sum(increase(m{status="500"}[1m]) and m{status="500"} offset 1m) or vector(0))'
        ' + (sum(m{status="500"} unless m{status="500"} offset 1m) or vector(0))'
    ),
    (
        '(sum(increase(m{status="404"}[1m]) and m{status="404"} offset 1m) or vector(0))'
        ' + (sum(m{status="404"} unless m{status="404"} offset 1m) or vector(0))'
    ),
    'sum(rate(m{status=~"5.."}[2m])) / sum(rate(m[2m]))',
    'rate(m{status=~"5.."}[2m]) / rate(m[2m])',
    "histogram_quantile(0.95, sum by (le) (rate(b[5m])))",
    "histogram_quantile(0.5, b)",
    "histogram_quantile(0.99, b * 0)",
    "gone",
    "absent(gone)",
    'absent(nothing{a="b",c=~"d"})',
    "rate(gone[5m])",
    "g > 0",
    "g > bool 0",
    "-g % 3",
    "abs(g) ^ 2",
    "topk(1, g)",
    "max(g) - min(g)",
    "avg by (color) (g)",
    "count(m)",
    "g * on (color) g offset 30s",
    "m and on (color) (g > 0)",
    "m unless on (color) (g > 0)",
    "g or m",
    "scalar(sum(g)) + time()",
    "avg_over_time(g[1m])",
    "max_over_time(g[1m])",
    "sum_over_time(g[1m])",
    "count_over_time(g[1m])",
    "last_over_time(g[1m])",
    "timestamp(g)",
    "clamp_max(clamp_min(g, -1), 1)",
)
MOMENTS = (299_000, 400_000, 590_000, 600_000)


GOT = re.compile(r"(\w*\{[^}]*\}) ([-+.\w]+)")


def ours(query, moment):
    kept = Samples(retention=10**9)
    for index in range(LENGTH):
        kept.append(index * STEP, {key: values[index] for key, values in SERIES.items() if values[index] is not None})
    value = Evaluator(samples=kept, lookback=300_000, moment=moment).value(parse(query))
    if isinstance(value, float):
        return {"{}": value}
    return {braced(sample.labels): sample.value for sample in value}


def braced(labels):
    return "{" + ", ".join(f'{key}="{value}"' for key, value in labels) + "}"


def selector(labels):
    named = dict(labels)
    name = named.pop("__name__")
    return name + braced(named.items())


def line(values):
    """Write values for promtool: a series that left the scrape is marked stale once, then missing."""
    words, before = [], None
    for value in values:
        words.append("_" if value is None and before is None else "stale" if value is None else written(float(value)))
        before = value
    return " ".join(words)


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    """Ask promtool for everything at once: each test expects nonsense, so promtool says what it got instead."""
    nonsense = [{"labels": '{nonsense="yes"}', "value": 1}]
    suite = {
        "rule_files": [],
        "evaluation_interval": "1s",
        "tests": [
            {
                "interval": "10s",
                "input_series": [{"series": selector(key), "values": line(values)} for key, values in SERIES.items()],
                "promql_expr_test": [
                    {"expr": query, "eval_time": f"{moment}ms", "exp_samples": nonsense}
                    for query in QUERIES
                    for moment in MOMENTS
                ],
            }
        ],
    }
    path = tmp_path_factory.mktemp("promtool") / "suite.yml"
    path.write_text(json.dumps(suite))
    ran = subprocess.run(
        [PROMTOOL, "test", "rules", str(path)], capture_output=True, text=True, timeout=60, check=False
    )
    said = [text.strip() for text in (ran.stdout + ran.stderr).splitlines()]
    got = [text.removeprefix("got:") for text in said if text.startswith("got:")]
    asked = [(query, moment) for query in QUERIES for moment in MOMENTS]
    assert len(got) == len(asked), ran.stdout + ran.stderr
    return {
        key: {labels: float(value) for labels, value in GOT.findall(text)} for key, text in zip(asked, got, strict=True)
    }


@pytest.mark.parametrize("query", QUERIES)
def test_prometheus_gives_the_same_answer(query, theirs):
    for moment in MOMENTS:
        assert ours(query, moment) == pytest.approx(theirs[query, moment], rel=1e-12, nan_ok=True), moment


def test_the_oracle_sees_numbers(theirs):
    """Guards against a promtool whose words we no longer understand."""
    assert theirs["count(m)", 600_000] == {"{}": 5.0}
    assert any(math.isnan(value) for value in theirs["histogram_quantile(0.99, b * 0)", 600_000].values())
