"""Signed command → ack: opsbot against a Bolt app that does nothing, 50 at a time, in alternating rounds."""

import asyncio
import itertools
import time
import urllib.parse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import aiohttp
from slack_sdk.signature import SignatureVerifier

from tests.bench import servers
from tests.bench.figures import TIMES, Figure, median, percentile
from tests.bench.ground import SECRET, Ground
from tests.bench.servers import Server

AT_ONCE = 50
REQUESTS = 400
STARTS = 200
ROUNDS = 7
GOAL = 0.8
NAMES = tuple(f"staging{number}" for number in range(STARTS))
_HOW = "`opsbot web`, a bare Bolt app and the client in a process each; medians of 7 alternating rounds"


@dataclass
class Course:
    """What is asked of whom, and what came of it: answers per second and the waits, round by round."""

    name: str
    server: Server
    texts: Sequence[str]
    expected: str
    rates: list[float] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)


async def measure(ground: Ground) -> list[Figure]:
    """Return the throughput of each course against the bare app's."""
    bare_port, own_port = servers.free_port(), servers.free_port()
    api = f"{ground.slack.url}/api/"
    variables = ground.variables(own_port, NAMES, http=True)
    log = ground.home / "acks.log"
    async with (
        servers.running(
            *("-m", "tests.bench.bare", str(bare_port), api, SECRET),
            port=bare_port,
            path="/healthz",
            variables={},
            log=log,
        ) as bare,
        servers.running(*("-m", "bot", "web"), port=own_port, path="/readyz", variables=variables, log=log) as own,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=AT_ONCE)) as client,
    ):
        courses = (
            Course("bare", bare, ["status"] * REQUESTS, "done"),
            Course("help", own, ["help"] * REQUESTS, "/deploy"),
            Course("status", own, ["status"] * REQUESTS, "staging"),
            Course("start", own, [f"v0.1.0 {name}" for name in NAMES], "Understood"),
        )
        number = itertools.count(1)
        for _round in range(ROUNDS + 1):
            for course in courses:
                ground.forget()
                if course.name == "status":
                    # What it shows in daily life: one deployment.
                    await _round_of(client, Course("one", own, ["v0.1.0 staging0"], "Understood"), number.__next__)
                await _round_of(client, course, number.__next__)
    return _figures(courses)


async def _round_of(client: aiohttp.ClientSession, course: Course, number: Callable[[], int]) -> None:
    waiting = [_signed(text, number()) for text in reversed(course.texts)]
    waits: list[float] = []

    async def ask() -> None:
        while waiting:
            body, headers = waiting.pop()
            began = time.perf_counter()
            async with client.post(f"{course.server.url}/slack/events", data=body, headers=headers) as answer:
                text = await answer.text()
            waits.append(time.perf_counter() - began)
            if answer.status != 200 or course.expected not in text:
                raise RuntimeError(f"{course.name} was answered {answer.status} {text[:300]}")

    began = time.perf_counter()
    await asyncio.gather(*(ask() for _ in range(AT_ONCE)))
    course.rates.append(len(waits) / (time.perf_counter() - began))
    course.waits += waits


def _signed(text: str, number: int) -> tuple[str, dict[str, str]]:
    fields = {
        "command": "/deploy",
        "text": text,
        "user_id": "U0JANE",
        "user_name": "jane",
        "team_id": "T0SANDBOX",
        "channel_id": "C0ALERTS",
        "channel_name": "llm-observatory-alerts",
        "trigger_id": f"{number}.{time.time_ns()}",
        "response_url": "http://127.0.0.1:9/response",
    }
    body, stamp = urllib.parse.urlencode(fields), str(int(time.time()))
    signature = SignatureVerifier(SECRET).generate_signature(timestamp=stamp, body=body)
    return body, {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Slack-Request-Timestamp": stamp,
        "X-Slack-Signature": str(signature),
    }


def _figures(courses: Sequence[Course]) -> list[Figure]:
    # The first round warms up: connections, prepared statements, who Jane is.
    rates = {course.name: median(course.rates[1:]) for course in courses}
    named = {"help": "`/deploy help`", "status": "`/deploy status`", "start": "`/deploy v0.1.0 …` (durable start)"}
    found = [
        Figure(key="ack_bare_per_s", name="command → ack, bare Bolt app", value=rates["bare"], unit="/s", how=_HOW)
    ]
    for course in courses[1:]:
        waits = course.waits[len(course.texts) :]
        how = f"{rates[course.name]:.0f}/s; p50 {percentile(waits, 0.5) * 1e3:.0f}, p99 {percentile(waits, 0.99) * 1e3:.0f} ms at {AT_ONCE} at once"
        found.append(
            Figure(
                key=f"ack_{course.name}_ratio",
                name=f"command → ack, {named[course.name]}",
                value=median([own / bare for own, bare in zip(course.rates[1:], courses[0].rates[1:], strict=True)]),
                unit=TIMES,
                goal=GOAL,
                at_least=True,
                how=how,
            )
        )
    return found
