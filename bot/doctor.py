"""`opsbot doctor`: what this process was told, secrets masked, and one line for each address that it would use."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from urllib.parse import urlsplit

from pydantic import SecretStr

from bot import app, schema
from bot.clients.aws import Aws
from bot.clients.slack import Slack
from bot.errors import Misconfigured, OpsError, Refused
from bot.services import Place
from bot.settings import COLOURS, Colour, Environment, Settings
from bot.store import Database

LIMIT_SECONDS = 15.0

Test = Callable[[], Awaitable[str]]


@dataclass(frozen=True, kw_only=True)
class Probe:
    """One thing to try; the test says what it found or raises one of our errors."""

    name: str
    test: Test


async def examine(settings: Settings, say: Callable[[str], None]) -> bool:
    """Print the settings and the result of every test; True when all of them passed."""
    for line in shown(settings):
        say(line)
    say("")
    async with AsyncExitStack() as stack:
        probes = [probe async for probe in _all(settings, stack)]
        results = await asyncio.gather(*(_result(probe) for probe in probes))
    for probe, (passed, words) in zip(probes, results, strict=True):
        say(f"{'ok  ' if passed else 'FAIL'}  {probe.name}: {words}")
    failed = sum(not passed for passed, _ in results)
    say(f"{len(results) - failed} of {len(results)} passed")
    return failed == 0


def shown(settings: Settings) -> Iterator[str]:
    """Describe the settings, one per line, without a secret in them."""
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if name == "config":
            for section, part in json.loads(value.model_dump_json()).items():
                yield f"{section} = {json.dumps(part)}"
        elif isinstance(value, SecretStr):
            yield f"{name} = {_masked(value.get_secret_value())}"
        else:
            yield f"{name} = {'(not set)' if value is None else value}"


def _masked(secret: str) -> str:
    """Show where a URL leads, and of anything else only that it is there."""
    parts = urlsplit(secret)
    return f"{parts.scheme}://***@{parts.hostname}:{parts.port}{parts.path}" if parts.hostname else "***"


async def _result(probe: Probe) -> tuple[bool, str]:
    try:
        async with asyncio.timeout(LIMIT_SECONDS):
            return True, await probe.test()
    except OpsError as error:
        return False, error.sentence
    except TimeoutError:
        return False, f"no answer within {LIMIT_SECONDS:.0f} s"


async def _all(settings: Settings, stack: AsyncExitStack) -> AsyncIterator[Probe]:
    yield await _database(settings, stack)
    yield _slack(settings, stack)
    yield _pagerduty(settings, stack)
    for name in settings.config.environments:
        for probe in _environment(settings, name, stack):
            yield probe


async def _database(settings: Settings, stack: AsyncExitStack) -> Probe:
    try:
        database = await stack.enter_async_context(app.open_database(settings))
    except OpsError as error:
        return _failed("database", error)
    return Probe(name="database", test=lambda: _schema(database))


async def _schema(database: Database) -> str:
    if await schema.is_current(database):
        return f"tables at revision {schema.head()}"
    raise Refused("it answers, and its tables are not of this version: run `opsbot migrate`")


def _slack(settings: Settings, stack: AsyncExitStack) -> Probe:
    token = settings.slack_bot_token
    if token is None:
        return _failed("slack", Misconfigured("SLACK_BOT_TOKEN is not set"))
    slack = Slack(token.get_secret_value(), base_url=settings.slack_api_url)
    stack.push_async_callback(slack.close)

    async def test() -> str:
        identity = await slack.auth()
        channel = await slack.channel_id(settings.slack_channel)
        return f"{identity.team} at {identity.url}, channel #{settings.slack_channel} is {channel}"

    return Probe(name="slack", test=test)


def _pagerduty(settings: Settings, stack: AsyncExitStack) -> Probe:
    pager = app.pager(settings)
    if pager is None:
        return _failed("pagerduty", Misconfigured("PAGERDUTY_ROUTING_KEY is not set: nobody will be paged"))
    stack.push_async_callback(pager.close)

    async def test() -> str:
        # PagerDuty checks the routing key and drops the resolution of an alert that does not exist.
        await pager.send_event({"event_action": "resolve", "dedup_key": "opsbot-doctor"})
        return "the routing key is accepted"

    return Probe(name="pagerduty", test=test)


def _environment(settings: Settings, name: str, stack: AsyncExitStack) -> Iterator[Probe]:
    aws = Aws(settings.environment(name).region)
    stack.push_async_callback(aws.close)
    try:
        place = app.place_of(settings, name, aws)
    except OpsError as error:
        yield _failed(name, error)
        return
    stack.push_async_callback(place.prometheus.close)
    stack.push_async_callback(place.storage.close)
    yield Probe(name=f"{name} listener rule", test=lambda: _rule(place, settings.environment(name)))
    for colour in COLOURS:
        yield _service(place, settings.environment(name), f"{name} {colour}", colour)
    yield Probe(name=f"{name} repository", test=lambda: _repository(place, settings.environment(name)))
    yield Probe(name=f"{name} prometheus", test=lambda: _prometheus(place))
    yield Probe(name=f"{name} storage service", test=lambda: _storage(place))
    if place.target is not None:
        yield Probe(name=f"{name} database", test=lambda: _target(place))


async def _rule(place: Place, environment: Environment) -> str:
    rule = await place.elb.rule(environment.listener_rule)
    weights = {colour: rule.weights.get(environment.colour(colour).target_group) for colour in COLOURS}
    if None in weights.values():
        raise Refused("the rule does not forward to both target groups of the settings")
    return ", ".join(f"{colour} {weight} %" for colour, weight in weights.items())


def _service(place: Place, environment: Environment, name: str, colour: Colour) -> Probe:
    async def test() -> str:
        service = await place.ecs.service(environment.cluster, environment.colour(colour).service)
        return f"{service.running} of {service.desired} tasks run"

    return Probe(name=f"{name} service", test=test)


async def _repository(place: Place, environment: Environment) -> str:
    tags = await place.ecr.tags(environment.repository)
    return f"{len(tags)} tags, newest {tags[0]}" if tags else "it is empty"


async def _prometheus(place: Place) -> str:
    return f"{len(await place.prometheus.vector('up'))} targets"


async def _storage(place: Place) -> str:
    answer = await place.storage.probe("/health")
    if not 200 <= answer.status < 300:  # noqa: PLR2004
        raise Refused(f"GET /health answers {answer.status}")
    return f"GET /health answers {answer.status} in {answer.seconds * 1000:.0f} ms"


async def _target(place: Place) -> str:
    assert place.target is not None
    return f"answers in {await place.target.ping() * 1000:.0f} ms, schema {await place.target.schema_version()}"


def _failed(name: str, error: OpsError) -> Probe:
    async def test() -> str:
        raise error

    return Probe(name=name, test=test)
