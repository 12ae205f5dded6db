"""Who is paged when, decided purely. The later levels are due by the clock of the opening (design: section 8)."""

from bot.settings import Level
from escalation.records import Rung, Severity

PAGING = frozenset({"P0", "P1", "P2"})
"""P3 never pages."""


def freeze(levels: tuple[Level, ...]) -> tuple[Rung, ...]:
    """Return the ladder as it is now, to be stored with the incident: a later edit of the settings changes no run."""
    return tuple(Rung(level=level.level, after=level.after, who=level.who) for level in levels)


def first(ladder: tuple[Rung, ...], severity: Severity) -> Rung | None:
    """Return the level that is paged when an incident opens, or None where nobody is."""
    if severity not in PAGING:
        return None
    return min(ladder, key=lambda rung: (rung.after, rung.level), default=None)
