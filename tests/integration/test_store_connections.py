"""The pool of connections: what died while it lay there is replaced unseen, what dies in use is said in our words."""

import asyncio

import psycopg
import pytest

from bot.errors import Unavailable
from bot.store import TRUSTED

END_ALL = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


def end_connections(url):
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(END_ALL)


async def test_connections_that_died_in_the_pool_are_replaced_unseen(database):
    await asyncio.gather(*(database.ping() for _ in range(4)))
    end_connections(database.url)
    await asyncio.sleep(TRUSTED.total_seconds() + 0.1)
    await asyncio.gather(*(database.ping() for _ in range(4)))


async def test_a_connection_that_dies_between_two_uses_fails_once_and_is_replaced(database):
    await database.ping()
    end_connections(database.url)
    with pytest.raises(Unavailable, match="nothing was recorded"):
        await database.ping()
    await database.ping()
