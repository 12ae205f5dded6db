"""`make bench`: the speeds that matter, measured in one run, as a table and one line of JSON.

Goals are reported as met or missed and never asserted: a shared machine is no judge. `python -m tests.bench acks idle`
runs only these parts.
"""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from bot import log
from tests.bench import acks, clicks, figures, idle
from tests.bench.figures import Figure
from tests.bench.ground import Ground, ground

ON_GROUND: Mapping[str, Callable[[Ground], Awaitable[list[Figure]]]] = {"acks": acks.measure, "idle": idle.measure}
IN_WORLD: Mapping[str, Callable[[Path], Awaitable[list[Figure]]]] = {"clicks": clicks.measure}


async def main(wanted: set[str]) -> None:
    """Measure and print."""
    log.configure("warning", "json", [])
    began = time.perf_counter()
    found: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="opsbot-bench-", ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        async with ground(home / "ground") as standing:
            for name, measure in ON_GROUND.items():
                if name in wanted:
                    found += await measure(standing)
        for name, measure_world in IN_WORLD.items():
            if name in wanted:
                found += await measure_world(home / name)
    seconds, load = time.perf_counter() - began, os.getloadavg()[0]
    print(figures.table(found))  # noqa: T201
    print(f"\n{seconds:.0f} s in all, on {os.cpu_count()} processors with a load of {load:.1f} at the end")  # noqa: T201
    print(figures.line(found))  # noqa: T201


if __name__ == "__main__":
    asyncio.run(main(set(sys.argv[1:]) or {*ON_GROUND, *IN_WORLD}))
