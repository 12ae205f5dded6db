"""The whole world on loopback, driven with the bot's own clients: what AWS is told, users and metrics show."""

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

from bot import settings
from bot.clients.aws import Aws
from bot.clients.ecr import Ecr
from bot.clients.ecs import Ecs
from bot.clients.elb import Elb
from bot.clients.pagerduty import PagerDuty
from bot.clients.prometheus import Prometheus
from bot.clients.scaling import Scaling
from bot.clients.service import StorageService
from bot.errors import OpsError, OutcomeUnknown, Refused, Throttled, Unavailable
from bot.sandbox import releases
from bot.sandbox.cloud import Cloud
from bot.sandbox.world import World

SPEED = 60.0
EVENT = {"event_action": "trigger", "payload": {"summary": "harm", "source": "test", "severity": "critical"}}


class Hands:
    """A person with the bot's clients."""

    def __init__(self, world):
        self.world = world
        self.settings = settings.load()
        self.aws = Aws(releases.REGION)
        self.ecr, self.ecs, self.elb, self.scaling = Ecr(self.aws), Ecs(self.aws), Elb(self.aws), Scaling(self.aws)
        self.prometheus = Prometheus(self.settings.prometheus_url)
        self.pagerduty = PagerDuty(
            self.settings.pagerduty_routing_key.get_secret_value(), events_url=self.settings.pagerduty_events_url
        )

    def place(self, name):
        return self.settings.environment(name)

    def idle(self, name):
        weights = self.world.weights(name)
        return min(weights, key=weights.get)

    async def prepare(self, name, colour, version, desired):
        place = self.place(name)
        digest = await self.ecr.digest(place.repository, version)
        service = await self.ecs.service(place.cluster, place.colour(colour).service)
        base = await self.ecs.image(service.task_definition, "storage")
        image = f"{base.partition('@')[0]}@{digest}"
        definition = await self.ecs.revision_for(service.task_definition, "storage", image)
        await self.ecs.update(place.cluster, place.colour(colour).service, task_definition=definition, desired=desired)
        return digest

    async def service(self, name, colour):
        place = self.place(name)
        return await self.ecs.service(place.cluster, place.colour(colour).service)

    async def switch(self, name, **weights):
        place = self.place(name)
        groups = {place.colour(colour).target_group: weight for colour, weight in weights.items()}
        await self.elb.set_weights(place.listener_rule, groups)

    async def deployed(self, name, version):
        """Bring a version to the idle colour and give it all traffic."""
        colour = self.idle(name)
        other = "green" if colour == "blue" else "blue"
        desired = self.world.colour(name, other).desired
        await self.prepare(name, colour, version, desired)
        await until(lambda: self.world.colour(name, colour).healthy == desired)
        await self.switch(name, **{colour: 100, other: 0})
        return colour

    async def rate(self, name, colour, matcher="", window="400ms"):
        selector = self.place(name).colour(colour).selector
        query = f"sum(rate(http_requests_total{{{selector}{matcher}}}[{window}]))"
        return (await self.prometheus.scalar(query) or 0.0) / SPEED

    async def close(self):
        await self.aws.close()
        await self.prometheus.close()
        await self.pagerduty.close()


async def until(true, *, seconds=10.0):
    """Wait for a condition, plain or awaitable."""
    async with asyncio.timeout(seconds):
        while True:
            answer = true()
            if await answer if asyncio.iscoroutine(answer) else answer:
                return
            await asyncio.sleep(0.05)


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


async def test_the_bots_settings_load_what_the_world_writes(hands):
    assert set(hands.settings.config.environments) == {"production", "staging"}
    assert hands.settings.time_scale == SPEED
    rule = await hands.elb.rule(hands.place("production").listener_rule)
    assert sorted(rule.weights.values()) == [0, 100]
    assert not rule.sticky


async def test_at_the_start_blue_runs_the_live_version_and_green_is_empty(hands):
    blue, green = await hands.service("staging", "blue"), await hands.service("staging", "green")
    assert (blue.desired, blue.running, blue.rollout, blue.deployments) == (2, 2, "COMPLETED", 1)
    assert (green.desired, green.running, green.rollout) == (0, 0, "COMPLETED")
    health = await hands.elb.health(hands.place("staging").blue.target_group)
    assert (health.healthy, health.total) == (2, 2)
    live = releases.RELEASES[releases.LIVE].digest
    cluster = hands.place("staging").cluster
    images = await hands.ecs.running_images(cluster, "storage-blue")
    assert [image.rpartition("@")[2] for image in images] == [live, live]


