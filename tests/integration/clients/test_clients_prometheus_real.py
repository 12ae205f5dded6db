"""The same client against a Prometheus that nobody here wrote."""

import asyncio
import shutil
import subprocess
from pathlib import Path

import pytest

from bot.clients.prometheus import Prometheus
from bot.errors import Conflict, Refused, Unavailable

BINARY = shutil.which("prometheus")

pytestmark = [
    pytest.mark.prometheus,
    pytest.mark.skipif(BINARY is None, reason="no prometheus on this machine"),
]

RULES = """
groups:
  - name: test
    interval: 200ms
    rules:
      - {record: http_requests_total, expr: vector(7), labels: {color: blue}}
      - {record: http_requests_total, expr: vector(3), labels: {color: green}}
      - {alert: AlwaysFires, expr: vector(1)}
      - {alert: NeverFires, expr: vector(1) > 2}
"""


@pytest.fixture(scope="module")
def address(tmp_path_factory, unused_tcp_port_factory):
    home: Path = tmp_path_factory.mktemp("prometheus")
    (home / "rules.yml").write_text(RULES)
    (home / "prometheus.yml").write_text("rule_files: [rules.yml]\n")
    where = f"127.0.0.1:{unused_tcp_port_factory()}"
    options = {
        "config.file": home / "prometheus.yml",
        "storage.tsdb.path": home / "data",
        "web.listen-address": where,
        "log.level": "error",
    }
    with subprocess.Popen([BINARY, *(f"--{name}={value}" for name, value in options.items())], cwd=home) as process:
        yield f"http://{where}"
        process.terminate()


@pytest.fixture
async def prometheus(address):
    client = Prometheus(address)
    for _ in range(300):
        if await _ready(client):
            break
        await asyncio.sleep(0.1)
    yield client
    await client.close()


async def _ready(client):
    try:
        return await client.firing() and len(await client.vector("http_requests_total")) == 2
    except Unavailable:
        return False


async def test_series_are_read_with_their_labels(prometheus):
    samples = await prometheus.vector("http_requests_total")
    assert {sample.labels["color"]: sample.value for sample in samples} == {"blue": 7.0, "green": 3.0}


@pytest.mark.parametrize(
    ("query", "value"),
    [
        ('sum(http_requests_total{color=~"blue|green"})', 10.0),
        ("42", 42.0),
        ("sum(nothing_of_that_name)", None),
        ("vector(0) / 0", None),
    ],
)
async def test_one_number_or_none(prometheus, query, value):
    assert await prometheus.scalar(query) == value


async def test_several_series_are_a_conflict(prometheus):
    with pytest.raises(Conflict):
        await prometheus.scalar("http_requests_total")


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("sum(", "parse error"),
        ("vector(1) + on () group_left () http_requests_total * on () http_requests_total", "many-to-many|duplicate"),
        ("http_requests_total[1m]", "gives a matrix"),
        ('"text"', "gives a string"),
    ],
)
async def test_a_bad_query_is_refused(prometheus, query, words):
    with pytest.raises(Refused, match=words):
        await prometheus.vector(query)


async def test_only_the_alert_that_fires_is_named(prometheus):
    assert await prometheus.firing() == ("AlwaysFires",)
