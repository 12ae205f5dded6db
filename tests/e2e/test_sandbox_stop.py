"""Ctrl-C and SIGTERM end the whole sandbox: no process, no folder, no traceback stays behind."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from bot.sandbox.sandbox import Sandbox

PATIENCE = 40


@pytest.fixture
def home():
    """A folder outside pytest's own, which every pytest run as root closes to the user that PostgreSQL runs as."""
    with tempfile.TemporaryDirectory(prefix="opsbot-test-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def living(folder: Path) -> list[str]:
    """The processes that were started with something in this folder; one that is only waiting to be reaped is dead."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
            if str(folder).encode() in words and int(entry.name) != os.getpid():
                found.append((entry / "cmdline").read_text().replace("\0", " "))
    return found


def until(check):
    end = time.monotonic() + PATIENCE
    while not (found := check()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.1)
    return found


@pytest.mark.parametrize(
    ("arguments", "number", "status", "last"),
    [((), signal.SIGINT, 0, "Stopping …"), (("--play", "expired"), signal.SIGTERM, 1, '"ok": false')],
)
def test_a_signal_to_the_whole_group_leaves_nothing_behind(home, arguments, number, status, last):
    """A terminal sends Ctrl-C to every process of the group at once, also to those that the sandbox wants to end."""
    with (home / "output").open("w+b") as output:
        running = subprocess.Popen(
            [sys.executable, "-m", "bot", "sandbox", "--port", "0", "--speed", "60", *arguments],
            stdout=output,
            stderr=output,
            env=os.environ | {"TMPDIR": str(home)},
            start_new_session=True,
        )
        try:
            # The bot is the last part to be started.
            until(lambda: any("bot serve" in one for one in living(home)))
            os.killpg(running.pid, number)
            assert running.wait(PATIENCE) == status
        finally:
            running.kill()
    said = (home / "output").read_text().rstrip().splitlines()
    assert last in said[-1]
    assert not any("Traceback" in line for line in said)
    until(lambda: not living(home))
    assert list(home.glob("opsbot-sandbox-*")) == []


async def test_a_taken_port_is_said_before_anything_else_is_started(home):
    other = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    sandbox = Sandbox(home=home, speed=60)
    with pytest.raises(OSError, match="in use"):
        await sandbox.start(other.sockets[0].getsockname()[1])
    await sandbox.stop()
    assert living(home) == []
    other.close()
    await other.wait_closed()
