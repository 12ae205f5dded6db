"""Elastic Container Service: which revision a service runs, how far it has come, and the writes that change it.

Every write is absolute, so repeating it does no harm. How long to wait and what counts as stable is decided above.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from bot.clients import definitions
from bot.clients.aws import Aws
from bot.errors import NotFound, Refused

Rollout: TypeAlias = Literal["COMPLETED", "IN_PROGRESS", "FAILED"]

_LOOK_BACK = 20
_TASKS_PER_CALL = 100
_CONTENTS_KEPT = 500


@dataclass(frozen=True, kw_only=True)
class ServiceState:
    """A service as ECS reports it. `task_definition` and `failed_tasks` are of the PRIMARY deployment.

    The breaker's own rollback also ends COMPLETED, on the old revision: compare `task_definition`, not the state alone.
    """

    name: str
    task_definition: str
    desired: int
    running: int
    pending: int
    deployments: int
    rollout: Rollout
    failed_tasks: int


class Ecs:
    """Services, tasks and task definitions of one region. Every method raises what `Aws.call` raises."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws
        self._contents: dict[str, definitions.Definition] = {}

    async def service(self, cluster: str, name: str) -> ServiceState:
        """Return the state of a service; NotFound when it is missing or deleted."""
        answer = await self._aws.call("ecs", "describe_services", cluster=cluster, services=[name])
        services = [service for service in answer["services"] if service["status"] != "INACTIVE"]
        if not services:
            raise NotFound(
                f"ECS service {name} is not in cluster {cluster}; create it or correct `service` of the environment.",
                cluster=cluster,
                service=name,
            )
        return _state(services[0])

    async def image(self, task_definition_arn: str, container: str) -> str:
        """Return the image of one container of a task definition; NotFound when it has no such container."""
        image: str = definitions.container(await self._content(task_definition_arn), container)["image"]
        return image

    async def revision_for(self, base_task_definition: str, container: str, image: str) -> str:
        """Return the ARN of a revision that equals the base except for the container's image.

        Registering is not idempotent, so one of the newest 20 revisions of the family is reused where it fits; else a
        new one is registered with the base's tags.
        """
        base = await self._content(base_task_definition)
        wanted = definitions.content(base)
        definitions.container(wanted, container)["image"] = image
        arn = await self._existing(base, wanted)
        return arn or await self._registered(base_task_definition, wanted)

    async def update(
        self, cluster: str, name: str, *, task_definition: str | None = None, desired: int | None = None
    ) -> None:
        """Set the revision, the number of tasks, or both; what is None stays as it is."""
        changes: dict[str, object] = {"taskDefinition": task_definition, "desiredCount": desired}
        given = {key: value for key, value in changes.items() if value is not None}
        await self._aws.call("ecs", "update_service", cluster=cluster, service=name, **given)

    async def running_images(self, cluster: str, service: str, *, container: str | None = None) -> tuple[str, ...]:
        """Return the image digest, or the image where ECS names no digest, of each RUNNING task's containers.

        With `container` only that one of each task counts, which leaves side-cars out.
        """
        arns = await self._aws.pages(
            "ecs", "list_tasks", "taskArns", cluster=cluster, serviceName=service, desiredStatus="RUNNING"
        )
        tasks: list[dict[str, Any]] = []
        for start in range(0, len(arns), _TASKS_PER_CALL):
            chunk = arns[start : start + _TASKS_PER_CALL]
            answer = await self._aws.call("ecs", "describe_tasks", cluster=cluster, tasks=chunk)
            tasks.extend(answer["tasks"])
        return tuple(
            _image(part)
            for task in tasks
            if task["lastStatus"] == "RUNNING"
            for part in task["containers"]
            if container in {None, part["name"]}
        )

    async def _definition(self, arn: str) -> tuple[dict[str, Any], list[dict[str, str]]]:
        answer = await self._aws.call("ecs", "describe_task_definition", taskDefinition=arn, include=["TAGS"])
        return answer["taskDefinition"], answer.get("tags", [])

    async def _content(self, arn: str) -> definitions.Definition:
        """Return what a revision says; it never changes once registered, so it is asked for once."""
        known = self._contents.get(arn)
        if known is not None:
            return known
        definition, _ = await self._definition(arn)
        content = definitions.content(definition)
        # A family's name instead of an ARN would mean another revision tomorrow.
        if definition["taskDefinitionArn"] == arn:
            if len(self._contents) >= _CONTENTS_KEPT:
                self._contents.clear()
            self._contents[arn] = content
        return content

    async def _existing(self, base: definitions.Definition, wanted: definitions.Definition) -> str | None:
        answer = await self._aws.call(
            "ecs",
            "list_task_definitions",
            familyPrefix=base["family"],
            status="ACTIVE",
            sort="DESC",
            maxResults=_LOOK_BACK,
        )
        newest = sorted(answer["taskDefinitionArns"], key=definitions.revision, reverse=True)[:_LOOK_BACK]
        for arn in newest:
            if definitions.same(await self._content(arn), wanted):
                return str(arn)
        return None

    async def _registered(self, base_task_definition: str, content: definitions.Definition) -> str:
        _, tags = await self._definition(base_task_definition)
        # Tags that begin with aws: are AWS's own, and it refuses to be given them.
        ours = [tag for tag in tags if not tag["key"].startswith("aws:")]
        tagged: dict[str, Any] = {"tags": ours} if ours else {}
        answer = await self._aws.call("ecs", "register_task_definition", **content, **tagged)
        arn: str = answer["taskDefinition"]["taskDefinitionArn"]
        return arn


def _image(part: Mapping[str, Any]) -> str:
    """An image pinned by digest names itself; `imageDigest` may be that of one platform of a multi-platform image."""
    image: str = part.get("image", "")
    return image if "@" in image or not part.get("imageDigest") else part["imageDigest"]


def _state(service: Mapping[str, Any]) -> ServiceState:
    deployments = service.get("deployments", [])
    primary = next((each for each in deployments if each["status"] == "PRIMARY"), None)
    if primary is None:
        raise Refused(
            f"ECS service {service['serviceName']} has no deployment of its own, so something else drives it; use the "
            "deployment controller ECS.",
            service=service["serviceName"],
        )
    return ServiceState(
        name=service["serviceName"],
        task_definition=primary["taskDefinition"],
        desired=service["desiredCount"],
        running=service["runningCount"],
        pending=service["pendingCount"],
        deployments=len(deployments),
        rollout=primary.get("rolloutState") or _inferred(primary, len(deployments)),
        failed_tasks=primary.get("failedTasks", 0),
    )


def _inferred(primary: Mapping[str, Any], deployments: int) -> Rollout:
    """ECS leaves the state out for services behind a Classic Load Balancer."""
    steady = deployments == 1 and primary["runningCount"] == primary["desiredCount"]
    return "COMPLETED" if steady else "IN_PROGRESS"
