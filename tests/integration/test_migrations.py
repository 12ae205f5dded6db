"""The migrations add up to the tables that the code uses, may run again, and the database itself guards the audit log."""

import asyncio
import importlib

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlmodel import SQLModel

from bot import audit, schema, store
from bot.store import Database
from migrations import TABLES


def differences(url):
    for name in TABLES:
        importlib.import_module(name)
    engine = sa.create_engine(store.driver_url(url, "psycopg"), poolclass=sa.pool.NullPool)
    try:
        with engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            return context.get_current_revision(), compare_metadata(context, SQLModel.metadata)
    finally:
        engine.dispose()


async def snapshot(database):
    query = sa.text("""
        SELECT table_name, column_name, data_type, is_nullable, column_default FROM information_schema.columns
        WHERE table_schema IN ('public', 'dbos') ORDER BY 1, 2
    """)
    async with database.transaction() as session:
        return [tuple(row) for row in await store.execute(session, query)]


async def test_the_newest_revision_is_exactly_what_the_models_say(postgres_url):
    revision, found = await asyncio.to_thread(differences, postgres_url)
    assert revision == schema.head()
    assert found == []


def test_every_table_of_the_code_is_known_to_the_migrations():
    for name in TABLES:
        importlib.import_module(name)
    before = set(SQLModel.metadata.tables)
    importlib.import_module("commands.registry")
    assert set(SQLModel.metadata.tables) == before


async def test_upgrading_what_is_current_changes_nothing(database, postgres_url):
    before = await snapshot(database)
    await schema.upgrade(database)
    await asyncio.to_thread(schema._upgrade, postgres_url)
    assert await schema.is_current(database)
    assert await snapshot(database) == before


async def test_two_processes_may_migrate_one_empty_database_at_once(postgres):
    one, other = (Database(postgres.create("empty_for_two")) for _ in range(2))
    try:
        await asyncio.gather(schema.upgrade(one), schema.upgrade(other))
        assert await schema.is_current(one)
    finally:
        await one.close()
        await other.close()
        await asyncio.to_thread(postgres.drop, "empty_for_two")


@pytest.mark.parametrize("act", ["UPDATE audit SET actor = 'nobody'", "DELETE FROM audit", "TRUNCATE audit"])
async def test_the_audit_log_takes_rows_and_gives_none_up(act, database):
    async with database.transaction() as session:
        await audit.record(session, actor="U0JANE", action="deployment_asked", subject="dep_1")
    with pytest.raises(sa.exc.ProgrammingError, match="append-only"):
        async with database.transaction() as session:
            await store.execute(session, sa.text(act))
    async with database.transaction() as session:
        assert (await store.execute(session, sa.text("SELECT count(*) FROM audit"))).scalar() == 1
