"""The bot as a process of its own: `opsbot serve` with settings that point at the world, started, killed, awaited."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx

READY_SECONDS = 40
STOP_SECONDS = 20


class BotProcess:
    """One replica. It is told nothing but its environment, exactly as in production."""

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        self.port = _free_port()
        self._environment = {**environment, "PORT": str(self.port)}
        self._log = log
        self._process: asyncio.subprocess.Process | None = None
        self.starts = 0

    @property
    def running(self) -> bool:
        """Tell whether the process is alive."""
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Start it; its log is appended to the file."""
        self.starts += 1
        # Blocking for microseconds; the child keeps its own copy of the file.
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "bot", "serve"),
                env=_inherited() | self._environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    async def ready(self) -> None:
        """Wait until /readyz is green. Raises RuntimeError with the end of its log."""
        async with httpx.AsyncClient(timeout=2, trust_env=False) as client:
            for _ in range(READY_SECONDS * 10):
                if not self.running:
                    break
                with contextlib.suppress(httpx.HTTPError):
                    if (await client.get(f"http://127.0.0.1:{self.port}/readyz")).status_code == httpx.codes.OK:
                        return
                await asyncio.sleep(0.1)
        raise RuntimeError(f"the bot did not become ready; its last words:\n{self.last_words()}")

    def kill(self) -> None:
        """Kill -9: no goodbye, no clean-up."""
        if self.running and self._process is not None:
            self._process.send_signal(signal.SIGKILL)

    async def gone(self) -> None:
        """Wait until the process has ended."""
        if self._process is not None:
            await self._process.wait()

    async def stop(self) -> None:
        """Ask it to stop, and kill it when it takes too long."""
        if self._process is None or not self.running:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self._process.wait(), STOP_SECONDS)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    def last_words(self, lines: int = 15) -> str:
        """Return the end of its log."""
        if not self._log.exists():
            return ""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-lines:])


def _inherited() -> dict[str, str]:
    """Pass on what a process needs to run here, and none of the caller's own settings or credentials."""
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "PYTHONPATH", "VIRTUAL_ENV", "SSL_CERT_FILE")
    return {name: os.environ[name] for name in kept if name in os.environ}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
