"""The weights of a forward action: reading them, and refusing what AWS refuses."""

from collections.abc import Mapping
from typing import Any

from moto.elbv2.exceptions import InvalidLoadBalancerActionException, ValidationError

HEAVIEST = 999  # WeightedTargetGroup.Weight of the ELBv2 API: 0 to 999


def of(action: Mapping[str, Any]) -> dict[str, int]:
    """Return the weight of each target group of a forward action; a single group has all of it."""
    forward = action.get("ForwardConfig") or {}
    groups = forward.get("TargetGroups") or []
    if groups:
        return {group["TargetGroupArn"]: int(group.get("Weight", 1)) for group in groups}
    return {action["TargetGroupArn"]: 1} if "TargetGroupArn" in action else {}


def check(action: Mapping[str, Any]) -> None:
    """Refuse weights out of range, all zero, a group twice, and stickiness without a duration."""
    if action.get("Type") != "forward":
        return
    forward = action.get("ForwardConfig") or {}
    groups = forward.get("TargetGroups") or []
    for index, group in enumerate(groups, 1):
        weight = int(group.get("Weight", 1))
        if not 0 <= weight <= HEAVIEST:
            raise ValidationError(
                f"1 validation error detected: Value '{weight}' at 'actions.1.member.forwardConfig."
                f"targetGroups.{index}.member.weight' failed to satisfy constraint: Member must be between 0 and 999"
            )
    found = of(action)
    if len(found) < len(groups):
        raise InvalidLoadBalancerActionException("A target group may be listed only once in a forward action")
    if groups and not any(found.values()):
        raise InvalidLoadBalancerActionException("At least one target group must have a weight above 0")
    stickiness = forward.get("TargetGroupStickinessConfig") or {}
    if str(stickiness.get("Enabled", False)).lower() == "true" and "DurationSeconds" not in stickiness:
        raise ValidationError("You must specify DurationSeconds when target group stickiness is enabled")
