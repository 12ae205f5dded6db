from datetime import UTC, datetime

import pytest

from bot.clients.ecs import Ecs, ServiceState
from bot.errors import NotFound, Refused

FAMILY = "arn:aws:ecs:us-east-1:1:task-definition/storage"
OLD = "1.dkr.ecr.us-east-1.amazonaws.com/storage@sha256:old"
NEW = "1.dkr.ecr.us-east-1.amazonaws.com/storage@sha256:new"


def definition(revision, image, *environment):
    pairs = [{"name": name, "value": value} for name, value in environment]
    return {
        "taskDefinitionArn": f"{FAMILY}:{revision}",
        "family": "storage",
        "revision": revision,
        "status": "ACTIVE",
        "registeredAt": datetime(2026, 1, 1, tzinfo=UTC),
        "registeredBy": "somebody",
        "requiresAttributes": [{"name": "ecs.capability"}],
        "compatibilities": ["FARGATE"],
        "cpu": "256",
        "memory": "512",
        "volumes": [],
        "containerDefinitions": [
            {"name": "storage", "image": image, "essential": True, "environment": pairs},
            {"name": "proxy", "image": "envoy:1"},
        ],
    }


def describing(script, definition, tags=()):
    asked = {"taskDefinition": definition["taskDefinitionArn"], "include": ["TAGS"]}
    script("ecs", "describe_task_definition", asked, {"taskDefinition": definition, "tags": list(tags)})


def listing(script, *revisions):
    asked = {"familyPrefix": "storage", "status": "ACTIVE", "sort": "DESC", "maxResults": 20}
    answer = {"taskDefinitionArns": [f"{FAMILY}:{revision}" for revision in revisions]}
    script("ecs", "list_task_definitions", asked, answer)


def state(script, service, failures=()):
    answer = {"services": [service] if service else [], "failures": list(failures)}
    script("ecs", "describe_services", {"cluster": "c", "services": ["blue"]}, answer)


def service(*deployments, status="ACTIVE"):
    return {
        "serviceName": "blue",
        "status": status,
        "taskDefinition": "the-one-of-the-service",
        "desiredCount": 3,
        "runningCount": 2,
        "pendingCount": 1,
        "deployments": list(deployments),
    }


async def test_a_service_tells_the_revision_of_its_primary_deployment(aws, script):
    old = {"status": "ACTIVE", "taskDefinition": f"{FAMILY}:1", "rolloutState": "COMPLETED", "failedTasks": 9}
    new = {"status": "PRIMARY", "taskDefinition": f"{FAMILY}:2", "rolloutState": "IN_PROGRESS", "failedTasks": 4}
    state(script, service(old, new))
    assert await Ecs(aws).service("c", "blue") == ServiceState(
        name="blue",
        task_definition=f"{FAMILY}:2",
        desired=3,
        running=2,
        pending=1,
        deployments=2,
        rollout="IN_PROGRESS",
        failed_tasks=4,
    )


@pytest.mark.parametrize(("running", "rollout"), [(3, "COMPLETED"), (2, "IN_PROGRESS")])
async def test_a_rollout_without_a_state_is_complete_when_all_its_tasks_run(aws, script, running, rollout):
    alone = {"status": "PRIMARY", "taskDefinition": f"{FAMILY}:1", "desiredCount": 3, "runningCount": running}
    state(script, service(alone))
    assert (await Ecs(aws).service("c", "blue")).rollout == rollout


@pytest.mark.parametrize("found", [None, service(status="INACTIVE")])
async def test_a_missing_or_deleted_service_is_not_found(aws, script, found):
    state(script, found, [{"arn": "blue", "reason": "MISSING"}])
    with pytest.raises(NotFound, match="blue is not in cluster c"):
        await Ecs(aws).service("c", "blue")


async def test_a_service_that_something_else_deploys_is_refused(aws, script):
    state(script, service())
    with pytest.raises(Refused, match="something else drives it"):
        await Ecs(aws).service("c", "blue")


async def test_the_image_is_that_of_the_named_container(aws, script):
    describing(script, definition(4, OLD))
    assert await Ecs(aws).image(f"{FAMILY}:4", "storage") == OLD


async def test_an_unknown_container_is_not_found(aws, script):
    describing(script, definition(4, OLD))
    with pytest.raises(NotFound, match="no container web"):
        await Ecs(aws).image(f"{FAMILY}:4", "web")


async def test_what_a_revision_says_is_asked_for_once(aws, script):
    describing(script, definition(4, OLD))
    ecs = Ecs(aws)
    assert [await ecs.image(f"{FAMILY}:4", name) for name in ("storage", "proxy")] == [OLD, "envoy:1"]


async def test_the_newest_revision_of_a_family_is_asked_for_each_time(aws, script):
    for revision, image in ((4, OLD), (5, NEW)):
        answer = {"taskDefinition": definition(revision, image), "tags": []}
        script("ecs", "describe_task_definition", {"taskDefinition": "storage", "include": ["TAGS"]}, answer)
    ecs = Ecs(aws)
    assert [await ecs.image("storage", "storage") for _ in range(2)] == [OLD, NEW]


