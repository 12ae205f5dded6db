"""Two replicas share one PostgreSQL; the one that runs the deployment dies, and nobody restarts it."""

import time
from datetime import timedelta

import pytest

from bot import lease
from commands.rollout.records import State
from tests.crash import deploy_worker
from tests.crash.scaffold import play

WITHIN = 30.0


@pytest.mark.timeout(120)
async def test_the_other_replica_finishes_the_deployment_within_30_seconds(database):
    """Jane's deployment is being watched when its replica gets kill -9; the lease runs out by the real clock."""
    spans = deploy_worker.durations(bake=timedelta(seconds=3))
    async with play(database, spans=spans, beat=lease.BEAT.total_seconds()) as played:
        played.hire()
        on = played.on
        waiting = await played.approved()

        async def watching():
            return "Observe the traffic on green" in on.said()

        await played.until(watching)
        runner = (await on.get(waiting.id)).executor
        doomed = next(worker for worker in played.workers if f"-{worker.pid}-" in runner)
        doomed.kill()
        doomed.join()
        began = time.monotonic()

        async def resumed():
            return (await on.get(waiting.id)).executor != runner

        await played.until(resumed, WITHIN)
        taken = time.monotonic() - began
        done = await played.reached(waiting.id, State.SUCCEEDED, seconds=WITHIN - taken)
        took = time.monotonic() - began
        assert took < WITHIN
        assert done.executor != runner
        await played.ended(waiting.id, seconds=40.0)
        assert on.cloud.writes == ["storage-green 6", "weights 0/100", "storage-blue 0"]
        assert len([one for one in on.slack.messages if not one.thread]) == 1
        assert on.said().count("Resumed after a restart") == 1
        assert on.said().count("Finished v0.1.0") == 1
        assert on.pagerduty.events == []
        print(f"taken over after {taken:.1f} s, finished after {took:.1f} s")  # noqa: T201  shown with -s
