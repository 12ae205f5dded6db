"""The world under faults, its HTTP interfaces, and how its processes live and die."""

import asyncio
import os
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from world_hands import EVENT, SPEED, Hands, until

from bot.clients.pagerduty import PagerDuty
from bot.clients.service import StorageService
from bot.errors import OutcomeUnknown, Refused, Throttled, Unavailable
from bot.sandbox.cloud import Cloud
from bot.sandbox.world import World


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def world(tmp_path_factory):
    made = World(speed=SPEED, home=tmp_path_factory.mktemp("world"))
    await made.start()
    yield made
    await made.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def hands(world):
    with pytest.MonkeyPatch.context() as patch:
        for name, value in world.environment_variables("http://127.0.0.1:1/api/", "postgresql://x/y").items():
            patch.setenv(name, value)
        made = Hands(world)
        yield made
        await made.close()


@pytest_asyncio.fixture(loop_scope="session")
async def healed(world):
    """Switch every fault off after the test."""
    yield world
    for fault in world.panel()["faults"]:
        await world.set_fault(fault["name"], False)


async def test_throttled_and_denied_aws_is_told_apart(hands, healed):
    await healed.set_fault("aws_throttled", True)
    with pytest.raises(Throttled):
        await hands.service("staging", "blue")
    await healed.set_fault("aws_throttled", False)
    await healed.set_fault("aws_denied", True)
    with pytest.raises(Refused):
        await hands.service("staging", "blue")
    await healed.set_fault("aws_denied", False)
    assert (await hands.service("staging", "blue")).name == "storage-blue"


async def test_a_blind_prometheus_says_nothing_and_a_frozen_one_gets_old(hands, healed):
    await healed.set_fault("prometheus_blind", True)
    with pytest.raises(Unavailable):
        await hands.prometheus.scalar("vector(1)")
    await healed.set_fault("prometheus_blind", False)
    await healed.set_fault("prometheus_frozen", True)
    await asyncio.sleep(1)
    assert await hands.prometheus.scalar("max(time() - timestamp(up))") > 0.8


async def test_prometheus_speaks_its_http_api(world):
    async with httpx.AsyncClient(base_url=f"{world.url}/prometheus") as client:
        assert (await client.get("/-/healthy")).text == "Prometheus Server is Healthy.\n"
        answer = (await client.get("/api/v1/query", params={"query": "1 / 0", "time": "1700000000.5"})).json()
        assert answer == {"status": "success", "data": {"resultType": "scalar", "result": [1700000000.5, "+Inf"]}}
        answer = (
            await client.post("/api/v1/query", data={"query": "vector(0.05)", "time": "2026-01-01T00:00:00Z"})
        ).json()
        assert answer["data"]["result"] == [{"metric": {}, "value": [1767225600.0, "0.05"]}]
        bad = await client.get("/api/v1/query", params={"query": "sum("})
        assert (bad.status_code, bad.json()["status"], bad.json()["errorType"]) == (400, "error", "bad_data")
        many = await client.get("/api/v1/query", params={"query": "up / on () up"})
        assert (many.status_code, many.json()["errorType"]) == (422, "execution")
        now = time.time()
        asked = {"query": "count(up)", "start": now - 60, "end": now - 1, "step": "10s"}
        ranged = (await client.get("/api/v1/query_range", params=asked)).json()["data"]
        assert (ranged["resultType"], len(ranged["result"][0]["values"])) == ("matrix", 6)
        for wrong in ({"step": "0"}, {"step": "x"}, {"end": now - 100}, {"start": "soon"}, {"step": "1ms"}):
            assert (await client.get("/api/v1/query_range", params=asked | wrong)).status_code == 400, wrong
        targets = (await client.get("/api/v1/targets")).json()["data"]["activeTargets"]
        assert {target["health"] for target in targets} == {"up"}
        assert (await client.get("/api/v1/rules")).json()["data"] == {"groups": []}
        assert (await client.get("/api/v1/alerts")).json()["data"] == {"alerts": []}


async def test_the_service_stores_and_lists_traces(hands):
    storage = StorageService(hands.place("production").url)
    written = await storage.probe("/api/v1/traces", method="POST", body={"trace_id": "t1", "model": "m"})
    assert (written.status, written.json["trace_id"]) == (201, "t1")
    assert written.seconds < 0.1
    read = await storage.probe("/api/v1/traces?limit=100")
    assert "t1" in {trace["trace_id"] for trace in read.json["traces"]}
    assert read.seconds < 0.2
    assert (await storage.probe("/api/v1/traces?limit=0")).status == 400
    assert (await storage.probe("/api/v1/traces", method="POST", body=[1])).status == 400
    assert "http_requests_total{" in (await storage.probe("/metrics")).body
    await storage.close()


async def test_a_page_reaches_level_one_once_however_often_it_is_sent(hands, world):
    for _ in range(2):
        assert await hands.pagerduty.send_event({**EVENT, "dedup_key": "once"}) == "once"
    assert [page.who for page in world.pages(1) if page.dedup_key == "once"] == ["Charlie Brown"]
    await hands.pagerduty.send_change({"summary": "v0.1.0", "timestamp": "2026-01-01T00:00:00Z"})
    assert world.pagerduty.pager.changes[-1]["payload"]["summary"] == "v0.1.0"
    with pytest.raises(Refused, match="severity"):
        await hands.pagerduty.send_event({**EVENT, "payload": EVENT["payload"] | {"severity": "P0"}})


