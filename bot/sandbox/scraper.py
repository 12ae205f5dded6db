"""Moves the traffic through time and scrapes it on an even grid, whenever somebody looks: being late loses nothing."""

from collections.abc import Mapping

from bot.sandbox.samples import Samples
from bot.sandbox.traffic import Traffic, View

SCRAPE_SECONDS = 10.0
LOOKBACK_SECONDS = 300.0
HISTORY_SECONDS = 2 * 3600.0
_RETENTION_SECONDS = 6 * 3600.0


class Scraper:
    """Samples of a world that is `speed` times as fast as ours. Moments are milliseconds since the epoch."""

    def __init__(self, speed: float, *, views: Mapping[str, View], now: int, seed: int = 1) -> None:
        self.speed = speed
        self.frozen = False
        self.traffic = Traffic(seed)
        self.views = views
        # Rounded down, so that a window of two intervals always holds two samples.
        self.interval = max(1, int(SCRAPE_SECONDS * 1000 / speed))
        self.lookback = max(2 * self.interval, int(LOOKBACK_SECONDS * 1000 / speed))
        self.samples = Samples(retention=int(_RETENTION_SECONDS * 1000 / speed))
        self.last_scrape = 0
        self._at = now - int(HISTORY_SECONDS * 1000 / speed)
        self._next = self._at
        self.catch_up(now)

    def catch_up(self, now: int) -> None:
        """Serve and scrape up to now."""
        while self._next <= now:
            self._serve(self._next)
            if not self.frozen:
                self.samples.append(self._next, self.traffic.scrape(self.views))
                self.last_scrape = self._next
            self._next += self.interval
        self._serve(now)

    def turn(self, views: Mapping[str, View], now: int) -> None:
        """From now on the environments look like this."""
        self.catch_up(now)
        self.views = views

    def freeze(self, *, on: bool, now: int) -> None:
        """Stop to scrape, or go on; what was counted meanwhile shows with the next scrape."""
        self.catch_up(now)
        self.frozen = on

    def _serve(self, until: int) -> None:
        if until > self._at:
            self.traffic.step(self.views, (until - self._at) / 1000 * self.speed)
            self._at = until
