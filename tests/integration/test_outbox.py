"""What the outbox promises to those who write it, and what the audit log refuses."""

import asyncio
import importlib

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import exc
from sqlmodel import SQLModel

from bot import audit, outbox, schema, store
from bot.errors import Unavailable
from bot.store import Database
from migrations import TABLES


async def rows(database: Database, query: str) -> list[tuple]:
    async with database.transaction() as session:
        return [tuple(row) for row in await store.execute(session, sa.text(query))]


async def test_the_same_key_twice_is_one_message(database):
    for _ in range(2):
        async with database.transaction() as session:
            await outbox.page(session, key="inc_1:L1", subject="inc_1", event={"dedup_key": "inc_1"})
    assert await rows(database, "SELECT key, lane, kind, state, payload FROM outbox") == [
        ("inc_1:L1", "page", "page", "pending", {"dedup_key": "inc_1"})
    ]


async def test_a_card_shown_again_is_one_stale_card(database):
    for _ in range(3):
        async with database.transaction() as session:
            await outbox.show_card(session, card="dep_1", kind="deployment", channel="C1")
    assert await rows(database, "SELECT id, kind, channel, rev, sent_rev FROM card") == [
        ("dep_1", "deployment", "C1", 3, 0)
    ]


async def test_a_card_that_was_not_posted_yet_has_a_place_without_a_timestamp(database):
    async with database.transaction() as session:
        assert await outbox.card_place(session, "dep_1") is None
        await outbox.show_card(session, card="dep_1", kind="deployment", channel="C1")
        assert await outbox.card_place(session, "dep_1") == outbox.CardPlace(channel="C1", ts=None)


async def test_what_is_undone_is_not_sent(database):
    async def change_my_mind() -> None:
        async with database.transaction() as session:
            await outbox.say(session, key="k", card="dep_1", text="hello")
            raise RuntimeError("changed my mind")

    with pytest.raises(RuntimeError, match="changed my mind"):
        await change_my_mind()
    assert await rows(database, "SELECT key FROM outbox") == []


@pytest.mark.parametrize(
    "statement",
    ["UPDATE audit SET actor = 'nobody'", "DELETE FROM audit", "TRUNCATE audit", "DELETE FROM audit WHERE false"],
)
async def test_the_database_refuses_to_change_the_audit_log(database, statement):
    async with database.transaction() as session:
        await audit.record(session, actor="U1", action="approved", subject="dep_1", origin="slack", plan="abc", n=2)
    with pytest.raises(exc.DBAPIError, match="append-only"):
        await rows(database, statement)
    assert await rows(database, "SELECT actor, action, subject, origin, detail, at <= now() FROM audit") == [
        ("U1", "approved", "dep_1", "slack", {"plan": "abc", "n": 2}, True)
    ]


async def test_a_database_that_is_away_is_unavailable():
    database = Database("postgresql://opsbot:wrong@127.0.0.1:1/opsbot")
    with pytest.raises(Unavailable, match="cannot be reached"):
        await database.ping()
    await database.close()


async def test_a_wrong_password_is_unavailable_and_says_no_password(postgres_url):
    head, tail = postgres_url.rsplit("@", 1)
    database = Database(f"{head}x@{tail}")
    with pytest.raises(Unavailable) as raised:
        await database.ping()
    assert head.rsplit(":", 1)[1] not in raised.value.sentence
    await database.close()


async def test_a_connection_that_the_server_closed_is_replaced(database):
    await database.ping()
    await rows(
        database,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'opsbot' "
        "AND pid <> pg_backend_pid() AND datname = current_database()",
    )
    await database.ping()


async def test_two_processes_may_migrate_one_empty_database_at_once(postgres):
    database = Database(postgres.create("empty"))
    try:
        assert not await schema.is_current(database)
        await asyncio.gather(schema.upgrade(database), schema.upgrade(database))
        assert await schema.is_current(database)
    finally:
        await database.close()
        postgres.drop("empty")


async def test_the_migrated_tables_are_those_of_the_models(database):
    for module in TABLES:
        importlib.import_module(module)
    engine = sa.create_engine(store.driver_url(database.url, "psycopg"), poolclass=sa.pool.NullPool)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_name": _is_ours})
        assert compare_metadata(context, SQLModel.metadata) == []


def _is_ours(name: str | None, kind: str, parents: object) -> bool:
    return kind == "schema" or name != "alembic_version"
