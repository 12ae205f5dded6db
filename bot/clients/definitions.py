"""What an ECS task definition says, apart from what AWS writes into it; pure, so that two of them can be compared."""

import copy
import json
from collections.abc import Mapping
from typing import Any, TypeAlias

from bot.errors import NotFound

Definition: TypeAlias = Mapping[str, Any]

READ_ONLY = frozenset(
    {
        "taskDefinitionArn",
        "revision",
        "status",
        "requiresAttributes",
        "compatibilities",
        "registeredAt",
        "registeredBy",
        "deregisteredAt",
        "deleteRequestedAt",
    }
)
"""Fields that AWS adds and does not take back."""


def content(definition: Definition) -> dict[str, Any]:
    """Copy everything that can be registered again; changing the copy leaves the original alone."""
    return copy.deepcopy({key: value for key, value in definition.items() if key not in READ_ONLY})


def container(definition: Definition, name: str) -> dict[str, Any]:
    """Return one container's part, to read or to change in place; NotFound when there is none of that name."""
    for part in definition["containerDefinitions"]:
        if part["name"] == name:
            found: dict[str, Any] = part
            return found
    raise NotFound(
        f"Task definition {definition['family']} has no container {name}; correct `container` of the environment.",
        family=definition["family"],
        container=name,
    )


def same(one: Definition, other: Definition) -> bool:
    """Whether both mean the same, whatever the order of their environment, secrets, ports and mounts."""
    return bool(_canonical(one) == _canonical(other))


def revision(arn: str) -> int:
    """Return the number at the end of a task definition's ARN."""
    return int(arn.rpartition(":")[2])


def _canonical(value: Any) -> Any:
    """Drop what is empty and sort lists of objects: AWS returns them in an order of its own."""
    if isinstance(value, Mapping):
        kept = {key: _canonical(each) for key, each in value.items()}
        return {key: each for key, each in kept.items() if each not in ({}, [], None)}
    if isinstance(value, list) and all(isinstance(each, Mapping) for each in value):
        return sorted((_canonical(each) for each in value), key=lambda each: json.dumps(each, sort_keys=True))
    return value
