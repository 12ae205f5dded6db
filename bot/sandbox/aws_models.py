"""Ties the rules of `fleet` and `weights` to moto's in-memory models, so that what moto answers is what happens.

moto is pinned exactly; every private name used is covered by tests/integration/test_sandbox_world.py.
"""

import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from moto.ecs.exceptions import EcsClientException, InvalidParameterException, ServiceNotFoundException
from moto.ecs.models import ecs_backends
from moto.elbv2.exceptions import InvalidTargetError, TargetGroupNotFoundError
from moto.elbv2.models import FakeHealthStatus, elbv2_backends

from bot.sandbox import aws_shapes, fleet, releases, weights

_REASONS: Mapping[str, tuple[str, str]] = {
    fleet.INITIAL: ("Elb.RegistrationInProgress", "Target registration is in progress"),
    fleet.UNHEALTHY: ("Target.ResponseCodeMismatch", "Health checks failed with these codes: [500]"),
    fleet.DRAINING: ("Target.DeregistrationInProgress", "Target deregistration is in progress"),
}
_NOT_IN_USE = ("unused", "Target.NotInUse", "Target group is not configured to receive traffic from the load balancer")
_NOT_REGISTERED = ("unused", "Target.NotRegistered", "Target is not registered to the target group")
_SILENT = ("unhealthy", "Target.Timeout", "Request timed out")


