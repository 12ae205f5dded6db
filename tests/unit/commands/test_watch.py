"""The watch, decided from tables of readings: harm stops, doubt asks, only proof goes on, blindness is neither."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.settings import Durations, Thresholds
from commands.rollout import watch
from commands.rollout.records import Baseline, Reading
from commands.rollout.watch import Call
from tests.builders import NOON

LIMITS = watch.Limits(thresholds=Thresholds(), durations=Durations(), baseline=Baseline(p95=0.145, error_rate=0.0005))
TICK = timedelta(seconds=30)


def reading(**changes):
    values = {
        "at": NOON,
        "requests": 12_000.0,
        "errors": 6.0,
        "evaluate_requests": 30_000.0,
        "evaluate_errors": 15.0,
        "latency_requests": 30_000.0,
        "p95": 0.15,
        "healthy": 6,
        "desired": 6,
        "failed_tasks": 0,
    }
    return Reading(**(values | changes))


def run(*readings, paused=False, limits=LIMITS):
    """Feed readings one tick apart and return every judgement until it says something other than go on."""
    memory = watch.Memory(last=NOON)
    said = []
    for number, one in enumerate(readings, start=1):
        at = NOON + number * TICK
        memory, judgement = watch.judge(memory, Reading(**{**vars(one), "at": at}), limits, paused=paused)
        said.append(judgement)
        if judgement.call is not Call.GO_ON:
            break
    return said


def test_a_healthy_release_is_proven_after_the_whole_bake():
    said = run(*[reading()] * 40)
    assert said[-1].call is Call.PROVEN
    assert len(said) == Durations().bake / TICK


def test_two_percent_errors_are_harm_on_the_second_reading():
    said = run(*[reading(errors=240.0)] * 5)
    assert [one.call for one in said] == [Call.GO_ON, Call.HARM]
    assert "error rate 2.00% (limit 1.0%): 240 of 12000" in said[-1].reason


def test_one_bad_reading_between_good_ones_is_not_harm():
    bad, good = reading(errors=240.0), reading()
    assert run(bad, good, bad, good, bad, good)[-1].call is Call.GO_ON


@pytest.mark.parametrize(("errors", "requests"), [(4.0, 100.0), (5.0, 49.0), (1.0, 20.0)])
def test_a_handful_of_errors_is_not_enough_to_judge(errors, requests):
    few = reading(errors=errors, requests=requests, evaluate_errors=0.0)
    assert run(*[few] * 6)[-1].call is Call.GO_ON


def test_half_a_percent_is_asked_about_after_three_readings():
    said = run(*[reading(evaluate_errors=210.0)] * 5)
    assert [one.call for one in said] == [Call.GO_ON, Call.GO_ON, Call.ASK]


@pytest.mark.parametrize(
    ("p95", "call"), [(0.21, Call.GO_ON), (0.29, Call.ASK), (0.51, Call.HARM)], ids=["1.45x", "2x below floor", "3.5x"]
)
def test_latency_is_judged_against_the_hour_before(p95, call):
    assert run(*[reading(p95=p95)] * 3)[-1].call is call


def test_without_a_baseline_latency_is_never_blamed():
    limits = watch.Limits(thresholds=Thresholds(), durations=Durations(), baseline=Baseline(p95=None, error_rate=None))
    assert run(*[reading(p95=9.0)] * 5, limits=limits)[-1].call is Call.GO_ON


def test_missing_tasks_are_harm_after_a_minute():
    said = run(*[reading(healthy=5)] * 5)
    assert said[-1].code == "unhealthy"
    assert len(said) == 3


def test_a_crash_loop_is_harm_when_seen_twice():
    assert run(reading(failed_tasks=1), reading(failed_tasks=2))[-1].code == "crash_loop"


def test_an_unreachable_prometheus_is_neither_good_nor_bad_and_is_asked_about_after_ten_minutes():
    blind = Reading(at=NOON, desired=6, problem="connection refused")
    said = run(*[blind] * 40)
    assert said[-1].code == "blind"
    # blind after 4 errors in a row (2 minutes), then 10 minutes
    assert len(said) == 4 + 20


def test_the_bake_clock_stops_while_blind():
    blind = Reading(at=NOON, desired=6, problem="timeout", healthy=6)
    good = Durations().bake // TICK
    said = run(*[reading()] * (good - 1), *[blind] * 10, *[reading()] * 3)
    assert said[-1].call is Call.PROVEN
    assert len(said) == good + 10


def test_the_bake_clock_stops_while_paused_and_harm_is_still_harm():
    assert run(*[reading()] * 60, paused=True)[-1].call is Call.GO_ON
    assert run(*[reading(errors=240.0)] * 3, paused=True)[-1].call is Call.HARM


def test_no_traffic_is_asked_about_and_never_proven():
    silent = Reading(at=NOON, healthy=6, desired=6, failed_tasks=0, requests=0.0, errors=0.0)
    said = run(*[silent] * 20)
    assert said[-1].code == "no_data"


@given(st.lists(st.sampled_from(["blind", "silent"]), max_size=80))
def test_nothing_is_ever_proven_without_data(kinds):
    made = {
        "blind": Reading(at=NOON, desired=6, problem="away", healthy=6),
        "silent": Reading(at=NOON, desired=6, healthy=6, failed_tasks=0),
    }
    assert all(one.call is not Call.PROVEN for one in run(*[made[kind] for kind in kinds]))


def answered(first, later):
    """Ask about the first readings, let a person keep it, and feed the later ones."""
    memory = watch.Memory(last=NOON)
    number = 0
    while memory.asked_at is None:
        number += 1
        at = NOON + number * TICK
        memory, said = watch.judge(memory, Reading(**{**vars(first), "at": at}), LIMITS)
        if said.call is Call.ASK:
            memory = watch.asked(memory, said, at)
    memory = watch.kept(memory)
    said = []
    for step in range(1, 60):
        memory, judgement = watch.judge(memory, Reading(**{**vars(later), "at": at + step * TICK}), LIMITS)
        said.append(judgement)
        if judgement.call is not Call.GO_ON:
            break
    return said


def test_a_question_stays_open_until_it_is_answered_even_when_the_numbers_recover():
    memory, said = watch.Memory(last=NOON), None
    for number in range(1, 4):
        at = NOON + number * TICK
        memory, said = watch.judge(memory, Reading(**{**vars(reading(evaluate_errors=210.0)), "at": at}), LIMITS)
    memory = watch.asked(memory, said, at)
    memory, said = watch.judge(memory, reading(at=at + TICK), LIMITS)
    assert (said.call, said.code) == (Call.ASK, "error_rate")


def test_harm_while_a_question_is_open_is_harm():
    memory = watch.Memory(last=NOON, asked_at=NOON, question="error_rate", doubt="0.7 %")
    for number in range(1, 3):
        bad = Reading(**{**vars(reading(errors=240.0)), "at": NOON + number * TICK})
        memory, said = watch.judge(memory, bad, LIMITS)
    assert said.call is Call.HARM


def test_a_doubt_that_a_person_has_taken_on_is_not_asked_again_and_lets_the_watch_end():
    doubtful = reading(evaluate_errors=210.0)
    assert answered(doubtful, doubtful)[-1].call is Call.PROVEN


def test_another_doubt_is_asked_again():
    assert answered(reading(evaluate_errors=210.0), reading(p95=0.25))[-1].code == "latency"


def test_blindness_that_goes_on_is_asked_about_again():
    blind = Reading(at=NOON, desired=6, problem="away", healthy=6)
    assert answered(blind, blind)[-1].code == "blind"


def test_the_limit_that_is_shown_is_the_one_that_goes_back():
    slow = reading(p95=0.33)
    assert all(one.call is not Call.HARM for one in run(*[slow] * 10))
    assert "P95 330 ms (limit 500 ms)" in watch.describe(slow, LIMITS)
    burdened = watch.Limits(thresholds=Thresholds(), durations=Durations(), baseline=Baseline(p95=0.4, error_rate=0.0))
    assert "(limit 800 ms)" in watch.describe(slow, burdened)
