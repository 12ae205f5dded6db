"""`opsbot serve` by itself: from its start to /readyz, and what it costs while nothing happens."""

import asyncio
import time

from tests.bench import servers
from tests.bench.figures import Figure, median
from tests.bench.ground import Ground

STARTS = 5
IDLE_SECONDS = 20.0
READY_GOAL_SECONDS = 3.0
MEMORY_GOAL_MB = 150.0
NAMES = ("production", "staging")


async def measure(ground: Ground) -> list[Figure]:
    """Start it five times, then leave it alone for 20 seconds."""
    # What another part has begun would be work.
    ground.forget()
    starts: list[float] = []
    for _ in range(STARTS - 1):
        seconds, _memory, _cpu = await _serve(ground, 0.0)
        starts.append(seconds)
    seconds, memory, cpu = await _serve(ground, IDLE_SECONDS)
    starts.append(seconds)
    return [
        Figure(
            key="start_s",
            name="start of `opsbot serve` → /readyz",
            value=median(starts),
            unit="s",
            goal=READY_GOAL_SECONDS,
            how=f"database there and migrated; median of {STARTS}, slowest {max(starts):.2f} s",
        ),
        Figure(
            key="idle_memory_mb",
            name="memory of `opsbot serve`, idle",
            value=memory,
            unit="MB",
            goal=MEMORY_GOAL_MB,
            how=f"resident, with its children, after {IDLE_SECONDS:.0f} s of nothing to do",
        ),
        Figure(key="idle_cpu_percent", name="CPU of `opsbot serve`, idle", value=cpu, unit="%", how="of one core"),
    ]


async def _serve(ground: Ground, idle: float) -> tuple[float, float, float]:
    """Return seconds to ready, MB after the idle time, and percent of one core during it."""
    port = servers.free_port()
    variables = ground.variables(port, NAMES, http=False)
    log = ground.home / "idle.log"
    async with servers.running("-m", "bot", "serve", port=port, path="/readyz", variables=variables, log=log) as bot:
        # Ready is not yet settled: what the start still has to tidy up belongs to the start.
        await asyncio.sleep(min(idle, 2.0))
        used, began = bot.cpu(), time.perf_counter()
        await asyncio.sleep(max(0.0, idle - 2.0))
        spent = time.perf_counter() - began
        return bot.seconds, bot.memory(), 100 * (bot.cpu() - used) / spent if idle else 0.0