class Models:
    """moto's ECS and ELBv2 with behaviour. All calls happen under `lock`; `changed` runs after each that changed."""

    def __init__(self, speed: float, *, changed: Callable[[], None]) -> None:
        self.lock = threading.RLock()
        self.fleet = fleet.Fleet()
        self.settled = True
        self._speed = speed
        self._changed = changed
        self._began = time.monotonic()
        self._born = time.time()
        self._ecs = _backend(ecs_backends)
        self._elb = _backend(elbv2_backends)
        self._original = SimpleNamespace(
            create_service=self._ecs.create_service,
            validate_actions=self._elb._validate_actions,
            modify_rule=self._elb.modify_rule,
        )
        self._ecs.create_service = self.create_service
        self._ecs.update_service = self.update_service
        self._ecs.list_tasks = self.list_tasks
        self._ecs.describe_tasks = self.describe_tasks
        self._ecs.stop_task = self.stop_task
        self._elb._validate_actions = self.validate_actions
        self._elb.modify_rule = self.modify_rule
        self._elb.describe_target_health = self.describe_target_health
        self._elb.deregister_targets = self.deregister_targets

    def now(self) -> float:
        """Return the seconds of the world's own time since the start."""
        return (time.monotonic() - self._began) * self._speed

    def step(self) -> None:
        """Let the world's time pass and show in moto's models what it changed."""
        with self.lock:
            before = self.fingerprint()
            self.fleet.step(self.now(), self.groups_in_use())
            if self.fingerprint() != before:
                for service in self.fleet.services.values():
                    self._show(service)
                self._changed()

    def fingerprint(self) -> int:
        """Return a number that differs when anything that AWS would report differs."""
        services = self.fleet.services.values()
        tasks = [(task.id, task.status, task.target) for service in services for task in service.tasks]
        deployments = [(each.id, each.rollout, each.failed) for service in services for each in service.deployments]
        return hash((*tasks, *deployments, *(service.desired for service in services)))

    def groups_in_use(self) -> set[str]:
        """Return the target groups that some rule or default action forwards to."""
        listeners = [each for balancer in self._elb.load_balancers.values() for each in balancer.listeners.values()]
        rules = [rule for listener in listeners for rule in listener.rules.values()]
        actions = [action for rule in rules for action in rule.actions]
        actions += [action for listener in listeners for action in listener.default_actions]
        return {group for action in actions for group in weights.of(action.data)}

    def rule_weights(self, rule: str) -> dict[str, int]:
        """Return what the rule's forward action says now, by target group; empty where it forwards nowhere."""
        for found in self._elb.describe_rules(listener_arn=None, rule_arns=[rule]):
            for action in found.actions:
                return weights.of(action.data)
        return {}

    # The operations of ECS

    def create_service(self, *given: Any, **named: Any) -> Any:
        """Create a service; while the world is being built its tasks run at once."""
        service = self._original.create_service(*given, **named)
        definition = self._ecs.describe_task_definition(service.task_definition)
        group = service.load_balancers[0]["targetGroupArn"] if service.load_balancers else ""
        kept = fleet.Service(
            cluster=service.cluster_name,
            name=service.name,
            group=group,
            desired=service.desired_count,
            timing=self._timing(group),
            deployments=[
                fleet.Deployment(
                    id=service.deployments[0]["id"],
                    task_definition=definition.arn,
                    image=definition.container_definitions[0]["image"],
                    created=self.now(),
                    rollout=fleet.COMPLETED if self.settled and not service.desired_count else fleet.IN_PROGRESS,
                )
            ],
        )
        self.fleet.add(kept, settled=self.settled)
        self._show(kept)
        return service

    def update_service(self, properties: dict[str, Any]) -> Any:
        """Apply UpdateService as ECS does: a new task definition opens a deployment, a new count does not."""
        cluster, name = properties.pop("cluster", "default"), properties.pop("service").split("/")[-1]
        service = self._ecs._get_service(cluster, name)
        kept = self._kept(cluster, name)
        if service.status != "ACTIVE":
            raise EcsClientException("Service was not ACTIVE.")
        desired = properties.pop("desired_count", None)
        if desired is not None and desired < 0:
            raise InvalidParameterException("desiredCount cannot be negative.")
        named = properties.pop("task_definition", None)
        found = self._ecs.describe_task_definition(named) if named else None
        definition = (found.arn, found.container_definitions[0]["image"]) if found else None
        force = bool(properties.pop("force_new_deployment", False))
        for key, value in properties.items():
            setattr(service, key, value)
        kept.timing = self._timing(kept.group)
        self.fleet.update(kept, self.now(), desired=desired, definition=definition, force=force)
        self._show(kept)
        self._changed()
        return service

    def list_tasks(self, cluster_str: str | None = None, *unused: Any, **_: Any) -> list[Any]:
        """List the tasks of a cluster, a service, a family; RUNNING unless STOPPED is asked for."""
        _instance, family, started_by, name, status = (*unused, *(None,) * 5)[:5]
        cluster = self._ecs._get_cluster(cluster_str).name
        chosen = [
            SimpleNamespace(task_arn=aws_shapes.task_arn(cluster, task))
            for service in self.fleet.services.values()
            if service.cluster == cluster and (name is None or service.name == name.split("/")[-1])
            for task in (service.stopped if status == "STOPPED" else service.living())
            if family in {None, task.task_definition.split("/")[-1].split(":")[0]}
            and started_by in {None, task.deployment}
        ]
        if name is not None:
            self._ecs._get_service(cluster, name.split("/")[-1])
        return chosen

    def describe_tasks(self, cluster_str: str, tasks: list[str]) -> list[dict[str, Any]]:
        """Describe tasks that run or stopped lately."""
        cluster = self._ecs._get_cluster(cluster_str).name
        if not tasks:
            raise InvalidParameterException("Tasks cannot be empty.")
        wanted = {task.split("/")[-1] for task in tasks}
        return [
            aws_shapes.task(service, task, moment=self._moment)
            for service in self.fleet.services.values()
            if service.cluster == cluster
            for task in (*service.tasks, *service.stopped)
            if task.id in wanted
        ]

    def stop_task(self, cluster_str: str, task_str: str, reason: str) -> dict[str, Any]:
        """Stop one task; its service starts another."""
        cluster = self._ecs._get_cluster(cluster_str).name
        for service in self.fleet.services.values():
            for task in service.living():
                if service.cluster == cluster and task.id == task_str.rsplit("/", maxsplit=1)[-1]:
                    self.fleet.stop(service, task, self.now(), reason or "Task stopped by user")
                    self._show(service)
                    self._changed()
                    return aws_shapes.task(service, task, moment=self._moment)
        raise InvalidParameterException("The referenced task was not found.")

    # The operations of ELBv2

    def validate_actions(self, actions: list[Any]) -> None:
        """Refuse weights that AWS refuses and moto takes."""
        self._original.validate_actions(actions)
        for action in actions:
            weights.check(action.data)

    def modify_rule(self, rule_arn: str, conditions: list[Any], actions: list[Any]) -> Any:
        """Change a rule and tell the traffic."""
        rule = self._original.modify_rule(rule_arn, conditions, actions)
        self._changed()
        return rule

    def describe_target_health(self, target_group_arn: str, targets: list[dict[str, Any]]) -> list[Any]:
        """Report the targets of a group: those of tasks, those that drain, and those somebody registered by hand."""
        group = self._group(target_group_arn)
        unused = target_group_arn not in self.groups_in_use()
        kept = {
            task.address: task
            for service in self.fleet.services.values()
            if service.group == target_group_arn
            for task in service.tasks
            if task.target is not None
        }
        wanted = [target["Id"] for target in targets] or [
            *kept,
            *(other for other in group.targets if other not in kept),
        ]
        reports = []
        for address in wanted:
            if unused:
                state = _NOT_IN_USE
            elif address in kept:
                target = str(kept[address].target)
                state = (target, *_REASONS.get(target, (None, None)))
            else:
                state = _SILENT if address in group.targets else _NOT_REGISTERED
            reports.append(FakeHealthStatus(address, group.port, group.health_check_port, *state))
        return reports

    def deregister_targets(self, target_group_arn: str, instances: list[dict[str, Any]]) -> None:
        """Start to drain targets; the group's delay decides how long."""
        group = self._group(target_group_arn)
        for instance in instances:
            drains = self.fleet.deregister(target_group_arn, instance["Id"], self.now())
            if not drains and group.targets.pop(instance["Id"], None) is None:
                raise InvalidTargetError
        self._changed()

    # What is shown in moto's models

    def _show(self, kept: fleet.Service) -> None:
        service = self._ecs.services[f"{kept.cluster}:{kept.name}"]
        service.task_definition = kept.primary.task_definition
        service.desired_count = kept.desired
        service.running_count = kept.running()
        service.pending_count = len(kept.living()) - kept.running()
        service.deployments = [
            aws_shapes.deployment(kept, each, launch_type=service.launch_type, moment=self._moment)
            for each in kept.deployments
        ]
        service.events = [
            {"id": f"{kept.name}-{number}", "createdAt": self._moment(at), "message": message}
            for number, (at, message) in enumerate(kept.events)
        ][::-1]

    def _timing(self, group_arn: str) -> fleet.Timing:
        """Read health check and draining from the target group, in its own (unscaled) seconds."""
        group = self._elb.target_groups.get(group_arn)
        if group is None:
            return fleet.Timing()
        return fleet.Timing(
            health=int(group.health_check_interval_seconds) * int(group.healthy_threshold_count),
            grace=int(group.health_check_interval_seconds) * int(group.unhealthy_threshold_count) + 10,
            drain=int(group.attributes["deregistration_delay.timeout_seconds"]),
        )

    def _kept(self, cluster: str, name: str) -> fleet.Service:
        kept = self.fleet.services.get((self._ecs._get_cluster(cluster).name, name))
        if kept is None:
            raise ServiceNotFoundException
        return kept

    def _group(self, arn: str) -> Any:
        group = self._elb.target_groups.get(arn)
        if group is None:
            raise TargetGroupNotFoundError
        return group

    def _moment(self, at: float) -> datetime:
        return datetime.fromtimestamp(self._born + at / self._speed, UTC)


def _backend(of: Any) -> Any:
    """Return moto's models of our account and region, untyped: their methods are replaced here."""
    return of[releases.ACCOUNT][releases.REGION]
