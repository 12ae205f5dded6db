"""What a deployment needs to know before it plans: reads only, each answer kept beside the reason why it is missing."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Generic, TypeVar

from bot.clients.ecs import ServiceState
from bot.clients.elb import Rule, TargetGroup, TargetHealth
from bot.clients.service import Answer
from bot.errors import NotFound, OpsError
from bot.services import Place
from bot.settings import COLOURS, Colour, Environment, Metrics
from commands.rollout import queries

Value = TypeVar("Value")


@dataclass(frozen=True, kw_only=True)
class Read(Generic[Value]):
    """A value, or the sentence that says why there is none; `absent` where the thing is known not to exist."""

    value: Value | None = None
    problem: str = ""
    absent: bool = False


@dataclass(frozen=True, kw_only=True)
class ColourFacts:
    """One side of the environment."""

    service: Read[ServiceState]
    group: Read[TargetGroup]
    health: Read[TargetHealth]
    image: Read[str]
    version: str = ""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Everything that was read for one plan."""

    digest: Read[str]
    uri: Read[str]
    rule: Read[Rule]
    blue: ColourFacts
    green: ColourFacts
    series: Read[float | None]
    test_rule: Read[Answer]
    schema: Read[str]
    alerts: Read[tuple[str, ...]]

    def colour(self, name: Colour) -> ColourFacts:
        """Return what was read of one side."""
        return self.blue if name == "blue" else self.green

    def live(self, environment: Environment) -> Colour | None:
        """Return the colour with the majority of the weight, or None where that is not known."""
        return _majority(self.rule, environment)


async def survey(place: Place, environment: Environment, metrics: Metrics, version: str) -> Facts:
    """Read everything at the same time. Never raises an OpsError: what could not be read says why."""
    (digest, uri), (rule, series, answer), blue, green, schema, alerts = await asyncio.gather(
        _image(place, environment, version),
        _rule_and_live(place, environment, metrics),
        _colour(place, environment, "blue"),
        _colour(place, environment, "green"),
        _schema(place),
        _read(place.prometheus.firing()),
    )
    return Facts(
        digest=digest,
        uri=uri,
        rule=rule,
        blue=blue,
        green=green,
        series=series,
        test_rule=answer,
        schema=schema,
        alerts=alerts,
    )


async def _image(place: Place, environment: Environment, version: str) -> tuple[Read[str], Read[str]]:
    return await asyncio.gather(
        _read(place.ecr.digest(environment.repository, version)), _read(place.ecr.uri(environment.repository))
    )


async def _rule_and_live(
    place: Place, environment: Environment, metrics: Metrics
) -> tuple[Read[Rule], Read[float | None], Read[Answer]]:
    """Read the rule, and what can only be asked once it has said which colour is live."""
    rule = await _read(place.elb.rule(environment.listener_rule))
    live = _majority(rule, environment)
    if live is None:
        unknown = "the live colour is not known"
        return rule, Read(problem=unknown), Read(problem=unknown)
    series, answer = await asyncio.gather(
        _read(place.prometheus.scalar(queries.present(metrics, environment.colour(live).selector))),
        _read(place.storage.probe("/health", header=(environment.test_header, live))),
    )
    return rule, series, answer


def _majority(rule: Read[Rule], environment: Environment) -> Colour | None:
    if rule.value is None:
        return None
    weights = rule.value.weights
    return max(COLOURS, key=lambda colour: weights.get(environment.colour(colour).target_group, 0))


async def _colour(place: Place, environment: Environment, name: Colour) -> ColourFacts:
    side = environment.colour(name)
    service, group, health = await asyncio.gather(
        _read(place.ecs.service(environment.cluster, side.service)),
        _read(place.elb.group(side.target_group)),
        _read(place.elb.health(side.target_group)),
    )
    image: Read[str] = Read(problem=service.problem)
    if service.value is not None:
        image = await _read(place.ecs.image(service.value.task_definition, side.container))
    version = await _version(place, environment, image.value or "")
    return ColourFacts(service=service, group=group, health=health, image=image, version=version)


async def _version(place: Place, environment: Environment, image: str) -> str:
    """Return the version an image carries: its tag, or the tag that its digest has in the registry."""
    if "@" not in image:
        return image.rpartition(":")[2]
    tags = await _read(place.ecr.tags_of(environment.repository, image.rpartition("@")[2]))
    return next(iter(tags.value or ()), "")


async def _schema(place: Place) -> Read[str]:
    if place.target is None:
        return Read(absent=True)
    found = await _read(place.target.schema_version())
    return Read(value=found.value or "", problem=found.problem)


async def _read(question: Awaitable[Value]) -> Read[Value]:
    try:
        return Read(value=await question)
    except NotFound as error:
        return Read(problem=error.sentence, absent=True)
    except OpsError as error:
        return Read(problem=error.sentence)
