"""The bot's own tables: whether they are as this version needs them, and bringing them there.

Looking costs one statement and no import of Alembic, so that a start with nothing to migrate stays short and small.
"""

import asyncio
import re
import time
from datetime import timedelta
from importlib import metadata, resources
from pathlib import Path

import sqlalchemy as sa
import structlog
from sqlalchemy import exc

from bot import durable, store
from bot.errors import Unavailable
from bot.store import Database

LOCK = 0x6F7073626F74  # "opsbot": one migration at a time in one database
PATIENCE = timedelta(seconds=60)

log = structlog.get_logger(__name__)

_RECORDED = sa.text("""
    SELECT version_num, obj_description(to_regnamespace('dbos'), 'pg_namespace') FROM alembic_version
""")


async def is_current(database: Database) -> bool:
    """Tell whether the tables are those of this version, or newer. Raises Unavailable."""
    try:
        async with database.transaction() as session:
            row = (await store.execute(session, _RECORDED)).first()
    except exc.ProgrammingError:
        return False
    return row is not None and row[0] >= head() and row[1] == _engine_mark()


async def upgrade(database: Database) -> None:
    """Migrate; any number of processes may do so at once, and all return when it is done. Raises Unavailable."""
    if not await is_current(database):
        await asyncio.to_thread(_upgrade, database.url)


def head() -> str:
    """Return the newest revision; files are named NNNN_noun.py and NNNN is the revision."""
    names = (path.name for path in (_folder() / "versions").iterdir())
    return max(name[:4] for name in names if re.fullmatch(r"\d{4}_\w+\.py", name))


def _upgrade(url: str) -> None:
    engine = sa.create_engine(store.driver_url(url, "psycopg"), poolclass=sa.pool.NullPool)
    try:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as guard:
            _lock(guard)
            durable.migrate(url)
            with engine.begin() as connection:
                _run_alembic(connection)
                connection.execute(sa.text(f"COMMENT ON SCHEMA dbos IS '{_engine_mark()}'"))
            log.info("database_migrated", revision=head())
    except exc.OperationalError as error:
        raise Unavailable("The bot's database does not answer; it was not migrated") from error
    finally:
        engine.dispose()


def _lock(guard: sa.Connection) -> None:
    # Tried again and again rather than waited for: a statement that waits holds a snapshot, and the engine's
    # CREATE INDEX CONCURRENTLY in the process that migrates would wait for that snapshot for ever.
    deadline = time.monotonic() + PATIENCE.total_seconds()
    while not guard.execute(sa.text("SELECT pg_try_advisory_lock(:lock)"), {"lock": LOCK}).scalar():
        if time.monotonic() > deadline:
            raise Unavailable("Another process is still migrating the bot's database; start again later")
        time.sleep(0.2)


def _run_alembic(connection: sa.Connection) -> None:
    from alembic import command  # noqa: PLC0415  20 MB that only a migration needs
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_folder()))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _folder() -> Path:
    return Path(str(resources.files("migrations")))


def _engine_mark() -> str:
    return f"dbos {metadata.version('dbos')}"
