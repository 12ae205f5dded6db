"""The users of the sandbox: what they count is coherent with weights, tasks and releases."""

import pytest

from bot.sandbox import releases
from bot.sandbox.promql import Evaluator, parse
from bot.sandbox.propagation import Propagation
from bot.sandbox.samples import labelled
from bot.sandbox.scraper import Scraper
from bot.sandbox.traffic import Side, Target, Traffic, View, share_faster

START = 1_800_000_000_000


def side(version="v0.0.9", tasks=6, healthy=None, first=5):
    healthy = tasks if healthy is None else healthy
    targets = tuple(
        Target(id=f"{first + n}", address=f"10.0.0.{first + n}", version=version, healthy=n < healthy)
        for n in range(tasks)
    )
    return Side(version=version, desired=tasks, running=tasks, healthy=healthy, rollout="COMPLETED", targets=targets)


def view(blue=100, green=0, *, live=None, idle=None):
    weights = {"blue": blue, "green": green}
    return View(weights=weights, effective=weights, sides={"blue": live or side(), "green": idle or side(tasks=0)})


def value(scraper, query, moment):
    found = Evaluator(samples=scraper.samples, lookback=scraper.lookback, moment=moment).value(parse(query))
    return found if isinstance(found, float) else found[0].value


def count(traffic, colour, status):
    return sum(
        value
        for labels, value in traffic.scrape({"production": view(live=side(), idle=side("v0.1.1", first=50))}).items()
        if {("__name__", "http_requests_total"), ("color", colour), ("status", status)} <= set(labels)
    )


def test_a_colour_without_weight_gets_no_request():
    traffic = Traffic()
    views = {"production": view(idle=side("v0.1.1", first=50))}
    traffic.step(views, 600)
    assert count(traffic, "blue", "200") == pytest.approx(60_000, rel=0.04)
    assert count(traffic, "green", "200") == 0


def test_requests_follow_the_weights():
    traffic = Traffic()
    traffic.step({"production": view(75, 25, idle=side("v0.1.0", first=50))}, 600)
    assert count(traffic, "blue", "200") / count(traffic, "green", "200") == pytest.approx(3, rel=0.01)


@pytest.mark.parametrize(("version", "share"), [("v0.1.0", 0.0005), ("v0.1.1", 0.02)])
def test_a_release_fails_its_share_of_requests(version, share):
    traffic = Traffic()
    views = {"production": view(0, 100, idle=side(version, first=50))}
    for _ in range(360):
        traffic.step(views, 10)
    failed = sum(each.failed for each in traffic.counts.values())
    assert failed / sum(each.served for each in traffic.counts.values()) == pytest.approx(share, rel=0.2)


def test_a_colour_with_weight_and_no_healthy_task_answers_503():
    traffic = Traffic()
    views = {"production": view(0, 100, idle=side("v0.1.3", healthy=0, first=50))}
    traffic.step(views, 10)
    shown = traffic.scrape(views)
    refused = {labels: value for labels, value in shown.items() if ("status", "503") in labels}
    assert sum(refused.values()) == pytest.approx(1000, rel=0.04)


def test_a_status_has_no_series_before_it_occurs():
    traffic = Traffic()
    views = {"production": view()}
    traffic.step(views, 0.001)
    assert not [labels for labels in traffic.scrape(views) if ("status", "500") in labels]


def test_the_same_seed_counts_the_same():
    first, second = Traffic(7), Traffic(7)
    for traffic in (first, second):
        traffic.step({"production": view()}, 3600)
    assert first.counts == second.counts
    assert first.counts != Traffic(8).counts


def test_a_stopped_task_takes_its_counters_along():
    traffic = Traffic()
    traffic.step({"production": view()}, 10)
    traffic.step({"production": view(live=side(tasks=1))}, 10)
    assert len(traffic.counts) == 1


@pytest.mark.parametrize(("version", "p95"), [("v0.1.0", 0.1475), ("v0.1.2", 0.3294)])
def test_the_p95_shows_how_fast_a_release_is(version, p95):
    scraper = Scraper(60, views={"production": view(live=side(version))}, now=START)
    query = 'histogram_quantile(0.95, sum by (le) (rate(http_request_duration_seconds_bucket{color="blue"}[5s])))'
    assert value(scraper, query, START) == pytest.approx(p95, rel=0.02)


