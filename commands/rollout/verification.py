"""Is the idle colour fit for traffic? Asked through the test rule, never at an address that might be the other colour.

Checks and limits: runbook `Post-Deployment Verification`, facts deploy.md section 5.1 step 5.
"""

import asyncio
import statistics
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bot.clients.service import Answer
from bot.errors import OpsError
from bot.services import Place
from bot.settings import Thresholds
from commands.checks import Finding, failed, passed, unknown

OK = 200
_TRIES = 5
_TRACES = "/api/v1/traces"
_HEALTHY = frozenset({"healthy", "ok", "up", "pass"})
SAMPLE_TRACE = {
    "trace_id": "00000000-0000-0000-0000-0000000005b7",
    "service_name": "opsbot-verification",
    "operation": "post-deployment-check",
    "duration_ms": 1,
}


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is to be verified."""

    header: tuple[str, str]
    version: str
    schema_version: str


async def verify(place: Place, subject: Subject, limits: Thresholds) -> tuple[Finding, ...]:
    """Run every check, one after the other so that none slows the timing of another. Never raises an OpsError."""
    checks: tuple[tuple[str, Callable[[], Awaitable[Finding]]], ...] = (
        ("health", lambda: _health(place, subject)),
        ("metrics", lambda: _metrics(place, subject)),
        ("schema", lambda: _schema(place, subject)),
        ("write", lambda: _timed(place, subject, "write", limits.write_seconds)),
        ("read", lambda: _timed(place, subject, "read", limits.read_seconds)),
        ("errors", lambda: _errors(place, subject, limits)),
    )
    return tuple([await _one(name, check) for name, check in checks])


def judge_health(answer: Answer, version: str) -> Finding:
    """Judge /health leniently in its shape and strictly in what it says. Pure."""
    body = answer.json if isinstance(answer.json, dict) else {}
    said = str(body.get("status", "")).lower()
    if answer.status != OK or (said and said not in _HEALTHY):
        return failed("health", "unhealthy", f"/health answers {answer.status} {said}".rstrip())
    found = str(body.get("version", ""))
    if found and found.removeprefix("v") != version.removeprefix("v"):
        return failed("health", "wrong_version", f"/health says version {found}, not {version}")
    named = f"version {found}" if found else "no version named"
    return passed("health", f"/health answers 200, {named}")


async def _one(name: str, check: Callable[[], Awaitable[Finding]]) -> Finding:
    try:
        return await check()
    except OpsError as error:
        return unknown(name, error.code, error.sentence)


async def _health(place: Place, subject: Subject) -> Finding:
    return judge_health(await place.storage.probe("/health", header=subject.header), subject.version)


async def _metrics(place: Place, subject: Subject) -> Finding:
    answer = await place.storage.probe("/metrics", header=subject.header)
    series = sum(1 for line in answer.body.splitlines() if line and not line.startswith("#"))
    if answer.status != OK or series == 0:
        return failed("metrics", "no_metrics", f"/metrics answers {answer.status} with {series} series")
    return passed("metrics", f"/metrics answers 200 with {series} series")


async def _schema(place: Place, subject: Subject) -> Finding:
    if place.target is None:
        return passed("schema", "not checked: no database URL is configured", code="not_configured")
    found = await place.target.schema_version() or ""
    if found != subject.schema_version:
        sentence = f"schema version is {found or 'none'}, the plan was made on {subject.schema_version or 'none'}"
        return failed("schema", "schema_changed", sentence)
    return passed("schema", f"schema version {found or 'none recorded'}")


async def _timed(place: Place, subject: Subject, name: str, limit: float) -> Finding:
    answers = [await _ask(place, subject, name) for _ in range(_TRIES)]
    bad = [answer.status for answer in answers if not OK <= answer.status < OK + 100]
    if bad:
        return failed(name, "status", f"{name} answers {bad[0]}")
    middle = statistics.median(answer.seconds for answer in answers)
    sentence = f"{name} takes {middle * 1000:.0f} ms (limit {limit * 1000:.0f} ms)"
    return passed(name, sentence) if middle < limit else failed(name, "slow", sentence)


async def _ask(place: Place, subject: Subject, name: str) -> Answer:
    if name == "write":
        return await place.storage.probe(_TRACES, method="POST", header=subject.header, body=SAMPLE_TRACE)
    return await place.storage.probe(f"{_TRACES}?limit=100", header=subject.header)


async def _errors(place: Place, subject: Subject, limits: Thresholds) -> Finding:
    asked = limits.probe_requests
    answers = await asyncio.gather(*(_ask(place, subject, "read") for _ in range(asked)))
    wrong = sum(1 for answer in answers if answer.status >= 500)  # noqa: PLR2004 - HTTP server errors
    sentence = f"{wrong} of {asked} requests failed (limit {limits.error_rate_harm:.0%})"
    good = wrong <= asked * limits.error_rate_harm
    return passed("errors", sentence) if good else failed("errors", "errors", sentence)
