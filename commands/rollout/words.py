"""Words for spans and marks that several messages share. Pure."""

from datetime import timedelta

from commands.checks import Verdict

MARKS = {
    Verdict.PASS: ":white_check_mark:",
    Verdict.WARN: ":warning:",
    Verdict.FAIL: ":x:",
    Verdict.UNKNOWN: ":grey_question:",
}
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def span(value: timedelta) -> str:
    """Say a span as a person would: `30 s`, `5 min`, `1 h 12 min`, `24 h`."""
    seconds = value.total_seconds()
    if seconds < 2 * _MINUTE:
        return f"{seconds:.0f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"
    if seconds < 2 * _HOUR:
        minutes, rest = divmod(round(seconds), _MINUTE)
        return f"{minutes} min {rest} s" if rest and minutes < 10 else f"{round(seconds / _MINUTE)} min"  # noqa: PLR2004
    hours, rest = divmod(round(seconds / _MINUTE), 60)
    return f"{hours} h {rest} min" if rest else f"{hours} h"
