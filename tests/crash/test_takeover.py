"""Two replicas share one PostgreSQL, one dies by kill -9 in the middle of its work: the other finishes everything."""

import asyncio
import os
import sys
from pathlib import Path

import sqlalchemy as sa

from bot import durable, store

ROOT = Path(__file__).parents[2]
RUNS = 6


async def worker(url):
    program = Path(__file__).with_name("takeover_worker.py")
    environment = {"PATH": os.defpath, "PYTHONPATH": str(ROOT), "HOME": os.environ.get("HOME", "/")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(program), url, stdout=asyncio.subprocess.PIPE, env=environment
    )
    async with asyncio.timeout(20):
        return process, (await process.stdout.readline()).decode().strip()


async def rows(database, query):
    async with database.transaction() as session:
        return [tuple(row) for row in await store.execute(session, sa.text(query))]


async def until(database, query, expected, seconds):
    async with asyncio.timeout(seconds):
        while await rows(database, query) != expected:  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def test_work_of_a_killed_replica_is_finished_by_the_other_within_30_seconds(database):
    async with database.transaction() as session:
        await store.execute(session, sa.text("CREATE TABLE tries (run text, number int, executor text)"))
        table = "CREATE TABLE effects (run text, number int, executor text, at timestamptz, PRIMARY KEY (run, number))"
        await store.execute(session, sa.text(table))
    doomed, name = await worker(database.url)
    survivor = None
    try:
        async with database.transaction() as session:
            for number in range(RUNS):
                await durable.start(session, "takeover", f"run_{number}", f"run_{number}")
        await until(database, "SELECT count(*) FROM dbos.workflow_status WHERE status = 'PENDING'", [(RUNS,)], 10)
        survivor, other = await worker(database.url)
        # Half of the runs are in the middle of their effects, half still wait for their approval.
        async with database.transaction() as session:
            for number in range(RUNS // 2):
                assert await durable.signal(session, f"run_{number}", {"go": True}, key="go")
        await until(database, "SELECT count(*) >= 10 FROM effects", [(True,)], 10)
        doomed.kill()
        await doomed.wait()
        async with database.transaction() as session:
            for number in range(RUNS // 2, RUNS):
                assert await durable.signal(session, f"run_{number}", {"go": True}, key="go")
        done = "SELECT count(*) FROM dbos.workflow_status WHERE status = 'SUCCESS'"
        await until(database, done, [(RUNS,)], 30)
    finally:
        for process in (doomed, survivor):
            if process is not None and process.returncode is None:
                process.kill()
                await process.wait()
    assert await rows(database, "SELECT run, count(*) FROM effects GROUP BY run ORDER BY run") == [
        (f"run_{number}", 10) for number in range(RUNS)
    ]
    assert await rows(database, "SELECT DISTINCT executor FROM effects ORDER BY executor") == sorted(
        [(name,), (other,)]
    )
    in_order = "SELECT count(*) FROM effects a JOIN effects b ON a.run = b.run AND a.number < b.number AND a.at > b.at"
    assert await rows(database, in_order) == [(0,)]
    # At most the one effect of each run that the kill interrupted was tried again.
    assert (await rows(database, "SELECT count(*) FROM tries"))[0][0] <= RUNS * 10 + RUNS // 2
    assert await rows(database, "SELECT count(*) FROM executor_lease") == [(1,)]
