"""One replica of the takeover test: runs ten-step workflows until it is killed."""

import asyncio
import sys
from datetime import timedelta
from types import SimpleNamespace

import sqlalchemy as sa
from dbos import DBOS

from bot import durable, log, store
from bot.store import Database

STEPS = 10


@DBOS.workflow(name="takeover", max_recovery_attempts=None)
async def takeover(run: str) -> str:
    """begin → wait for the approval → ten keyed effects."""
    database = durable.services().database
    await durable.receive(timedelta(minutes=5))
    for number in range(STEPS):
        await durable.step(f"effect_{number}", effect, database, run, number)
    return "done"


async def effect(database: Database, run: str, number: int) -> None:
    """Do something outside under a key, and keep a tally of tries as well."""
    async with database.transaction() as session:
        values = {"run": run, "number": number, "executor": durable.executor_id()}
        await store.execute(session, sa.text("INSERT INTO tries VALUES (:run, :number, :executor)"), **values)
        keyed = "INSERT INTO effects VALUES (:run, :number, :executor, clock_timestamp()) ON CONFLICT DO NOTHING"
        await store.execute(session, sa.text(keyed), **values)
    await asyncio.sleep(0.1)


async def main(url: str) -> None:
    """Work until killed."""
    log.configure("warning", "json")
    await durable.launch(SimpleNamespace(database=Database(url)), executor=True)
    sys.stdout.write(f"{durable.executor_id()}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