async def test_the_registry_lists_the_newest_release_first_and_pins_digests(hands):
    assert (await hands.ecr.tags("llm-observatory/storage"))[:2] == ("v0.1.5", "v0.1.4")
    for version, release in releases.RELEASES.items():
        assert await hands.ecr.digest("llm-observatory/storage", version) == release.digest


async def test_scale_in_can_be_suspended_and_resumed(hands):
    cluster = hands.place("production").cluster
    assert await hands.scaling.suspend_scale_in(cluster, "storage-blue")
    assert await hands.scaling.resume(cluster, "storage-blue")


async def test_a_blue_green_deployment_by_hand_moves_the_traffic(hands, world):
    """The story: a healthy version comes up on the idle colour, is tried by the test rule, gets all traffic."""
    colour = hands.idle("production")
    other = "green" if colour == "blue" else "blue"
    place = hands.place("production")
    digest = await hands.prepare("production", colour, "v0.1.0", 6)
    state = await hands.service("production", colour)
    assert (state.desired, state.running, state.rollout) == (6, 0, "IN_PROGRESS")

    async def complete():
        return (await hands.service("production", colour)).rollout == "COMPLETED"

    await until(complete)
    images = await hands.ecs.running_images(place.cluster, place.colour(colour).service)
    assert [image.rpartition("@")[2] for image in images] == [digest] * 6
    assert (await hands.elb.health(place.colour(colour).target_group)).healthy == 6
    storage = StorageService(place.url)
    answer = await storage.probe("/health", header=("X-Storage-Colour", colour))
    assert (answer.status, answer.json["version"], answer.json["color"]) == (200, "v0.1.0", colour)
    assert await hands.rate("production", colour) == 0

    await hands.switch("production", **{colour: 100, other: 0})

    async def moved():
        return await hands.rate("production", other) == 0 and await hands.rate("production", colour) > 95

    await until(moved, seconds=3)
    assert (await storage.probe("/health")).json["color"] == colour
    await storage.close()
    assert world.weights("production") == {colour: 100, other: 0}
    written = [call.what.split(" ")[0] for call in world.calls() if call.system == "aws"]
    assert [name for name in written if name in {"UpdateService", "ModifyRule"}][-2:] == ["UpdateService", "ModifyRule"]


async def test_a_bad_release_fails_two_percent_of_user_requests_and_no_probe(hands, world):
    colour = await hands.deployed("production", "v0.1.1")
    await until(lambda: hands.rate("production", colour, ',status="500"'))
    await asyncio.sleep(2)
    failed = await hands.rate("production", colour, ',status=~"5.."', "1500ms")
    assert failed / await hands.rate("production", colour, "", "1500ms") == pytest.approx(0.02, rel=0.1)
    storage = StorageService(hands.place("production").url)
    probes = [await storage.probe("/health", header=("X-Storage-Colour", colour)) for _ in range(50)]
    await storage.close()
    assert {probe.status for probe in probes} == {200}


async def test_a_slow_release_doubles_the_p95(hands):
    colour = await hands.deployed("staging", "v0.1.2")
    await asyncio.sleep(2.5)
    selector = hands.place("staging").colour(colour).selector
    query = f"histogram_quantile(0.95, sum by (le) (rate(http_request_duration_seconds_bucket{{{selector}}}[2s])))"
    assert await hands.prometheus.scalar(query) == pytest.approx(0.329, rel=0.05)


async def test_a_release_that_never_gets_healthy_fails_and_leaves_the_live_colour_alone(hands, world):
    colour = hands.idle("staging")
    live = "green" if colour == "blue" else "blue"
    place = hands.place("staging")
    await hands.ecs.update(place.cluster, place.colour(colour).service, desired=0)
    await until(lambda: world.colour("staging", colour).running == 0)
    await hands.prepare("staging", colour, "v0.1.3", 2)

    async def failed():
        return (await hands.service("staging", colour)).rollout == "FAILED"

    await until(lambda: world.colour("staging", colour).running == 2)
    storage = StorageService(hands.place("staging").url)
    answer = await storage.probe("/health", header=("X-Storage-Colour", colour))
    await storage.close()
    assert (answer.status, answer.json["status"]) == (500, "unhealthy")
    await until(failed)
    assert (await hands.service("staging", colour)).failed_tasks >= 3
    assert world.colour("staging", live).healthy == 2


