import asyncio
from urllib.parse import urlsplit

import asyncpg
import pytest

from bot.clients.target import Target
from bot.errors import Misconfigured, Refused, Unavailable


def password(postgres):
    """Return the owner's password, for roles that log in at the same address."""
    return urlsplit(postgres.url()).password


@pytest.fixture
async def owner(postgres):
    """A fresh database, as its owner sees it, and its URL."""
    admin = await asyncpg.connect(postgres.url("postgres"))
    await admin.execute("DROP DATABASE IF EXISTS observatory WITH (FORCE)")
    await admin.execute("CREATE DATABASE observatory")
    await admin.close()
    connection = await asyncpg.connect(postgres.url("observatory"))
    yield connection
    await connection.close()


@pytest.fixture
def target(postgres, owner):
    return Target(postgres.url("observatory"))


async def test_a_database_without_migrations_has_no_version(target):
    assert await target.schema_version() is None


async def test_the_version_is_the_highest_that_was_applied(target, owner):
    await owner.execute("CREATE TABLE schema_migrations (version text PRIMARY KEY)")
    assert await target.schema_version() is None
    await owner.execute("INSERT INTO schema_migrations VALUES ('001'), ('010'), ('002')")
    assert await target.schema_version() == "010"


async def test_a_version_may_be_a_number(target, owner):
    await owner.execute("CREATE TABLE schema_migrations (version int)")
    await owner.execute("INSERT INTO schema_migrations VALUES (9), (10)")
    assert await target.schema_version() == "10"


async def test_a_ping_takes_a_moment(target):
    assert 0 < await target.ping() < 1


async def test_a_session_is_read_only_short_and_named(target):
    async with target._connection() as connection:
        shown = [await connection.fetchval(f"SHOW {name}") for name in ("statement_timeout", "application_name")]
        assert shown == ["2s", "opsbot"]
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            await connection.execute("CREATE TABLE harm (n int)")


async def test_nothing_stays_open_after_a_question(target, owner):
    await target.ping()
    await target.schema_version()
    for _ in range(50):
        count = await owner.fetchval("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'opsbot'")
        if count == 0:
            return
        await asyncio.sleep(0.02)
    pytest.fail(f"{count} connections are still open")


async def test_a_locked_table_is_said_to_be_locked(target, owner):
    await owner.execute("CREATE TABLE schema_migrations (version text)")
    async with owner.transaction():
        await owner.execute("LOCK TABLE schema_migrations IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(Unavailable, match="is locked"):
            await target.schema_version()


async def test_a_question_that_takes_too_long_is_stopped(target):
    with pytest.raises(Unavailable, match="too slow"):
        async with target._connection() as connection:
            await connection.fetchval("SELECT pg_sleep(5)")


async def test_a_table_of_another_shape_is_said_to_be_so(target, owner):
    await owner.execute("CREATE TABLE schema_migrations (number int)")
    with pytest.raises(Refused, match="check the table schema_migrations"):
        await target.schema_version()


async def test_a_missing_right_is_said_to_be_missing(postgres, owner):
    await owner.execute("CREATE TABLE schema_migrations (version text)")
    await owner.execute("DROP ROLE IF EXISTS stranger")
    await owner.execute(f"CREATE ROLE stranger LOGIN PASSWORD '{password(postgres)}'")
    stranger = Target(postgres.url("observatory").replace("//opsbot:", "//stranger:"))
    with pytest.raises(Refused, match="grant pg_monitor"):
        await stranger.schema_version()


async def test_a_missing_database_is_said_to_be_missing(postgres):
    with pytest.raises(Refused, match="no database of that name"):
        await Target(postgres.url("nowhere")).ping()


async def test_a_full_database_is_said_to_be_full(postgres, owner):
    await owner.execute("DROP ROLE IF EXISTS crowded")
    await owner.execute(f"CREATE ROLE crowded LOGIN CONNECTION LIMIT 0 PASSWORD '{password(postgres)}'")
    with pytest.raises(Unavailable, match="is full"):
        await Target(postgres.url("observatory").replace("//opsbot:", "//crowded:")).ping()


async def sleep_and_be_killed(target, owner, *, after):
    async with target._connection() as connection:
        kill = owner.execute("SELECT pg_terminate_backend($1)", connection.get_server_pid())
        if after:
            await kill
            await connection.fetchval("SELECT pg_sleep(1)")
        else:
            await asyncio.gather(connection.fetchval("SELECT pg_sleep(1)"), kill)


@pytest.mark.parametrize("after", [True, False])
async def test_a_killed_connection_is_said_to_be_dropped(target, owner, after):
    with pytest.raises(Unavailable, match="dropped the connection"):
        await sleep_and_be_killed(target, owner, after=after)


async def test_a_server_that_does_not_answer_is_given_up_on():
    async def silent(_reader, writer):
        await asyncio.sleep(10)
        writer.close()

    listener = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    async with asyncio.timeout(5):
        with pytest.raises(Unavailable, match="does not answer"):
            await Target(f"postgresql://opsbot:secret@127.0.0.1:{port}/observatory").ping()
    listener.close()


async def test_a_closed_port_cannot_be_reached_and_the_password_is_not_shown(unused_tcp_port):
    with pytest.raises(Unavailable, match="cannot be reached") as caught:
        await Target(f"postgresql://opsbot:secret@127.0.0.1:{unused_tcp_port}/observatory").ping()
    assert "secret" not in caught.value.sentence


@pytest.mark.parametrize("url", ["mysql://opsbot:secret@127.0.0.1/x", "postgresql://opsbot:secret@127.0.0.1:port/x"])
async def test_an_unreadable_address_is_a_matter_of_settings(url):
    with pytest.raises(Misconfigured) as caught:
        await Target(url).ping()
    assert "secret" not in caught.value.sentence
