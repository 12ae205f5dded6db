"""Small verdicts: is the idle colour ready, does the traffic follow, is the old colour empty."""

import pytest

from bot.settings import Thresholds
from commands.rollout import judges
from commands.rollout.records import IdleLook, TrafficLook
from tests.builders import DIGEST, NOON, changed, plan

LIMITS = Thresholds()


def look(**changes):
    values = {
        "at": NOON,
        "rollout": "COMPLETED",
        "task_definition": "arn:td:4",
        "deployments": 1,
        "desired": 6,
        "running": 6,
        "failed_tasks": 0,
        "healthy": 6,
        "images": (DIGEST,) * 6,
    }
    return IdleLook(**(values | changes))


def traffic(live, idle, problem=""):
    return TrafficLook(at=NOON, live=live, idle=idle, problem=problem)


def test_a_colour_with_every_task_healthy_on_the_planned_image_is_ready():
    assert judges.idle_ready(look(), plan()).code == "ready"


@pytest.mark.parametrize(
    "change",
    [
        {"rollout": "IN_PROGRESS"},
        {"healthy": 5},
        {"running": 5},
        {"deployments": 2},
        {"images": (DIGEST,) * 5},
        {"failed_tasks": 1},
        {"problem": "AWS is away"},
        {"desired": 5, "running": 5},
    ],
)
def test_anything_less_is_waited_for(change):
    assert judges.idle_ready(look(**change), plan()).code == "waiting"


@pytest.mark.parametrize("change", [{"rollout": "FAILED"}, {"images": ("sha256:other",) * 6}])
def test_what_cannot_become_ready_fails_at_once(change):
    assert judges.idle_ready(look(**change), plan()).code == "failed"


@pytest.mark.parametrize(
    ("live", "idle", "expected"),
    [
        (0.0, 100.0, True),
        (None, 100.0, True),
        (1.0, 99.0, True),
        (5.0, 95.0, False),
        (100.0, None, False),
        (0.0, 0.0, False),
    ],
)
def test_traffic_follows_only_when_it_is_seen_on_the_new_colour(live, idle, expected):
    assert judges.follows(traffic(live, idle), LIMITS) is expected
    assert judges.is_back(traffic(idle, live), LIMITS) is expected


def test_an_unreadable_look_confirms_nothing():
    blind = traffic(None, 100.0, problem="timeout")
    assert not judges.follows(blind, LIMITS)
    assert not judges.drained(blind)


@pytest.mark.parametrize(("live", "expected"), [(0.0, True), (None, True), (0.2, False)])
def test_a_colour_is_drained_when_it_has_no_requests(live, expected):
    assert judges.drained(traffic(live, 100.0)) is expected


def test_sentences_name_both_colours():
    assert judges.traffic_sentence(changed(traffic(0.0, 99.5)), plan()) == "green 99.5 requests/s, blue 0.0 requests/s"
