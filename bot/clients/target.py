"""The environment's own database, read through one short read-only connection per question.

Read-only here is a habit; the guarantee is the role of the URL, which needs pg_monitor and SELECT on schema_migrations.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import asyncpg

from bot.errors import Misconfigured, OpsError, Refused, Unavailable

_CONNECT_SECONDS = 3.0
_CLOSE_SECONDS = 1.0
_WHOLE_SECONDS = 6.0
_SESSION = {
    "application_name": "opsbot",
    "default_transaction_read_only": "on",
    "statement_timeout": "2000",
    "lock_timeout": "500",
}

# The first that fits counts: asyncpg's error for a bad address is also its error for a lost connection.
_DIAGNOSES: tuple[tuple[type[Exception], type[OpsError], str], ...] = (
    (ValueError, Misconfigured, "has an address that cannot be read; correct the database URL"),
    (asyncpg.TooManyConnectionsError, Unavailable, "is full; free connections or raise max_connections"),
    (asyncpg.CannotConnectNowError, Unavailable, "is starting or stopping; try again in a moment"),
    (asyncpg.InvalidCatalogNameError, Refused, "has no database of that name; correct the database URL"),
    (asyncpg.InvalidAuthorizationSpecificationError, Refused, "rejects the role or password; correct the database URL"),
    (asyncpg.InsufficientPrivilegeError, Refused, "denies the right; grant pg_monitor and SELECT on schema_migrations"),
    (asyncpg.QueryCanceledError, Unavailable, "is too slow, over 2 s for one small query; look at its load"),
    (asyncpg.LockNotAvailableError, Unavailable, "is locked for over 0.5 s; find who holds the lock"),
    (asyncpg.PostgresConnectionError, Unavailable, "dropped the connection; try again"),
    (asyncpg.PostgresError, Refused, "rejects the question; check the table schema_migrations"),
    (asyncpg.InterfaceError, Unavailable, "dropped the connection; try again"),
    (asyncpg.InternalClientError, Unavailable, "dropped the connection; try again"),
    (TimeoutError, Unavailable, "does not answer; check whether it is paused or overloaded"),
    (OSError, Unavailable, "cannot be reached; check that it runs and the way to it"),
)
_CAUSES = tuple(cause for cause, _, _ in _DIAGNOSES)


class Target:
    """A PostgreSQL given by its URL. Every method raises Unavailable, Refused or Misconfigured within 6 seconds."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def schema_version(self) -> str | None:
        """Return the highest applied version of `schema_migrations`, None when the table is absent or empty."""
        async with self._connection() as connection:
            try:
                version: str | None = await connection.fetchval("SELECT max(version)::text FROM schema_migrations")
            except asyncpg.UndefinedTableError:
                return None
        return version

    async def ping(self) -> float:
        """Return the seconds of one `SELECT 1` on an open connection."""
        async with self._connection() as connection:
            started = time.perf_counter()
            await connection.fetchval("SELECT 1")
            return time.perf_counter() - started

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Any]:
        try:
            async with asyncio.timeout(_WHOLE_SECONDS):
                connection = await asyncpg.connect(
                    self._url, timeout=_CONNECT_SECONDS, command_timeout=_CONNECT_SECONDS, server_settings=_SESSION
                )
                try:
                    yield connection
                except BaseException:
                    # A polite goodbye to a server that stopped answering would cost another wait.
                    connection.terminate()
                    raise
                await connection.close(timeout=_CLOSE_SECONDS)
        except _CAUSES as error:
            raise _diagnosed(error, _place(self._url)) from error


def _diagnosed(error: Exception, place: str) -> OpsError:
    kind, sentence = next((kind, words) for cause, kind, words in _DIAGNOSES if isinstance(error, cause))
    return kind(f"Database {place} {sentence} ({_words(error)}).", sqlstate=getattr(error, "sqlstate", None))


def _place(url: str) -> str:
    """Name the database without its role and password."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "of the environment"
    return f"{parts.hostname or 'on a local socket'}{parts.path}"


def _words(error: Exception) -> str:
    # asyncpg quotes an unreadable URL with its password in it.
    return type(error).__name__ if isinstance(error, ValueError) else str(error) or type(error).__name__
