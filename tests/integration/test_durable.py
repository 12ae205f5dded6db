"""The durable engine on a real PostgreSQL: start and signal in one's own transaction, replay, parking, takeover."""

import asyncio
from datetime import timedelta
from types import SimpleNamespace

import pytest
import sqlalchemy as sa
from dbos import DBOS

from bot import durable, lease, store
from bot.errors import OutcomeUnknown, Throttled, Unavailable
from bot.lease import Keeper

SECOND = timedelta(seconds=1)

seen: list[tuple] = []


async def effect(*words):
    seen.append(words)
    return {"words": words}


async def failing(errors):
    seen.append(("failing",))
    raise errors.pop(0)


@DBOS.workflow(name="test_talk")
async def talk(subject):
    durable.services()
    seen.append(("began", subject))
    message = await durable.receive(20 * SECOND)
    return await durable.step("effect", effect, subject, message)


@DBOS.workflow(name="test_patient")
async def patient(subject):
    durable.services()
    first = await durable.step("first", effect, subject, "first")
    message = await durable.receive(60 * SECOND)
    second = await durable.step("second", effect, subject, "second")
    return [first, message, second]


@DBOS.workflow(name="test_slow")
async def slow(subject):
    async def act():
        seen.append((subject, "in"))
        await asyncio.sleep(0.5)
        seen.append((subject, "out"))

    await durable.step("slow", act)
    await durable.step("after", effect, subject, "after")
    return "done"


@DBOS.workflow(name="test_errors")
async def errors(subject):
    try:
        await durable.step("throttled", failing, [Throttled("slow down", retry_after=0.01)] * 2, attempts=2)
    except Throttled as error:
        caught = [type(error).__name__, error.sentence, error.facts]
    message = await durable.receive(60 * SECOND)
    try:
        await durable.step("unknown", failing, [OutcomeUnknown("who knows")], attempts=3)
    except OutcomeUnknown as error:
        return [caught, message, error.sentence]


class Engine:
    """The engine of this process, which a test may stop and start again."""

    def __init__(self, database):
        self.database = database
        self.lost = []

    async def start(self):
        await durable.launch(SimpleNamespace(database=self.database), executor=True, on_lost=self.lost.append)

    async def run(self, workflow, name, *args):
        async with self.database.transaction() as session:
            await durable.start(session, workflow, name, *args)

    async def signal(self, name, message, key="1"):
        async with self.database.transaction() as session:
            return await durable.signal(session, name, message, key=key)

    async def status(self, name):
        return (await self.rows(f"SELECT status FROM dbos.workflow_status WHERE workflow_uuid = '{name}'"))[0][0]

    async def rows(self, query):
        async with self.database.transaction() as session:
            return [tuple(row) for row in await store.execute(session, sa.text(query))]

    async def result(self, name):
        async with asyncio.timeout(20):
            handle = await DBOS.retrieve_workflow_async(name)
            return await handle.get_result(polling_interval_sec=0.05)


@pytest.fixture
async def engine(database):
    seen.clear()
    engine = Engine(database)
    await engine.start()
    yield engine
    await durable.close()


async def soon(condition, seconds=10.0):
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def test_a_workflow_starts_and_hears_a_signal_at_once(engine):
    loop = asyncio.get_running_loop()
    await asyncio.sleep(0.3)
    began = loop.time()
    await engine.run("test_talk", "t1", "dep_1")
    await soon(lambda: ("began", "dep_1") in seen)
    started = loop.time() - began
    await asyncio.sleep(0.3)
    began = loop.time()
    assert await engine.signal("t1", {"kind": "approved"})
    await soon(lambda: ("dep_1", {"kind": "approved"}) in seen)
    heard = loop.time() - began
    assert await engine.result("t1") == {"words": ["dep_1", {"kind": "approved"}]}
    assert started < 0.6
    assert heard < 0.3


async def test_starting_the_same_id_again_changes_nothing(engine):
    await engine.run("test_talk", "t1", "dep_1")
    await engine.run("test_talk", "t1", "dep_2")
    await soon(lambda: seen)
    await engine.signal("t1", {})
    await engine.result("t1")
    await engine.run("test_talk", "t1", "dep_3")
    await asyncio.sleep(0.5)
    assert [words for words in seen if words[0] == "began"] == [("began", "dep_1")]


async def test_what_is_undone_is_neither_started_nor_signalled(engine):
    await engine.run("test_talk", "t1", "dep_1")

    async def change_my_mind():
        async with engine.database.transaction() as session:
            await durable.start(session, "test_talk", "t2", "dep_2")
            await durable.signal(session, "t1", {"kind": "approved"}, key="1")
            raise RuntimeError("changed my mind")

    with pytest.raises(RuntimeError, match="changed my mind"):
        await change_my_mind()
    assert await engine.rows("SELECT workflow_uuid FROM dbos.workflow_status") == [("t1",)]
    assert await engine.rows("SELECT count(*) FROM dbos.notifications") == [(0,)]


async def test_the_same_signal_twice_is_one_message(engine):
    await engine.run("test_patient", "p1", "dep_1")
    assert await engine.signal("p1", {"n": 1}, key="click")
    assert await engine.signal("p1", {"n": 2}, key="click")
    assert (await engine.result("p1"))[1] == {"n": 1}
    assert await engine.rows("SELECT count(*) FROM dbos.notifications") == [(1,)]


async def test_a_signal_to_nobody_is_not_sent_and_breaks_nothing(engine):
    await engine.run("test_patient", "p1", "dep_1")
    await engine.signal("p1", {})
    await engine.result("p1")
    assert not await engine.signal("p1", {}, key="late")
    assert not await engine.signal("unknown", {})