async def test_a_revision_that_already_says_the_same_is_reused(aws, script):
    base = definition(1, OLD, ("A", "1"), ("B", "2"))
    describing(script, base)
    listing(script, 3, 2, 1)
    describing(script, definition(3, NEW, ("A", "other"), ("B", "2")))
    describing(script, definition(2, NEW, ("B", "2"), ("A", "1")))
    assert await Ecs(aws).revision_for(f"{FAMILY}:1", "storage", NEW) == f"{FAMILY}:2"


async def test_the_base_itself_is_reused_when_it_has_the_image(aws, script):
    describing(script, definition(1, NEW))
    listing(script, 1)
    assert await Ecs(aws).revision_for(f"{FAMILY}:1", "storage", NEW) == f"{FAMILY}:1"


async def test_the_newest_revision_is_looked_at_first_whatever_the_order_of_the_list(aws, script):
    describing(script, definition(1, OLD))
    listing(script, 9, 1, 10)
    describing(script, definition(10, NEW))
    assert await Ecs(aws).revision_for(f"{FAMILY}:1", "storage", NEW) == f"{FAMILY}:10"


async def test_a_new_revision_has_the_content_and_the_tags_of_its_base(aws, script):
    tags = [{"key": "team", "value": "storage"}, {"key": "aws:cloudformation:stack", "value": "s"}]
    describing(script, definition(1, OLD, ("A", "1")), tags)
    listing(script, 1)
    describing(script, definition(1, OLD, ("A", "1")), tags)
    asked = {
        "family": "storage",
        "cpu": "256",
        "memory": "512",
        "volumes": [],
        "containerDefinitions": definition(2, NEW, ("A", "1"))["containerDefinitions"],
        "tags": [{"key": "team", "value": "storage"}],
    }
    script("ecs", "register_task_definition", asked, {"taskDefinition": definition(2, NEW, ("A", "1"))})
    assert await Ecs(aws).revision_for(f"{FAMILY}:1", "storage", NEW) == f"{FAMILY}:2"


async def test_an_unknown_container_registers_nothing(aws, script):
    describing(script, definition(1, OLD))
    with pytest.raises(NotFound, match="no container web"):
        await Ecs(aws).revision_for(f"{FAMILY}:1", "web", NEW)


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"task_definition": "t:2"}, {"taskDefinition": "t:2"}),
        ({"desired": 0}, {"desiredCount": 0}),
        ({"task_definition": "t:2", "desired": 3}, {"taskDefinition": "t:2", "desiredCount": 3}),
    ],
)
async def test_an_update_writes_only_what_was_given(aws, script, given, sent):
    script("ecs", "update_service", {"cluster": "c", "service": "blue", **sent}, {})
    await Ecs(aws).update("c", "blue", **given)


async def test_images_are_those_of_tasks_that_run_now(aws, script):
    asked = {"cluster": "c", "serviceName": "blue", "desiredStatus": "RUNNING"}
    script("ecs", "list_tasks", asked, {"taskArns": ["1"], "nextToken": "n"})
    script("ecs", "list_tasks", {**asked, "nextToken": "n"}, {"taskArns": ["2", "3"]})
    pinned = {"name": "storage", "image": NEW, "imageDigest": "sha256:new"}
    starting = {"lastStatus": "PENDING", "containers": [pinned]}
    tasks = [
        {"lastStatus": "RUNNING", "containers": [pinned, {"name": "proxy", "image": "envoy:1"}]},
        {"lastStatus": "RUNNING", "containers": [{"name": "storage", "image": OLD}]},
        starting,
    ]
    script("ecs", "describe_tasks", {"cluster": "c", "tasks": ["1", "2", "3"]}, {"tasks": tasks})
    assert await Ecs(aws).running_images("c", "blue") == (NEW, "envoy:1", OLD)


async def test_side_cars_do_not_count_when_a_container_is_named(aws, script):
    script("ecs", "list_tasks", None, {"taskArns": ["1"]})
    containers = [{"name": "storage", "imageDigest": "sha256:new"}, {"name": "proxy", "image": "envoy:1"}]
    script("ecs", "describe_tasks", None, {"tasks": [{"lastStatus": "RUNNING", "containers": containers}]})
    assert await Ecs(aws).running_images("c", "blue", container="storage") == ("sha256:new",)


async def test_tasks_are_described_a_hundred_at_a_time(aws, script):
    arns = [str(number) for number in range(150)]
    script("ecs", "list_tasks", None, {"taskArns": arns})
    script("ecs", "describe_tasks", {"cluster": "c", "tasks": arns[:100]}, {"tasks": []})
    script("ecs", "describe_tasks", {"cluster": "c", "tasks": arns[100:]}, {"tasks": []})
    assert await Ecs(aws).running_images("c", "blue") == ()


async def test_a_service_without_tasks_runs_no_image(aws, script):
    script("ecs", "list_tasks", None, {"taskArns": []})
    assert await Ecs(aws).running_images("c", "blue") == ()