async def test_an_emptied_colour_with_weight_answers_503(hands, world):
    """The story: somebody scales the live colour down before moving the traffic."""
    name = "staging"
    live = max(world.weights(name), key=world.weights(name).get)
    place = hands.place(name)
    await hands.ecs.update(place.cluster, place.colour(live).service, desired=0)
    await until(lambda: world.colour(name, live).running == 0)
    health = await hands.elb.health(place.colour(live).target_group)
    assert dict(health.states) == {"draining": 2}
    storage = StorageService(place.url)
    assert (await storage.probe("/health")).status == 503
    await storage.close()
    await until(lambda: hands.rate(name, live, ',status="503"'))
    await hands.ecs.update(place.cluster, place.colour(live).service, desired=2)
    await until(lambda: world.colour(name, live).healthy == 2)


async def test_moto_is_patched_where_it_lies(hands, world):
    """The contract with moto's private models: each of these answers is wrong in the plain emulation."""
    place = hands.place("staging")
    with pytest.raises(Refused, match="weight above 0"):
        await modify(hands, place, blue=0, green=0)
    with pytest.raises(Refused, match="between 0 and 999"):
        await modify(hands, place, blue=1000, green=0)
    known = await hands.aws.call("elbv2", "describe_target_groups", TargetGroupArns=[place.blue.target_group])
    network = known["TargetGroups"][0]["VpcId"]
    made = await hands.aws.call(
        "elbv2", "create_target_group", Name="lonely", Protocol="HTTP", Port=80, TargetType="ip", VpcId=network
    )
    lonely = made["TargetGroups"][0]["TargetGroupArn"]
    await hands.aws.call("elbv2", "register_targets", TargetGroupArn=lonely, Targets=[{"Id": "10.9.9.9"}])
    assert await states(hands, lonely) == {("unused", "Target.NotInUse")}
    group = place.colour(max(world.weights("staging"), key=world.weights("staging").get)).target_group
    targets = (await hands.aws.call("elbv2", "describe_target_health", TargetGroupArn=group))[
        "TargetHealthDescriptions"
    ]
    leaving = {"Id": targets[0]["Target"]["Id"]}
    await hands.aws.call("elbv2", "deregister_targets", TargetGroupArn=group, Targets=[leaving])
    assert ("draining", "Target.DeregistrationInProgress") in await states(hands, group)

    async def gone():
        return len(await states(hands, group, leaving)) == 1 and ("unused", "Target.NotRegistered") in await states(
            hands, group, leaving
        )

    await until(gone)
    tasks = await hands.aws.call("ecs", "list_tasks", cluster=place.cluster, serviceName="storage-blue")
    assert len(tasks["taskArns"]) == world.colour("staging", "blue").running
    with pytest.raises(OpsError, match="Service not found"):
        await hands.aws.call("ecs", "update_service", cluster=place.cluster, service="nobody", desiredCount=1)


async def modify(hands, place, *, blue, green):
    groups = [
        {"TargetGroupArn": place.blue.target_group, "Weight": blue},
        {"TargetGroupArn": place.green.target_group, "Weight": green},
    ]
    actions = [{"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}]
    await hands.aws.call("elbv2", "modify_rule", RuleArn=place.listener_rule, Actions=actions)


async def states(hands, group, *targets):
    asked = {"Targets": list(targets)} if targets else {}
    answer = await hands.aws.call("elbv2", "describe_target_health", TargetGroupArn=group, **asked)
    return {
        (each["TargetHealth"]["State"], each["TargetHealth"].get("Reason"))
        for each in answer["TargetHealthDescriptions"]
    }


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


async def test_slow_propagation_moves_the_rule_at_once_and_the_traffic_later(hands, healed):
    name, colour = "production", hands.idle("production")
    other = "green" if colour == "blue" else "blue"
    await until(lambda: healed.colour(name, colour).healthy == 6)
    await healed.set_fault("slow_propagation", True, seconds=120)
    await hands.switch(name, **{colour: 100, other: 0})
    await until(lambda: healed.weights(name)[colour] == 100)
    await asyncio.sleep(0.7)
    assert await hands.rate(name, colour) == 0
    await until(lambda: hands.rate(name, colour), seconds=4)


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


async def test_calls_are_told_in_the_order_of_time(world):
    times = [call.at for call in world.calls()]
    assert times == sorted(times)
    assert {call.system for call in world.calls()} == {"aws", "pagerduty"}


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
