"""The ECS scheduler and the health checker of the sandbox, without AWS and without a clock."""

import pytest

from bot.sandbox import fleet, releases
from bot.sandbox.fleet import Deployment, Fleet, Service, Timing

GROUP = "group"
TIMING = Timing(start=30, health=20, grace=30, drain=60)


def service(version="v0.0.9", desired=6):
    image = releases.RELEASES[version].image
    first = Deployment(id="first", task_definition="old:1", image=image, created=0)
    return Service(cluster="c", name="s", group=GROUP, desired=desired, timing=TIMING, deployments=[first])


def settled(**given):
    world, kept = Fleet(), service(**given)
    if not kept.desired:
        kept.primary.rollout = fleet.COMPLETED
    world.add(kept, settled=True)
    return world, kept


def deploy(world, kept, version, *, desired=None, now=0.0):
    definition = (f"new:{version}", releases.RELEASES[version].image if version[0] == "v" else version)
    world.update(kept, now, desired=desired, definition=definition, force=False)


def play(world, until, *, step=1.0, since=0.0, in_use=(GROUP,)):
    now = since
    while now < until:
        now += step
        world.step(now, in_use)


def test_a_settled_service_runs_and_is_healthy_at_once():
    _, kept = settled()
    assert (kept.running(), kept.healthy(), kept.primary.rollout) == (6, 6, fleet.COMPLETED)


def test_tasks_start_after_half_a_minute_and_get_healthy_twenty_seconds_later():
    world, kept = settled(desired=0)
    deploy(world, kept, "v0.1.0", desired=6)
    play(world, 23)
    assert (kept.running(), kept.healthy()) == (0, 0)
    play(world, 37, since=23)
    assert (kept.running(), kept.healthy(), kept.primary.rollout) == (6, 0, fleet.IN_PROGRESS)
    play(world, 57, since=37)
    assert (kept.running(), kept.healthy(), kept.primary.rollout) == (6, 6, fleet.COMPLETED)


def test_a_coarse_clock_adds_no_delay():
    world, kept = settled(desired=0)
    deploy(world, kept, "v0.1.0", desired=6)
    world.step(57.0, [GROUP])
    assert kept.healthy() == 6


def test_a_rolling_deployment_never_falls_below_the_desired_number():
    world, kept = settled()
    deploy(world, kept, "v0.1.0")
    for second in range(1, 200):
        world.step(float(second), [GROUP])
        assert kept.healthy() >= 6
        assert len(kept.living()) <= 12
    assert {task.image for task in kept.living()} == {releases.RELEASES["v0.1.0"].image}
    assert (len(kept.deployments), kept.primary.rollout) == (1, fleet.COMPLETED)


def test_a_release_that_never_gets_healthy_trips_the_circuit_breaker_and_the_old_tasks_stay():
    world, kept = settled()
    deploy(world, kept, "v0.1.3")
    play(world, 400)
    assert kept.primary.rollout == fleet.FAILED
    assert kept.primary.failed >= fleet.breaker_threshold(6)
    assert kept.healthy() == 6
    assert not [task for task in kept.living() if task.target == fleet.UNHEALTHY]


def test_an_image_that_is_not_in_the_registry_fails_the_deployment():
    world, kept = settled(desired=0)
    deploy(world, kept, f"{releases.REGISTRY}:v9.9.9", desired=2)
    play(world, 200)
    assert kept.primary.rollout == fleet.FAILED
    assert "CannotPullContainerError" in kept.stopped[0].reason


@pytest.mark.parametrize(("desired", "threshold"), [(1, 3), (6, 3), (7, 4), (1000, 200)])
def test_the_breaker_trips_at_half_of_the_desired_number_within_bounds(desired, threshold):
    assert fleet.breaker_threshold(desired) == threshold


def test_a_changed_count_opens_no_deployment():
    world, kept = settled()
    world.update(kept, 0.0, desired=8, definition=None, force=False)
    assert (len(kept.deployments), kept.primary.rollout, len(kept.living())) == (1, fleet.COMPLETED, 8)


def test_the_same_task_definition_again_opens_no_deployment():
    world, kept = settled()
    world.update(kept, 0.0, desired=None, definition=("old:1", kept.primary.image), force=False)
    assert len(kept.deployments) == 1


def test_a_forced_deployment_replaces_every_task():
    world, kept = settled(desired=2)
    before = {task.id for task in kept.tasks}
    world.update(kept, 0.0, desired=None, definition=None, force=True)
    play(world, 200)
    assert not before & {task.id for task in kept.living()}


def test_a_removed_task_drains_before_it_is_gone():
    world, kept = settled(desired=2)
    world.update(kept, 0.0, desired=0, definition=None, force=False)
    play(world, 59)
    assert [task.target for task in kept.tasks] == [fleet.DRAINING, fleet.DRAINING]
    assert kept.running() == 0
    play(world, 61, since=59)
    assert not kept.tasks
    assert len(kept.stopped) == 2


def test_a_deregistered_target_drains_while_its_task_goes_on():
    world, kept = settled(desired=2)
    address = kept.tasks[0].address
    assert world.deregister(GROUP, address, 0.0)
    assert not world.deregister(GROUP, address, 0.0)
    play(world, 61)
    assert (kept.tasks[0].target, kept.running(), kept.healthy()) == (None, 2, 1)


def test_targets_of_a_group_in_no_rule_never_get_healthy():
    world, kept = settled(desired=0)
    deploy(world, kept, "v0.1.0", desired=2)
    play(world, 300, in_use=())
    assert (kept.running(), kept.healthy(), kept.primary.rollout) == (2, 0, fleet.IN_PROGRESS)


def test_every_task_has_its_own_address():
    _world, kept = settled(desired=300)
    assert len({task.address for task in kept.tasks}) == 300
