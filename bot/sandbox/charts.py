"""What the page shows of the world: one point for each half second, the latest sixty, per real second as in metrics."""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bot.sandbox.pager import HIGHEST, LOWEST, Page
from bot.sandbox.traffic import Traffic, View

POINT_SECONDS = 0.5
_POINTS = 60


def _line() -> deque[float]:
    return deque(maxlen=_POINTS)


@dataclass
class Charts:
    """Requests and errors per second of every colour."""

    requests: dict[tuple[str, str], deque[float]] = field(default_factory=dict)
    errors: dict[tuple[str, str], deque[float]] = field(default_factory=dict)

    def point(self, views: Mapping[str, View], traffic: Traffic, seconds: float) -> None:
        """Add what was counted in the last real seconds."""
        for name, view in views.items():
            for colour in view.sides:
                tally, key = traffic.tally(name, colour), (name, colour)
                self.requests.setdefault(key, _line()).append(round(tally.requests / seconds, 2))
                self.errors.setdefault(key, _line()).append(round(tally.errors / seconds, 3))

    def environments(self, views: Mapping[str, View]) -> list[dict[str, Any]]:
        """Return the environments for the page."""
        return [
            {"name": name, "colours": [self._colour(name, view, colour) for colour in view.sides]}
            for name, view in views.items()
        ]

    def _colour(self, name: str, view: View, colour: str) -> dict[str, Any]:
        side, total = view.sides[colour], sum(view.weights.values())
        return {
            "name": colour,
            "version": side.version,
            "weight": round(100 * view.weights[colour] / total) if total else 0,
            "healthy": side.healthy,
            "desired": side.desired,
            "rps": list(self.requests.get((name, colour), ())),
            "errors": list(self.errors.get((name, colour), ())),
        }


def pages(sent: Iterable[Page]) -> list[dict[str, Any]]:
    """Return for each level how many people were paged and what the last was told."""
    by_level: dict[int, list[Page]] = {level: [] for level in range(LOWEST, HIGHEST + 1)}
    for page in sent:
        by_level[page.level].append(page)
    return [
        {"level": level, "count": len(found), "last": found[-1].summary if found else None}
        for level, found in by_level.items()
    ]