def test_buckets_grow_with_their_bound():
    assert share_faster(0.1) < share_faster(0.15) < share_faster(0.5) < 1
    assert share_faster(0.145) == pytest.approx(0.95, abs=0.001)


@pytest.mark.parametrize("speed", [1, 10, 60, 240])
def test_a_window_of_twenty_seconds_always_holds_a_rate(speed):
    scraper = Scraper(speed, views={"production": view()}, now=START)
    window = int(20_000 / speed)
    for late in range(0, 2000, 37):
        scraper.catch_up(START + late)
        rate = value(scraper, f'sum(rate(http_requests_total{{color="blue"}}[{window}ms]))', START + late)
        assert rate / speed == pytest.approx(100, rel=0.06)


def test_the_hour_before_is_there_at_the_start():
    scraper = Scraper(60, views={"production": view()}, now=START)
    grown = value(scraper, 'sum(increase(http_requests_total{color="blue"}[60s]))', START)
    assert grown == pytest.approx(360_000, rel=0.02)


def test_a_late_scraper_loses_nothing():
    often = Scraper(60, views={"production": view()}, now=START)
    once = Scraper(60, views={"production": view()}, now=START)
    for late in range(0, 60_000, 250):
        often.catch_up(START + late)
    once.catch_up(START + 60_000)
    query = 'sum(increase(http_requests_total{color="blue"}[30s]))'
    assert value(often, query, START + 59_000) == pytest.approx(value(once, query, START + 59_000), rel=0.01)


def test_a_frozen_scraper_shows_nothing_new_and_then_everything():
    scraper = Scraper(60, views={"production": view()}, now=START)
    newest = scraper.last_scrape
    scraper.freeze(on=True, now=START)
    scraper.catch_up(START + 3000)
    assert scraper.last_scrape == newest
    scraper.freeze(on=False, now=START + 3000)
    scraper.catch_up(START + 3400)
    grown = value(scraper, 'sum(increase(http_requests_total{color="blue"}[3600ms]))', START + 3400)
    assert grown == pytest.approx(100 * 60 * 3.6, rel=0.1)


def test_series_of_a_stopped_task_are_stale_at_once():
    scraper = Scraper(60, views={"production": view()}, now=START)
    scraper.turn({"production": view(live=side(tasks=2))}, START)
    scraper.catch_up(START + scraper.interval)
    assert value(scraper, "count(up)", START + scraper.interval) == 2


def test_what_is_too_old_is_forgotten():
    scraper = Scraper(240, views={"production": view()}, now=START)
    scraper.catch_up(START + 200_000)
    series = next(iter(scraper.samples._by_name["up"]))
    six_hours = 6 * 3600 * 1000 / 240 / scraper.interval
    assert len(series.times) <= six_hours + 512


def test_weights_work_after_the_lag():
    propagation, before, after = Propagation(), {"blue": 100, "green": 0}, {"blue": 0, "green": 100}
    assert not propagation.step(0.0, {"production": before}, lag=2)
    assert not propagation.step(1.0, {"production": after}, lag=2)
    assert propagation.effective["production"] == before
    assert not propagation.step(2.9, {"production": after}, lag=2)
    assert propagation.step(3.0, {"production": after}, lag=2)
    assert propagation.effective["production"] == after


def test_every_release_has_its_own_digest_and_is_found_by_it():
    digests = {release.digest for release in releases.RELEASES.values()}
    assert len(digests) == len(releases.RELEASES)
    for version, release in releases.RELEASES.items():
        assert releases.find(release.image) is release
        assert releases.find(f"{releases.REGISTRY}:{version}") is release
    assert releases.find("somewhere/else:v0.1.0") is None
    assert releases.find(f"{releases.REGISTRY}@sha256:{'0' * 64}") is None


def test_labels_are_in_one_order():
    assert labelled("up", b="2", a="1") == labelled("up", a="1", b="2")
