"""Alembic's environment over SQLModel's tables; `bot/schema.py` passes a connection, the alembic command a URL."""

import asyncio
import importlib

from alembic import context
from sqlalchemy import Connection, pool
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel import SQLModel

from bot import store
from migrations import TABLES

# Only autogenerate compares with the models, and it is run by a developer: an upgrade needs none of them.
if context.config.attributes.get("connection") is None:
    for module in TABLES:
        importlib.import_module(module)


def run(connection: Connection) -> None:
    """Run the migrations on one connection, all of them in one transaction."""
    context.configure(connection=connection, target_metadata=SQLModel.metadata)
    with context.begin_transaction():
        context.run_migrations()


async def run_url(url: str) -> None:
    """Connect as the alembic command does."""
    engine = create_async_engine(store.driver_url(url, "asyncpg"), poolclass=pool.NullPool)
    async with engine.begin() as connection:
        await connection.run_sync(run)
    await engine.dispose()


given = context.config.attributes.get("connection")
if given is None:
    asyncio.run(run_url(context.config.get_main_option("sqlalchemy.url") or ""))
else:
    run(given)
