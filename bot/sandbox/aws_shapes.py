"""Tasks and deployments of the fleet in the shapes of the ECS API, with the API's own member names."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from bot.sandbox import fleet, places, releases

_SAID = {fleet.COMPLETED: "completed", fleet.FAILED: "failed: tasks failed to start"}


def task_arn(cluster: str, task: fleet.Task) -> str:
    """Return the long ARN of a task."""
    return f"arn:aws:ecs:{releases.REGION}:{releases.ACCOUNT}:task/{cluster}/{task.id}"


def task(service: fleet.Service, of: fleet.Task, *, moment: Callable[[float], datetime]) -> dict[str, object]:
    """Return one item of DescribeTasks; `moment` turns the world's seconds into a time."""
    release = releases.find(of.image)
    container: dict[str, object] = {"name": places.CONTAINER, "image": of.image, "lastStatus": of.status}
    if release is not None:
        container["imageDigest"] = release.digest
    return {
        "taskArn": task_arn(service.cluster, of),
        "clusterArn": f"arn:aws:ecs:{releases.REGION}:{releases.ACCOUNT}:cluster/{service.cluster}",
        "taskDefinitionArn": of.task_definition,
        "group": f"service:{service.name}",
        "startedBy": of.deployment,
        "launchType": "FARGATE",
        "lastStatus": of.status,
        "desiredStatus": "RUNNING" if of.lives else "STOPPED",
        "createdAt": moment(of.created),
        "stoppedReason": of.reason or None,
        "containers": [container],
        "attachments": [
            {
                "type": "ElasticNetworkInterface",
                "status": "ATTACHED",
                "details": [{"name": "privateIPv4Address", "value": of.address}],
            }
        ],
    }


def deployment(
    service: fleet.Service, of: fleet.Deployment, *, launch_type: str, moment: Callable[[float], datetime]
) -> dict[str, object]:
    """Return one item of `deployments` in DescribeServices."""
    living, running = len(service.living(of)), service.running(of)
    primary = of is service.primary
    return {
        "id": of.id,
        "status": "PRIMARY" if primary else "ACTIVE",
        "taskDefinition": of.task_definition,
        "desiredCount": service.desired if primary else living,
        "pendingCount": living - running,
        "runningCount": running,
        "failedTasks": of.failed,
        "createdAt": moment(of.created),
        "updatedAt": datetime.now(UTC),
        "launchType": launch_type,
        "rolloutState": of.rollout,
        "rolloutStateReason": f"ECS deployment {of.id} {_SAID.get(of.rollout, 'in progress')}.",
    }


def targets(tasks: Iterable[fleet.Task]) -> list[dict[str, object]]:
    """Return what the traffic must know of each task that runs."""
    return [
        {
            "id": each.id[:8],
            "address": each.address,
            "version": version(each.image),
            "healthy": each.target == fleet.HEALTHY,
        }
        for each in tasks
        if each.status == fleet.RUNNING
    ]


def version(image: str) -> str:
    """Return the version of an image, or the image where the registry does not have it."""
    release = releases.find(image)
    return release.version if release else image
