"""When changed weights reach the traffic: a real load balancer takes a while and names no bound."""

from collections.abc import Mapping
from typing import ClassVar


class Propagation:
    """Remembers which weights work by now. Time is real seconds, passed in."""

    USUAL_SECONDS: ClassVar[float] = 2.0

    def __init__(self) -> None:
        self.effective: dict[str, dict[str, int]] = {}
        self._seen: dict[str, dict[str, int]] = {}
        self._since: dict[str, float] = {}

    @property
    def pending(self) -> bool:
        """Tell whether some weights were written and do not work yet."""
        return self.effective != self._seen

    def step(self, now: float, weights: Mapping[str, dict[str, int]], *, lag: float) -> bool:
        """Take in what the rules say now; True when the working weights of an environment turned."""
        turned = False
        for name, said in weights.items():
            if name not in self.effective:
                self.effective[name] = self._seen[name] = said
            if said != self._seen[name]:
                self._seen[name], self._since[name] = said, now
            if self.effective[name] != said and now - self._since[name] >= lag:
                self.effective[name], turned = said, True
        return turned
