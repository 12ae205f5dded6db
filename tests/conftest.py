"""What every layer shares: a real PostgreSQL, and a fresh copy of the migrated database for each test that asks."""

import asyncio
import itertools
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from bot.clients.embedded import Embedded
    from bot.store import Database

TEMPLATE = "migrated"
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "200"}

_numbers = itertools.count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep a file on one worker, and whole worlds and kills on one worker together: their deadlines are scaled."""
    for item in items:
        world = {"e2e", "crash"} & set(item.path.parts)
        item.add_marker(pytest.mark.xdist_group("world" if world else item.path.name))


@pytest.fixture(scope="session")
def postgres() -> Iterator["Embedded"]:
    """A PostgreSQL of this test session, with the migrated template database in it."""
    from bot.clients import embedded  # noqa: PLC0415  unit tests never load it

    # Not in pytest's own folder: run as root, every pytest closes that to the user PostgreSQL runs as.
    home = Path(tempfile.mkdtemp(prefix="opsbot-postgres-"))
    server = embedded.start(home, options=FAST)
    url = server.create(TEMPLATE)
    # In a thread, because a loop run here would replace the one that the tests share.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, _migrate(url)).result()
    yield server
    server.stop()
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def postgres_url(postgres: "Embedded") -> Iterator[str]:
    """The address of a database of this test's own, migrated and empty."""
    name = f"test_{os.getpid()}_{next(_numbers)}"
    yield postgres.create(name, template=TEMPLATE)
    postgres.drop(name)


@pytest.fixture
async def database(postgres_url: str) -> AsyncIterator["Database"]:
    """The bot's own database, migrated and empty."""
    from bot.store import Database  # noqa: PLC0415

    database = Database(postgres_url)
    yield database
    await database.close()


async def _migrate(url: str) -> None:
    from bot import schema  # noqa: PLC0415
    from bot.store import Database  # noqa: PLC0415

    database = Database(url)
    await schema.upgrade(database)
    await database.close()
