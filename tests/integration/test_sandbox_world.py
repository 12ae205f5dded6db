"""The whole world on loopback, driven with the bot's own clients: what AWS is told, users and metrics show."""

import asyncio

import pytest
import pytest_asyncio
from world_hands import EVENT, SPEED, Hands, modify, states, until

from bot.clients.service import StorageService
from bot.errors import OpsError, Refused
from bot.sandbox import releases
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


async def test_calls_are_told_in_the_order_of_time(hands, world):
    await hands.pagerduty.send_event({**EVENT, "dedup_key": "order"})
    times = [call.at for call in world.calls()]
    assert times == sorted(times)
    assert {call.system for call in world.calls()} == {"aws", "pagerduty"}
