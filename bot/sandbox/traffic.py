"""The users of the storage service and what its copies count: pure arithmetic, the same for the same seed and steps.

No request is sent. A step splits the requests of a span over the colours by the weights that work, over the healthy
tasks of a colour, and over outcomes by the release that each task runs.
"""

import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Any

from bot.sandbox import places, releases
from bot.sandbox.samples import Labels, labelled

# A lognormal duration with P95 = 145 ms; the buckets around the 95th percentile are narrow enough to show it.
_MEDIAN_SECONDS, _SIGMA = 0.060, 0.536
_MEAN_SECONDS = 0.0693
EDGES = (0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 1.0, 2.5)
_DURATION = NormalDist(0.0, _SIGMA)
_WOBBLE = 0.03
_POOL_SIZE = 20
_NOBODY = "load-balancer"


@dataclass(frozen=True, kw_only=True)
class Target:
    """One running copy of the service."""

    id: str
    address: str
    version: str
    healthy: bool

    @property
    def instance(self) -> str:
        """Return the `instance` label of its series."""
        return f"{self.address}:8080"


@dataclass(frozen=True, kw_only=True)
class Side:
    """One colour of an environment."""

    version: str
    desired: int
    running: int
    healthy: int
    rollout: str
    targets: tuple[Target, ...]


@dataclass(frozen=True, kw_only=True)
class View:
    """One environment as AWS has it: the rule's weights, those that work by now, and the colours."""

    weights: Mapping[str, int]
    effective: Mapping[str, int]
    sides: Mapping[str, Side]


@dataclass
class Count:
    """What one task has counted since it started."""

    slowness: float
    served: int = 0
    failed: int = 0


@dataclass
class Tally:
    """Requests and errors of one colour since the last look, for the page's charts."""

    requests: int = 0
    errors: int = 0


@dataclass
class Traffic:
    """All counters of all environments."""

    seed: int = 1
    counts: dict[tuple[str, str, str], Count] = field(default_factory=dict)
    refused: dict[tuple[str, str], int] = field(default_factory=dict)
    tallies: dict[tuple[str, str], Tally] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._dice = random.Random(self.seed)

    def step(self, views: Mapping[str, View], seconds: float) -> None:
        """Let users be served for some seconds of the world's time."""
        for name, view in views.items():
            self._keep_only_running(name, view)
            wanted = places.PLACES[name].requests * seconds * self._dice.uniform(1 - _WOBBLE, 1 + _WOBBLE)
            total = sum(view.effective.values())
            for colour, weight in view.effective.items():
                if weight:
                    self._serve(name, colour, view.sides[colour], self._whole(wanted * weight / total))

    def scrape(self, views: Mapping[str, View]) -> dict[Labels, float]:
        """Return all series as a scrape of all running tasks shows them."""
        shown: dict[Labels, float] = {}
        for name, view in views.items():
            for colour, side in view.sides.items():
                for target in side.targets:
                    shown.update(self._series(name, colour, target))
        for (name, colour), refused in self.refused.items():
            place = {"job": places.JOB, "environment": name, "color": colour}
            shown[labelled("http_requests_total", **place, instance=_NOBODY, status="503")] = float(refused)
        return shown

    def tally(self, environment: str, colour: str) -> Tally:
        """Return and forget what was counted for the charts."""
        return self.tallies.pop((environment, colour), Tally())

    def _keep_only_running(self, name: str, view: View) -> None:
        """A stopped task takes its counters along; a new one starts at zero."""
        running = {
            (name, colour, target.instance): target for colour, side in view.sides.items() for target in side.targets
        }
        for key in [key for key in self.counts if key[0] == name and key not in running]:
            del self.counts[key]
        for key, target in running.items():
            if key not in self.counts:
                self.counts[key] = Count(slowness=_release(target).slowness)

    def _serve(self, name: str, colour: str, side: Side, requests: int) -> None:
        tally = self.tallies.setdefault((name, colour), Tally())
        tally.requests += requests
        healthy = [target for target in side.targets if target.healthy]
        if not healthy:
            self.refused[name, colour] = self.refused.get((name, colour), 0) + requests
            tally.errors += requests
            return
        share, rest = divmod(requests, len(healthy))
        first = self._dice.randrange(len(healthy))
        for index, target in enumerate(healthy):
            count = self.counts[name, colour, target.instance]
            own = share + ((index - first) % len(healthy) < rest)
            failed = min(own, self._whole(own * _release(target).error_share))
            count.served += own
            count.failed += failed
            tally.errors += failed

    def _whole(self, amount: float) -> int:
        """Round by chance, so that small shares are right in the long run."""
        return int(amount) + (self._dice.random() < amount % 1)

    def _series(self, name: str, colour: str, target: Target) -> Iterator[tuple[Labels, float]]:
        count = self.counts.get((name, colour, target.instance), Count(slowness=1.0))
        place = {"job": places.JOB, "environment": name, "color": colour, "instance": target.instance}
        yield labelled("up", **place), 1.0
        yield labelled("http_requests_total", **place, status="200"), float(count.served - count.failed)
        # As in a real client library, a status has no series before it first occurs: it is born at a value above zero.
        if count.failed:
            yield labelled("http_requests_total", **place, status="500"), float(count.failed)
        for edge in EDGES:
            faster = float(round(share_faster(edge / count.slowness) * count.served))
            yield labelled("http_request_duration_seconds_bucket", **place, le=_edge(edge)), faster
        yield labelled("http_request_duration_seconds_bucket", **place, le="+Inf"), float(count.served)
        yield labelled("http_request_duration_seconds_count", **place), float(count.served)
        spent = count.served * _MEAN_SECONDS * count.slowness
        yield labelled("http_request_duration_seconds_sum", **place), spent
        active = min(_POOL_SIZE, 3 + 2 * count.slowness) if count.served else 0.0
        yield labelled("storage_pool_connections", **place, state="active"), active
        yield labelled("storage_pool_connections", **place, state="idle"), _POOL_SIZE - active


def share_faster(seconds: float) -> float:
    """Return the share of requests that a usual release answers within some seconds."""
    return _DURATION.cdf(math.log(seconds / _MEDIAN_SECONDS))


def views(state: Mapping[str, Any]) -> dict[str, View]:
    """Read the environments from the state that the AWS process reports."""
    return {
        name: View(
            weights=said["weights"],
            effective=said["effective"],
            sides={colour: _side(side) for colour, side in said["colours"].items()},
        )
        for name, said in state["environments"].items()
    }


def _side(said: Mapping[str, Any]) -> Side:
    return Side(**{**said, "targets": tuple(Target(**target) for target in said["targets"])})


def _release(target: Target) -> releases.Release:
    return releases.RELEASES.get(target.version, releases.RELEASES[releases.LIVE])


def _edge(edge: float) -> str:
    return f"{edge:g}"
