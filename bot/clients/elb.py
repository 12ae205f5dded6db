"""Application Load Balancer: which share of the traffic each target group gets, and how healthy its targets are.

The weights live in one listener rule that holds both groups for ever. Who may write them, and when, is decided above.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from bot.clients.aws import Aws
from bot.errors import NotFound, Refused

WHOLE = 100
"""The sum of the weights of a rule: they are whole percents."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A listener rule. `weights` maps the ARN of a target group to its weight; `sticky` defeats a fast way back."""

    arn: str
    weights: Mapping[str, int]
    sticky: bool


@dataclass(frozen=True, kw_only=True)
class TargetHealth:
    """How many targets of a group are in which of AWS's states (healthy, unhealthy, initial, draining, unused)."""

    states: Mapping[str, int]

    @property
    def healthy(self) -> int:
        """Targets that pass their health check."""
        return self.states.get("healthy", 0)

    @property
    def total(self) -> int:
        """Registered targets in any state."""
        return sum(self.states.values())


@dataclass(frozen=True, kw_only=True)
class TargetGroup:
    """The settings of a target group that decide how fast it becomes healthy and how fast it drains."""

    arn: str
    sticky: bool
    deregistration_delay: timedelta
    interval: timedelta
    healthy_threshold: int


class Elb:
    """Rules and target groups of the load balancers in one region. Every method raises what `Aws.call` raises."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws

    async def rule(self, arn: str) -> Rule:
        """Return the rule with the weights that are in force now; NotFound when it is missing."""
        forward = _forward(await self._described(arn), arn)
        return Rule(arn=arn, weights=_weights(forward), sticky=_stickiness(forward).get("Enabled", False))

    async def set_weights(self, arn: str, weights: Mapping[str, int]) -> None:
        """Set the weight of every group of the rule; repeating it changes nothing, and stickiness stays as it is.

        Refused unless `weights` names exactly the rule's groups and sums to 100. The new weights reach the load
        balancer's nodes later, without a bound that AWS states: observe the traffic before relying on them.
        """
        rule = await self._described(arn)
        forward = _forward(rule, arn)
        _check(arn, weights, frozenset(_weights(forward)))
        actions = [_forwarding(action, weights) if action is forward else _kept(action) for action in rule["Actions"]]
        await self._aws.call("elbv2", "modify_rule", RuleArn=arn, Actions=actions)

    async def health(self, group_arn: str) -> TargetHealth:
        """Count the targets of a group by state."""
        answer = await self._aws.call("elbv2", "describe_target_health", TargetGroupArn=group_arn)
        return TargetHealth(
            states=Counter(target["TargetHealth"]["State"] for target in answer["TargetHealthDescriptions"])
        )

    async def group(self, group_arn: str) -> TargetGroup:
        """Return the settings of a target group; NotFound when it is missing."""
        groups, attributes = await asyncio.gather(
            self._aws.call("elbv2", "describe_target_groups", TargetGroupArns=[group_arn]),
            self._aws.call("elbv2", "describe_target_group_attributes", TargetGroupArn=group_arn),
        )
        group = groups["TargetGroups"][0]
        values = {attribute["Key"]: attribute["Value"] for attribute in attributes["Attributes"]}
        return TargetGroup(
            arn=group_arn,
            sticky=values.get("stickiness.enabled") == "true",
            deregistration_delay=timedelta(seconds=int(values.get("deregistration_delay.timeout_seconds", "300"))),
            interval=timedelta(seconds=group["HealthCheckIntervalSeconds"]),
            healthy_threshold=group["HealthyThresholdCount"],
        )

    async def _described(self, arn: str) -> dict[str, Any]:
        answer = await self._aws.call("elbv2", "describe_rules", RuleArns=[arn])
        if not answer["Rules"]:
            raise NotFound(f"Listener rule {arn} does not exist; check `listener_rule` of the environment.", rule=arn)
        rule: dict[str, Any] = answer["Rules"][0]
        return rule


def _forward(rule: dict[str, Any], arn: str) -> dict[str, Any]:
    for action in rule["Actions"]:
        if action["Type"] == "forward":
            found: dict[str, Any] = action
            return found
    raise Refused(f"Listener rule {arn} forwards nowhere; give it a forward action with both target groups.", rule=arn)


def _weights(forward: dict[str, Any]) -> dict[str, int]:
    groups = forward.get("ForwardConfig", {}).get("TargetGroups") or [forward]
    return {group["TargetGroupArn"]: group.get("Weight", 1) for group in groups}


def _stickiness(forward: dict[str, Any]) -> dict[str, Any]:
    stickiness: dict[str, Any] = forward.get("ForwardConfig", {}).get("TargetGroupStickinessConfig", {})
    return stickiness


def _check(arn: str, weights: Mapping[str, int], groups: frozenset[str]) -> None:
    if weights.keys() != groups:
        raise Refused(
            f"Listener rule {arn} holds {sorted(groups)}, but weights were given for {sorted(weights)}; nothing was "
            "changed: put both target groups into the rule, or correct `target_group` of the environment.",
            rule=arn,
        )
    if sum(weights.values()) != WHOLE or min(weights.values()) < 0:
        raise Refused(
            f"Weights {sorted(weights.values())} do not share {WHOLE} percent; nothing was changed: give whole "
            "percents that sum to it.",
            rule=arn,
        )


def _forwarding(forward: dict[str, Any], weights: Mapping[str, int]) -> dict[str, Any]:
    groups = [{"TargetGroupArn": arn, "Weight": weight} for arn, weight in weights.items()]
    config: dict[str, Any] = {"TargetGroups": groups}
    if stickiness := _stickiness(forward):
        config["TargetGroupStickinessConfig"] = stickiness
    # `TargetGroupArn` beside `ForwardConfig` is what AWS shows for a single group and refuses together with two.
    return {key: value for key, value in forward.items() if key != "TargetGroupArn"} | {"ForwardConfig": config}


def _kept(action: dict[str, Any]) -> dict[str, Any]:
    if action["Type"] != "authenticate-oidc":
        return action
    # AWS never shows the client secret and accepts this instead of it.
    oidc = action["AuthenticateOidcConfig"] | {"UseExistingClientSecret": True}
    return action | {"AuthenticateOidcConfig": oidc}
