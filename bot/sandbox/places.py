"""The two environments of the sandbox and the names of what they consist of."""

from collections.abc import Mapping
from dataclasses import dataclass

COLOURS = ("blue", "green")
TEST_HEADER = "X-Storage-Colour"
CONTAINER = "storage"
JOB = "storage-layer"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "sandbox", "AWS_SECRET_ACCESS_KEY": "sandbox"}


@dataclass(frozen=True, kw_only=True)
class Place:
    """One environment: `requests` per second of its own (scaled) time arrive at its load balancer."""

    name: str
    desired: int
    requests: float

    @property
    def cluster(self) -> str:
        """Return the name of the ECS cluster."""
        return f"llm-observatory-{self.name}"


PLACES: Mapping[str, Place] = {
    place.name: place
    for place in (
        Place(name="production", desired=6, requests=100.0),
        Place(name="staging", desired=2, requests=20.0),
    )
}


def service_name(colour: str) -> str:
    """Return the name of the ECS service of a colour."""
    return f"storage-{colour}"
