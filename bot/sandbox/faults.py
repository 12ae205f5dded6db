"""The faults of the world that somebody can switch on: their names, their labels, and what they mean to each part."""

from collections.abc import Mapping
from dataclasses import dataclass

SLOW_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One switch. `aws` is what the AWS process is told while it is on; `listed` puts it on the page."""

    name: str
    label: str
    aws: Mapping[str, float | bool] | None = None
    listed: bool = True


FAULTS: Mapping[str, Fault] = {
    fault.name: fault
    for fault in (
        Fault(name="aws_throttled", label="AWS throttles every call", aws={"throttle": True}),
        Fault(name="aws_timeout", label="AWS does not answer", aws={"timeout": True}),
        Fault(name="aws_denied", label="AWS denies every call", aws={"deny": True}, listed=False),
        Fault(name="aws_lost_reply", label="AWS writes and never answers", aws={"lost_reply": True}, listed=False),
        Fault(
            name="slow_propagation",
            label=f"Weights reach the traffic {SLOW_SECONDS:g} s later",
            aws={"slow_propagation": SLOW_SECONDS},
        ),
        Fault(name="prometheus_blind", label="Prometheus is down"),
        Fault(name="prometheus_frozen", label="Prometheus stops to scrape"),
        Fault(name="pagerduty_down", label="PagerDuty is down"),
    )
}


def told(fault: Fault, *, on: bool) -> dict[str, float | bool]:
    """Return what the AWS process is told when the switch is turned."""
    return {name: value if on else type(value)() for name, value in (fault.aws or {}).items()}
