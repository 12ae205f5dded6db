"""What the sandbox's PagerDuty accepts, refuses and remembers."""

from datetime import UTC, datetime

import pytest

from bot.sandbox import charts, pager, pagerduty_shapes
from bot.sandbox.pager import Pager, Rejected

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
JOHN = "john@llm-observatory.io"


def event(**given):
    payload = {"summary": "error rate 2 %", "source": "opsbot", "severity": "critical", **given.pop("payload", {})}
    base = {"routing_key": pager.ROUTING_KEY, "event_action": "trigger", "dedup_key": "dep_1", "payload": payload}
    return {**base, **given}


def opened():
    kept = Pager()
    kept.accept(event(), NOW)
    return kept, next(iter(kept.incidents.values()))


def test_a_trigger_opens_an_incident_and_pages_the_first_level_once():
    kept, incident = opened()
    kept.accept(event(), NOW)
    assert [(page.level, page.who) for page in kept.pages] == [(1, "Charlie Brown")]
    assert (len(kept.incidents), incident.status, len(kept.events)) == (1, "triggered", 2)


def test_a_trigger_without_a_key_gets_one():
    assert len(Pager().accept(event(dedup_key=None), NOW)) == 32


def test_after_resolve_the_same_key_is_a_new_incident():
    kept, incident = opened()
    kept.accept(event(event_action="acknowledge"), NOW)
    assert incident.status == "acknowledged"
    kept.accept(event(event_action="resolve"), NOW)
    assert incident.status == "resolved"
    kept.accept(event(), NOW)
    assert (len(kept.incidents), len(kept.pages)) == (2, 2)


def test_an_event_for_an_unknown_key_is_dropped_without_harm():
    kept = Pager()
    kept.accept(event(event_action="resolve", dedup_key="never"), NOW)
    assert not kept.incidents


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"routing_key": ""}, "routing_key"),
        ({"routing_key": "short"}, "32 characters"),
        ({"routing_key": "x" * 32}, "unknown"),
        ({"event_action": "explode"}, "event_action"),
        ({"event_action": "resolve", "dedup_key": ""}, "dedup_key"),
        ({"dedup_key": "k" * 256}, "dedup_key"),
        ({"payload": {"severity": "P0"}}, "severity"),
        ({"payload": {"summary": ""}}, "summary"),
        ({"payload": {"summary": "s" * 1025}}, "1024"),
        ({"payload": {"source": None}}, "source"),
        ({"payload": {"timestamp": "yesterday"}}, "timestamp"),
    ],
)
def test_a_bad_event_is_rejected_with_its_reason(given, said):
    kept = Pager()
    with pytest.raises(Rejected, match=said):
        kept.accept(event(**given), NOW)
    assert not kept.events


def test_a_change_event_needs_a_summary():
    kept = Pager()
    kept.accept_change({"routing_key": pager.ROUTING_KEY, "payload": {"summary": "v0.1.0 deployed"}}, NOW)
    with pytest.raises(Rejected, match="summary"):
        kept.accept_change({"routing_key": pager.ROUTING_KEY, "payload": {}}, NOW)
    assert len(kept.changes) == 1


def test_escalation_pages_the_next_level():
    kept, incident = opened()
    kept.change(incident, {"type": "incident_reference", "escalation_level": 2}, JOHN, NOW)
    kept.change(incident, {"type": "incident_reference", "escalation_level": 2}, JOHN, NOW)
    assert [page.level for page in kept.pages] == [1, 2]
    assert pagerduty_shapes.incident(incident)["assignments"][0]["assignee"]["summary"] == "John Smith"


def test_escalation_of_an_acknowledged_incident_triggers_it_again():
    kept, incident = opened()
    kept.change(incident, {"type": "incident_reference", "status": "acknowledged"}, JOHN, NOW)
    assert pagerduty_shapes.incident(incident)["acknowledgements"][0]["acknowledger"]["summary"] == "John Smith"
    kept.change(incident, {"type": "incident_reference", "escalation_level": 3}, JOHN, NOW)
    assert incident.status == "triggered"


@pytest.mark.parametrize("wanted", [None, {}, {"type": "x", "status": "acked"}, {"type": "x", "escalation_level": 5}])
def test_a_bad_change_is_rejected(wanted):
    kept, incident = opened()
    with pytest.raises(Rejected):
        kept.change(incident, wanted, JOHN, NOW)


def test_a_resolved_incident_cannot_be_changed():
    kept, incident = opened()
    kept.change(incident, {"type": "incident_reference", "status": "resolved"}, JOHN, NOW)
    with pytest.raises(Rejected, match="Already Resolved"):
        kept.change(incident, {"type": "incident_reference", "status": "acknowledged"}, JOHN, NOW)


def test_the_page_shows_all_four_levels():
    kept, _ = opened()
    shown = charts.pages(kept.pages)
    assert [(each["level"], each["count"]) for each in shown] == [(1, 1), (2, 0), (3, 0), (4, 0)]
    assert shown[0]["last"] == "error rate 2 %"


def test_somebody_is_on_call_at_every_level():
    assert [each["escalation_level"] for each in pagerduty_shapes.oncalls()["oncalls"]] == [1, 2, 3, 4]