@pytest.mark.parametrize("outage", ["error", "reset", "throttle"])
async def test_an_outage_of_pagerduty_takes_no_event(hands, world, healed, outage):
    await world.set_fault("pagerduty_down", True)
    world.pagerduty.fail(outage)
    before = len(world.pagerduty.pager.events)
    with pytest.raises(Throttled if outage == "throttle" else Unavailable):
        await hands.pagerduty.send_event({**EVENT, "dedup_key": outage})
    assert len(world.pagerduty.pager.events) == before


async def test_a_hanging_pagerduty_leaves_the_outcome_unknown(hands, world, healed):
    await world.set_fault("pagerduty_down", True)
    world.pagerduty.fail("hang")
    hasty = PagerDuty(
        hands.settings.pagerduty_routing_key.get_secret_value(),
        events_url=hands.settings.pagerduty_events_url,
        limit=timedelta(seconds=0.3),
    )
    with pytest.raises(OutcomeUnknown):
        await hasty.send_event({**EVENT, "dedup_key": "hang"})
    await hasty.close()
    assert not [page for page in world.pages() if page.dedup_key == "hang"]


async def test_pagerduty_answers_the_rest_calls_of_the_bot(hands, world):
    await hands.pagerduty.send_event({**EVENT, "dedup_key": "rest"})
    head = {"Authorization": "Token token=sandbox-api-key", "From": "charlie@llm-observatory.io"}
    async with httpx.AsyncClient(base_url=f"{world.url}/pagerduty/rest", headers=head) as client:
        found = (await client.get("/incidents", params={"incident_key": "rest", "statuses[]": "triggered"})).json()
        (incident,) = found["incidents"]
        body = {"incident": {"type": "incident_reference", "escalation_level": 2}}
        changed = (await client.put(f"/incidents/{incident['id']}", json=body)).json()["incident"]
        assert changed["assignments"][0]["assignee"]["summary"] == "John Smith"
        note = await client.post(f"/incidents/{incident['id']}/notes", json={"note": {"content": "seen"}})
        assert note.json()["note"]["content"] == "seen"
        assert [
            each["content"] for each in (await client.get(f"/incidents/{incident['id']}/notes")).json()["notes"]
        ] == ["seen"]
        for path in ("/oncalls", "/users", "/abilities", "/services/PLLMOBS", "/escalation_policies/PLADDER"):
            assert (await client.get(path)).status_code == 200, path
        assert (await client.get("/incidents/PNONE")).json()["error"]["code"] == 2100
        stranger = await client.put(f"/incidents/{incident['id']}", json=body, headers={"From": "x@y.z"})
        assert stranger.status_code == 400
        assert (await client.get("/users", headers={"Authorization": "Token token=no"})).status_code == 401
    assert [page.level for page in world.pages() if page.dedup_key == "rest"] == [1, 2]


async def test_the_panel_has_the_shape_the_page_draws(world):
    await asyncio.sleep(0.6)
    panel = world.panel()
    assert panel["speed"] == SPEED
    assert [each["name"] for each in panel["environments"]] == ["production", "staging"]
    colour = panel["environments"][0]["colours"][0]
    assert set(colour) == {"name", "version", "weight", "healthy", "desired", "rps", "errors"}
    assert 0 < len(colour["rps"]) <= 60
    live = next(each for each in panel["environments"][0]["colours"] if each["weight"] == 100)
    assert live["rps"][-1] == pytest.approx(100 * SPEED, rel=0.3)
    assert [each["level"] for each in panel["pages"]] == [1, 2, 3, 4]
    assert {each["name"] for each in panel["faults"]} == {
        "aws_throttled", "aws_timeout", "slow_propagation", "prometheus_blind", "prometheus_frozen", "pagerduty_down",
    }  # fmt: skip


async def test_an_unknown_fault_and_an_impossible_speed_are_refused(world, tmp_path):
    with pytest.raises(KeyError):
        await world.set_fault("earthquake", True)
    with pytest.raises(ValueError, match="speed"):
        World(speed=1000, home=tmp_path)


async def test_aws_dies_with_its_parent_and_with_nobody_else(tmp_path):
    """A parent that is killed cannot tidy up: the process must notice by itself."""
    state = tmp_path / "aws.json"
    child = [sys.executable, "-m", "bot.sandbox.aws", "--speed", "60", "--state", str(state)]
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c",
        f"import subprocess, time; p = subprocess.Popen({child!r}, stdin=subprocess.PIPE); print(p.pid, flush=True); time.sleep(60)",
        stdout=subprocess.PIPE,
    )  # fmt: skip
    pid = int(await parent.stdout.readline())
    await until(state.exists, seconds=30)
    os.kill(pid, 0)
    parent.kill()
    await parent.wait()
    await until(lambda: not alive(pid), seconds=5)


def alive(pid):
    try:
        with Path(f"/proc/{pid}/stat").open() as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_a_start_that_fails_says_where_to_look(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    cloud = Cloud(speed=1, home=tmp_path)
    with pytest.raises(Unavailable, match=r"aws\.log"):
        await cloud.start()
    await cloud.stop()
