"""The ladder at the opening: frozen levels, level 1 at once, nobody at P3; and the page itself."""

from datetime import timedelta

from bot.settings import RUNBOOK_LADDER
from escalation import ladder, messages
from escalation.records import Incident, IncidentId, Trouble
from tests.builders import NOON

TROUBLE = Trouble(
    key="opsbot:production:dep_1",
    severity="P1",
    environment="production",
    title="Deploy v0.1.1 to production rolled back: " + "x" * 2000,
    reason="harm_error_rate",
    evidence=("error rate 2 % (limit 1 %)",),
    card="dep_1",
    deployment="dep_1",
    facts=(("version", "v0.1.1"),),
)
INCIDENT = Incident(
    id=IncidentId("inc_1"),
    dedup_key=TROUBLE.key,
    severity="P1",
    environment="production",
    title=TROUBLE.title,
    state="open",
    level=0,
    fence=0,
    card="dep_1",
    deployment="dep_1",
    ladder=ladder.freeze(RUNBOOK_LADDER),
    opened_at=NOON,
)


def test_the_runbooks_ladder_is_frozen_as_it_is():
    assert [(rung.level, rung.after) for rung in INCIDENT.ladder] == [
        (1, timedelta(0)),
        (2, timedelta(minutes=15)),
        (3, timedelta(minutes=30)),
        (4, timedelta(minutes=60)),
    ]


def test_level_one_is_paged_when_an_incident_opens():
    assert ladder.first(INCIDENT.ladder, "P1").level == 1
    assert ladder.first(INCIDENT.ladder, "P0").level == 1


def test_a_p3_pages_nobody():
    assert ladder.first(INCIDENT.ladder, "P3") is None


def test_the_page_carries_deployment_reason_evidence_and_thread():
    event = messages.event(INCIDENT, TROUBLE, now=NOON, thread="https://x.slack.com/archives/C/p1")
    details = event["payload"]["custom_details"]
    assert event["dedup_key"] == TROUBLE.key
    assert len(event["payload"]["summary"]) == 1024
    assert details["version"] == "v0.1.1"
    assert details["evidence"] == ["error rate 2 % (limit 1 %)"]
    assert details["thread"].endswith("/p1")


def test_without_a_thread_the_page_goes_out_all_the_same():
    event = messages.event(INCIDENT, TROUBLE, now=NOON, thread="")
    assert event["links"] == []


def test_the_thread_url_is_slacks_permalink():
    assert messages.thread_url("https://x.slack.com/", "C1", "17.25") == "https://x.slack.com/archives/C1/p1725"
    assert messages.thread_url("", "C1", "17.25") == ""