async def test_at_the_end_a_waiting_workflow_is_parked_and_goes_on_after_a_restart(engine):
    await engine.run("test_patient", "p1", "dep_1")
    await soon(lambda: ("dep_1", "first") in seen)
    await asyncio.sleep(0.1)
    await durable.close()
    assert await engine.status("p1") == "ENQUEUED"
    assert await engine.rows("SELECT * FROM executor_lease") == []
    assert await engine.signal("p1", {"kind": "approved"})
    await engine.start()
    first, message, second = await engine.result("p1")
    assert (first, message, second) == (
        {"words": ["dep_1", "first"]},
        {"kind": "approved"},
        {"words": ["dep_1", "second"]},
    )
    assert seen == [("dep_1", "first"), ("dep_1", "second")]


async def test_an_effect_under_way_is_finished_before_the_end_and_not_repeated(engine):
    await engine.run("test_slow", "s1", "dep_1")
    await soon(lambda: seen)
    await durable.close()
    assert seen == [("dep_1", "in"), ("dep_1", "out")]
    await engine.start()
    assert await engine.result("s1") == "done"
    assert seen == [("dep_1", "in"), ("dep_1", "out"), ("dep_1", "after")]


async def test_our_errors_come_back_the_same_after_a_restart(engine):
    await engine.run("test_errors", "e1", "dep_1")
    await soon(lambda: len(seen) == 2)
    await asyncio.sleep(0.2)
    await durable.close()
    await engine.start()
    await engine.signal("e1", {"go": True})
    assert await engine.result("e1") == [["Throttled", "slow down", {"retry_after": 0.01}], {"go": True}, "who knows"]
    assert len(seen) == 3


async def test_work_of_a_dead_process_is_put_back_and_finished_once(engine):
    await engine.run("test_patient", "p1", "dep_1")
    await engine.run("test_patient", "p2", "dep_2")
    await soon(lambda: len(seen) == 2)
    await asyncio.sleep(0.2)
    columns = "status, owner_xid, started_at_epoch_ms, queue_name"
    async with engine.database.transaction() as session:
        # As if another process held both, and had died.
        move = "UPDATE dbos.workflow_status SET executor_id = :dead WHERE workflow_uuid = :id"
        await store.execute(session, sa.text(move), dead="dead_1", id="p1")
        await store.execute(session, sa.text(move), dead="dead_2", id="p2")
    async with engine.database.transaction() as session:
        await lease.take(session, "dead_1", durable.VERSION)
        expire = sa.text("UPDATE executor_lease SET expires_at = now() - interval '1 s' WHERE executor = 'dead_1'")
        await store.execute(session, expire)
        dead = await lease.reap(session, durable.VERSION)
        query = f"SELECT {columns} FROM dbos.workflow_status ORDER BY workflow_uuid"
        rows = [tuple(row) for row in await store.execute(session, sa.text(query))]
    assert sorted(dead) == ["dead_1", "dead_2"]
    assert rows == [("ENQUEUED", None, None, "opsbot")] * 2
    for name in ("p1", "p2"):
        await engine.signal(name, {})
        await engine.result(name)
    assert len(seen) == 4


async def test_two_reapers_take_each_lease_once(engine):
    async with engine.database.transaction() as session:
        for number in range(20):
            await lease.take(session, f"dead_{number}", durable.VERSION)
        await store.execute(session, sa.text("UPDATE executor_lease SET expires_at = now() - interval '1 s'"))

    async def reap():
        async with engine.database.transaction() as session:
            return await lease.reap(session, durable.VERSION)

    taken = [executor for dead in await asyncio.gather(*(reap() for _ in range(4))) for executor in dead]
    assert len(taken) == len(set(taken)) >= 20


async def test_a_process_whose_lease_is_gone_is_told_to_end(engine):
    await engine.rows("DELETE FROM executor_lease RETURNING 1")
    await soon(lambda: engine.lost, 5)
    assert engine.lost == ["its lease was taken over"]


async def test_a_process_that_cannot_renew_its_lease_is_told_to_end(database):
    lost = []
    keeper = Keeper(database.url, "ours", "other", lost.append, expiry=SECOND)
    await keeper.start()
    for task in keeper._tasks:
        task.cancel()
    await soon(lambda: lost, 5)
    await keeper.stop()
    assert lost == ["its lease was not renewed for 1 s"]


async def test_the_engine_says_when_it_is_not_ready(engine):
    await durable.check()
    assert durable.lease_age() < 3 * SECOND
    engine_keeper = durable._engine.keeper
    engine_keeper._renewed -= 8
    with pytest.raises(Unavailable, match="lease"):
        await durable.check()


async def test_live_workflows_are_counted(engine):
    await engine.run("test_patient", "p1", "dep_1")
    await soon(lambda: seen)
    async with engine.database.transaction() as session:
        assert await durable.counts(session) == {("test_patient", "PENDING"): 1}


async def test_a_process_that_only_listens_starts_workflows_and_runs_none(database):
    seen.clear()
    await durable.launch(SimpleNamespace(database=database), executor=False)
    engine = Engine(database)
    await engine.run("test_talk", "t1", "dep_1")
    assert await engine.signal("t1", {})
    await durable.check()
    await asyncio.sleep(0.4)
    assert await engine.status("t1") == "ENQUEUED"
    assert durable.lease_age() is None
    assert durable.executor_id() == ""
    await durable.close()
