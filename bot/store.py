"""The bot's own PostgreSQL: one engine, sessions that are exactly one transaction, and our words for its failures."""

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event, exc
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry
from sqlmodel.ext.asyncio.session import AsyncSession

from bot.errors import Unavailable

CONNECT_SECONDS = 5
STATEMENT_SECONDS = 30
POOL = 5
TRUSTED = timedelta(seconds=1)
"""A connection that was in use so lately is taken as alive: asking it costs as much as a short transaction."""

# SQLSTATE classes 08 connection, 53 out of connections or disk, 57 shutting down or starting up,
# and, as far as a caller can tell the same: 28 wrong password, 3D no such database.
_OUTAGE_CODES = ("08", "53", "57", "28", "3D")


# For `sa_column_kwargs`: the time of the transaction, by the database's clock.
NOW: Mapping[str, Any] = {"server_default": sa.func.now(), "nullable": False}


class Moment(sa.TIMESTAMP):
    """A column of aware UTC datetimes; use as `Field(sa_type=Moment)`."""

    def __init__(self) -> None:
        super().__init__(timezone=True)


def driver_url(url: str, driver: str) -> str:
    """Return `postgresql://…` for one SQLAlchemy driver (`asyncpg` or `psycopg`)."""
    return f"postgresql+{driver}://{url.split('://', 1)[1]}"


class Database:
    """A pool of connections (5, under load 10) to one PostgreSQL. Raises Unavailable while it cannot be reached."""

    def __init__(self, url: str, *, pool: int = POOL) -> None:
        self.url = url
        self._engine: AsyncEngine = create_async_engine(
            driver_url(url, "asyncpg"),
            pool_size=pool,
            max_overflow=pool,
            pool_timeout=CONNECT_SECONDS,
            pool_use_lifo=True,
            connect_args={
                "timeout": CONNECT_SECONDS,
                "command_timeout": STATEMENT_SECONDS,
                "server_settings": {"application_name": "opsbot", "timezone": "UTC"},
            },
        )
        for moment in ("connect", "checkin"):
            event.listen(self._engine.sync_engine, moment, _note_use)
        event.listen(self._engine.sync_engine, "checkout", self._prove)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """Open a session whose work commits on leaving and is undone by any exception."""
        try:
            async with AsyncSession(self._engine, expire_on_commit=False) as session, session.begin():
                yield session
        except exc.DBAPIError as error:
            if is_outage(error):
                raise Unavailable(f"The bot's database {_ailment(error)}; nothing was recorded") from error
            raise
        except OSError as error:
            raise Unavailable("The bot's database cannot be reached; nothing was recorded") from error
        except (exc.TimeoutError, exc.DisconnectionError) as error:
            raise Unavailable("The bot's database has no free connection; nothing was recorded") from error

    async def ping(self) -> None:
        """Prove that a connection can be had. Raises Unavailable."""
        async with self.transaction() as session:
            await execute(session, sa.text("SELECT 1"))

    async def close(self) -> None:
        """Give all connections back."""
        await self._engine.dispose()

    def _prove(self, connection: Any, record: ConnectionPoolEntry, _: object) -> None:
        """Throw a connection away that died while it lay in the pool, as PostgreSQL's restart leaves them."""
        if time.monotonic() - record.info["used"] < TRUSTED.total_seconds():
            return
        try:
            self._engine.dialect.do_ping(connection)
        except self._engine.dialect.loaded_dbapi.Error as error:
            raise exc.InvalidatePoolError from error


async def execute(
    session: AsyncSession, statement: sa.TextClause, **values: object
) -> sa.CursorResult[*tuple[Any, ...]]:
    """Run a statement written in SQL in the session's transaction."""
    connection = await session.connection()
    return await connection.execute(statement, values)


def is_outage(error: exc.DBAPIError) -> bool:
    """Tell a server that is away or full from a statement that is wrong."""
    return (
        error.connection_invalidated
        or isinstance(error, exc.OperationalError | exc.InterfaceError)
        or _code(error).startswith(_OUTAGE_CODES)
    )


def _note_use(_: object, record: ConnectionPoolEntry) -> None:
    record.info["used"] = time.monotonic()


def _ailment(error: exc.DBAPIError) -> str:
    refused = _code(error).startswith(("28", "3D"))
    return "refuses this user, password or name (see DATABASE_URL)" if refused else "does not answer"


def _code(error: exc.DBAPIError) -> str:
    return str(getattr(error.orig, "sqlstate", None) or "")
