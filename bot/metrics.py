"""The numbers this process shows to Prometheus, in a registry of its own."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)

BUILD = Gauge("opsbot_build_info", "Always 1; the version is in the label", ["version"], registry=REGISTRY)
OUTBOX_PENDING = Gauge(
    "opsbot_outbox_pending", "Messages, cards and pages waiting to be sent", ["lane"], registry=REGISTRY
)
OUTBOX_AGE = Gauge(
    "opsbot_outbox_oldest_seconds", "Age of the oldest message that is still waiting", ["lane"], registry=REGISTRY
)
SENDS = Counter("opsbot_sends", "Attempts to send something outside", ["kind", "result"], registry=REGISTRY)
SEND_SECONDS = Histogram(
    "opsbot_send_seconds",
    "How long one attempt to send took",
    ["kind"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
    registry=REGISTRY,
)
SOCKETS = Gauge("opsbot_slack_sockets_connected", "Live Socket Mode connections to Slack", registry=REGISTRY)
WORKFLOWS = Gauge("opsbot_workflows", "Live workflows of all replicas", ["name", "status"], registry=REGISTRY)
LEASE_AGE = Gauge(
    "opsbot_lease_age_seconds", "Time since this process renewed its right to run workflows", registry=REGISTRY
)
READY = Gauge("opsbot_ready", "Whether a part of this process is ready", ["part"], registry=REGISTRY)


def render() -> bytes:
    """Return everything in Prometheus' text format."""
    return generate_latest(REGISTRY)
