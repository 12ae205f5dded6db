"""Processes under measurement: start one, wait for its address, read its memory and its time on the CPU, end it."""

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

START_SECONDS = 60.0
STOP_SECONDS = 20.0
POLL_SECONDS = 0.02
_KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "VIRTUAL_ENV")


class Server:
    """One Python process that listens; `seconds` is how long it took to answer 200."""

    def __init__(self, process: asyncio.subprocess.Process, url: str, seconds: float) -> None:
        self.process = process
        self.url = url
        self.seconds = seconds

    def memory(self) -> float:
        """Return the resident memory of it and its children in MB (10^6 bytes)."""
        return memory(self.process.pid)

    def cpu(self) -> float:
        """Return the seconds of CPU that it and its children have used."""
        return sum(_cpu(pid) for pid in _family(self.process.pid))


@asynccontextmanager
async def running(
    *arguments: str, port: int, path: str, variables: Mapping[str, str], log: Path
) -> AsyncIterator[Server]:
    """Run `python ARGUMENTS` until the block ends. Raises RuntimeError when it does not become ready."""
    inherited = {name: os.environ[name] for name in _KEPT if name in os.environ}
    with log.open("ab") as written:
        began = time.perf_counter()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, *arguments),
            env=inherited | dict(variables),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=written,
            stderr=written,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        await _answering(process, url + path, log)
        yield Server(process, url, time.perf_counter() - began)
    finally:
        await _ended(process)


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def memory(pid: int) -> float:
    """Return the resident memory of a process and its children in MB (10^6 bytes)."""
    page = os.sysconf("SC_PAGE_SIZE")
    return sum(int(_read(one, "statm", "0 0").split()[1]) * page for one in _family(pid)) / 1e6


async def _answering(process: asyncio.subprocess.Process, url: str, log: Path) -> None:
    until = time.perf_counter() + START_SECONDS
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=3)) as client:
        while process.returncode is None and time.perf_counter() < until:
            try:
                async with client.get(url) as answer:
                    if answer.status == 200:
                        return
            except (aiohttp.ClientError, TimeoutError):
                pass
            await asyncio.sleep(POLL_SECONDS)
    last = "\n".join(_text(log).splitlines()[-10:])
    raise RuntimeError(f"{url} does not answer 200; the last words of its process:\n{last}")


async def _ended(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
    try:
        await asyncio.wait_for(process.wait(), STOP_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()


def _family(pid: int) -> list[int]:
    children = " ".join(_text(task / "children") for task in Path(f"/proc/{pid}/task").glob("*")).split()
    return [pid, *(one for child in children for one in _family(int(child)))]


def _cpu(pid: int) -> float:
    fields = _read(pid, "stat", ") " + "0 " * 20).rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _read(pid: int, name: str, otherwise: str) -> str:
    return _text(Path(f"/proc/{pid}/{name}")) or otherwise


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
