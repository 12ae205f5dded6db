"""What is read while a deployment runs: one look per durable step, with its time, and no decision in it."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from bot.errors import OpsError
from bot.services import Services
from commands.rollout import queries, scene, verification
from commands.rollout.records import Baseline, IdleLook, Reading, Side, TrafficLook, Verified
from commands.rollout.scene import Scene

Value = TypeVar("Value")


async def idle(services: Services, deployment_id: str) -> IdleLook:
    """Look at the idle colour; a look that fails says why, and the caller looks again."""
    at = await scene.enter(services, deployment_id)
    side = at.plan.idle
    try:
        state, health, images = await asyncio.gather(
            at.place.ecs.service(at.plan.cluster, side.service),
            at.place.elb.health(side.target_group),
            at.place.ecs.running_images(at.plan.cluster, side.service, container=side.container),
        )
    except OpsError as error:
        return IdleLook(at=services.now(), problem=error.sentence)
    return IdleLook(
        at=services.now(),
        rollout=state.rollout,
        task_definition=state.task_definition,
        deployments=state.deployments,
        desired=state.desired,
        running=state.running,
        failed_tasks=state.failed_tasks,
        healthy=health.healthy,
        states=tuple(sorted(health.states.items())),
        images=images,
    )


async def verify(services: Services, deployment_id: str) -> Verified:
    """Run the verification once through the test rule."""
    at = await scene.enter(services, deployment_id)
    subject = verification.Subject(
        header=(at.environment.test_header, at.plan.idle.colour),
        version=at.plan.version,
        schema_version=at.plan.schema_version,
    )
    findings = await verification.verify(at.place, subject, services.settings.config.thresholds)
    return Verified(at=services.now(), findings=findings)


async def traffic(services: Services, deployment_id: str) -> TrafficLook:
    """Read the requests per second of both colours."""
    at = await scene.enter(services, deployment_id)
    metrics, window = services.settings.config.metrics, services.settings.config.durations.observe_window
    try:
        live, new = await asyncio.gather(
            at.place.prometheus.scalar(queries.rate(metrics, at.plan.live.selector, window)),
            at.place.prometheus.scalar(queries.rate(metrics, at.plan.idle.selector, window)),
        )
    except OpsError as error:
        return TrafficLook(at=services.now(), live=None, idle=None, problem=error.sentence)
    return TrafficLook(at=services.now(), live=live, idle=new)


async def baseline(services: Services, deployment_id: str) -> Baseline:
    """Read the previous hour of the colour that is live now; a missing number leaves its rule without a limit."""
    at = await scene.enter(services, deployment_id)
    metrics, window = services.settings.config.metrics, services.settings.config.durations.baseline_window
    side = at.plan.live
    try:
        p95, asked, failed = await asyncio.gather(
            at.place.prometheus.scalar(queries.p95(metrics, side.selector, window)),
            at.place.prometheus.scalar(queries.requests(metrics, side.selector, window)),
            at.place.prometheus.scalar(queries.errors(metrics, side.selector, window)),
        )
    except OpsError:
        return Baseline(p95=None, error_rate=None)
    return Baseline(p95=p95, error_rate=failed / asked if asked and failed is not None else None)


async def reading(services: Services, deployment_id: str) -> Reading:
    """Read the new colour once: counts, P95, health, crashes."""
    at = await scene.enter(services, deployment_id)
    metrics, state, health = await asyncio.gather(
        _counts(at, at.plan.idle),
        _or_none(at.place.ecs.service(at.plan.cluster, at.plan.idle.service)),
        _or_none(at.place.elb.health(at.plan.idle.target_group)),
    )
    counts, problem = metrics
    requests, errors, more_requests, more_errors, p95 = counts
    return Reading(
        at=services.now(),
        requests=requests,
        errors=errors,
        evaluate_requests=more_requests,
        evaluate_errors=more_errors,
        latency_requests=more_requests,
        p95=p95,
        healthy=health.healthy if health else None,
        desired=at.plan.desired,
        failed_tasks=state.failed_tasks if state else None,
        problem=problem,
    )


async def _counts(at: Scene, side: Side) -> tuple[tuple[float | None, ...], str]:
    config = at.services.settings.config
    names, hard, wide = config.metrics, config.durations.hard_window, config.durations.evaluate_window
    asked = (
        queries.requests(names, side.selector, hard),
        queries.errors(names, side.selector, hard),
        queries.requests(names, side.selector, wide),
        queries.errors(names, side.selector, wide),
        queries.p95(names, side.selector, wide),
        queries.present(names, side.selector),
    )
    try:
        *counts, series = await asyncio.gather(*(at.place.prometheus.scalar(query) for query in asked))
    except OpsError as error:
        return (None,) * 5, error.sentence
    return (tuple(counts), "") if series else ((None,) * 5, "")


async def _or_none(question: Awaitable[Value]) -> Value | None:
    try:
        return await question
    except OpsError:
        return None
