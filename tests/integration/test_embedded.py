"""The embedded PostgreSQL: both drivers connect, several processes share one, the last one stops it."""

import asyncio
import stat
import tempfile
from pathlib import Path

import asyncpg
import psycopg
import pytest

from bot.clients import embedded
from bot.errors import Unavailable


@pytest.fixture
def home():
    with tempfile.TemporaryDirectory(prefix="opsbot-postgres-") as folder:
        yield Path(folder) / "home"


async def test_both_drivers_connect_with_a_password_only(postgres):
    url = postgres.url()
    connection = await asyncpg.connect(url)
    assert await connection.fetchval("SHOW listen_addresses") == "127.0.0.1"
    await connection.close()
    with psycopg.connect(url) as other:
        assert other.execute("SELECT 1").fetchone() == (1,)
    head, tail = url.rsplit("@", 1)
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(f"{head.rsplit(':', 1)[0]}:wrong@{tail}")
    assert stat.S_IMODE((postgres.home / "password").stat().st_mode) == 0o600


def test_processes_share_one_server_and_the_last_one_stops_it(home):
    first = embedded.start(home, options={"fsync": "off"})
    second = embedded.start(home)
    assert first.url() == second.url()
    first.stop()
    with psycopg.connect(second.url()) as connection:
        connection.execute("CREATE TABLE kept (x int)")
    second.stop()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(second.url(), connect_timeout=2)
    third = embedded.start(home)
    with psycopg.connect(third.url()) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)
    third.stop()


async def test_two_starts_at_once_are_one_server(home):
    servers = await asyncio.gather(*(asyncio.to_thread(embedded.start, home) for _ in range(3)))
    assert len({server.port for server in servers}) == 1
    for server in servers:
        server.stop()


def test_a_server_that_cannot_start_says_why(home):
    with pytest.raises(Unavailable, match="does not start"):
        embedded.start(home, options={"shared_buffers": "1"})
