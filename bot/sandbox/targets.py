"""The databases of production and staging: the storage service's tables, some data, and a way to lock them."""

from types import MappingProxyType

import asyncpg
import psycopg

from bot.clients.embedded import Embedded

ROWS = MappingProxyType({"production": 20_000, "staging": 2_000})

_SCHEMA = """
    CREATE TABLE IF NOT EXISTS schema_migrations (
        version integer PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now());
    CREATE TABLE IF NOT EXISTS llm_traces (
        ts timestamptz NOT NULL, trace_id uuid NOT NULL, service_name text NOT NULL, duration_ms double precision,
        PRIMARY KEY (trace_id, ts));
    CREATE TABLE IF NOT EXISTS llm_metrics (ts timestamptz NOT NULL, name text NOT NULL, value double precision);
    CREATE TABLE IF NOT EXISTS llm_logs (ts timestamptz NOT NULL, level text NOT NULL, message text);
"""
_MIGRATIONS = (
    "initial_schema",
    "add_hypertables",
    "create_indexes",
    "continuous_aggregates",
    "retention_policies",
    "supporting_tables",
)
_FILL = """
    INSERT INTO llm_traces
    SELECT now() - number * interval '1 second', gen_random_uuid(), 'service-' || number %% 5, 100 + number %% 90
    FROM generate_series(1, %(rows)s) AS number
"""


def create(server: Embedded) -> None:
    """Create both databases, once; blocks."""
    for name, rows in ROWS.items():
        with psycopg.connect(server.create(name), connect_timeout=5) as connection:
            connection.execute(_SCHEMA)
            found = connection.execute("SELECT count(*) FROM schema_migrations").fetchone()
            if found and found[0]:
                continue
            for version, migration in enumerate(_MIGRATIONS, start=1):
                values = {"version": version, "name": f"{version:03}_{migration}"}
                connection.execute(
                    "INSERT INTO schema_migrations (version, name) VALUES (%(version)s, %(name)s)", values
                )
            connection.execute(_FILL, {"rows": rows})


class Locks:
    """One session that holds an exclusive lock on the tables, as a stuck migration would."""

    def __init__(self) -> None:
        self._connection: asyncpg.Connection | None = None

    @property
    def held(self) -> bool:
        """Tell whether the tables are locked."""
        return self._connection is not None

    async def take(self, url: str) -> None:
        """Lock the tables until `release`."""
        if self._connection is not None:
            return
        connection = await asyncpg.connect(url, timeout=5)
        await connection.execute("BEGIN; LOCK TABLE llm_traces, schema_migrations IN ACCESS EXCLUSIVE MODE")
        self._connection = connection

    async def release(self) -> None:
        """Let the tables go."""
        if self._connection is not None:
            await self._connection.close(timeout=5)
            self._connection = None
