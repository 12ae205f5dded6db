"""PromQL for one colour. Both sides of every ratio are summed, and counters born at a non-zero value are counted.

The shapes and the traps they avoid are those of facts deploy.md section 4.1.
"""

from datetime import timedelta

from bot.settings import Metrics


def requests(metrics: Metrics, selector: str, window: timedelta) -> str:
    """Return the number of requests in the window."""
    return _grown(metrics.requests, selector, window)


def errors(metrics: Metrics, selector: str, window: timedelta) -> str:
    """Return the number of failed requests in the window; zero, not nothing, where none failed."""
    return _grown(metrics.requests, f"{selector},{metrics.errors}", window)


def present(metrics: Metrics, selector: str) -> str:
    """Return the number of series; an empty answer is no data, which is not the same as zero requests."""
    return f"count({metrics.requests}{{{selector}}})"


def rate(metrics: Metrics, selector: str, window: timedelta) -> str:
    """Return requests per second; empty where the colour has no series."""
    return f"sum(rate({metrics.requests}{{{selector}}}[{span(window)}]))"


def p95(metrics: Metrics, selector: str, window: timedelta) -> str:
    """Return the 95th percentile in seconds over all tasks of the colour."""
    return f"histogram_quantile(0.95, sum by (le) (rate({metrics.duration}{{{selector}}}[{span(window)}])))"


def span(window: timedelta) -> str:
    """Return a PromQL duration; milliseconds, because a scaled window may be shorter than a second."""
    return f"{max(1, round(window.total_seconds() * 1000))}ms"


def _grown(name: str, selector: str, window: timedelta) -> str:
    series, over = f"{name}{{{selector}}}", span(window)
    known = f"(sum(increase({series}[{over}]) and {series} offset {over}) or vector(0))"
    born = f"(sum({series} unless {series} offset {over}) or vector(0))"
    return f"{known} + {born}"
