"""The AWS process as its parent sees it: start it, follow its state, switch its faults, end it."""

import asyncio
import json
import logging
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import aiohttp

from bot.errors import Unavailable

_log = logging.getLogger(__name__)
_START_SECONDS = 60.0
_STOP_SECONDS = 5.0
_POLL_SECONDS = 0.05
_WAIT_SECONDS = 20
_LIMIT = aiohttp.ClientTimeout(total=_WAIT_SECONDS + 10)


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call that reached a system outside the bot."""

    at: datetime
    system: str
    what: str
    outcome: str


class Cloud:
    """The process and what it last said. `home` gets its log and its state file."""

    def __init__(self, *, speed: float, home: Path) -> None:
        self._speed = speed
        self._home = home
        self._process: asyncio.subprocess.Process | None = None
        self._session: aiohttp.ClientSession | None = None
        self._log_file: BinaryIO | None = None
        self.endpoint = ""
        self.environments: dict[str, dict[str, Any]] = {}
        self.calls: list[Call] = []
        self.state: dict[str, Any] = {}

    async def start(self) -> None:
        """Start it and wait until everything in it is built. Raises Unavailable when it ends or takes too long."""
        ready = self._home / "aws.json"
        ready.unlink(missing_ok=True)
        self._log_file = (self._home / "aws.log").open("wb")
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bot.sandbox.aws", "--port", "0"),
            *("--speed", str(self._speed), "--state", str(ready)),
            stdin=asyncio.subprocess.PIPE,
            stdout=self._log_file,
            stderr=self._log_file,
            start_new_session=True,  # Ctrl-C is for the sandbox, which then ends this process in its turn
        )
        try:
            async with asyncio.timeout(_START_SECONDS):
                await self._wait_for(ready)
        except TimeoutError as error:
            raise Unavailable(f"The emulated AWS did not start within {_START_SECONDS:.0f} s; see aws.log.") from error
        said = json.loads(ready.read_text())
        self.endpoint, self.environments = said["endpoint"], said["environments"]
        self._session = aiohttp.ClientSession(timeout=_LIMIT)
        await self._fetch()

    async def follow(self, turned: Callable[[], None]) -> None:
        """Ask for news for ever; `turned` runs after each."""
        while True:
            try:
                await self._fetch(revision=self.state["revision"], wait=_WAIT_SECONDS)
            except (aiohttp.ClientError, TimeoutError) as error:
                if self._process is None or self._process.returncode is not None:
                    _log.warning("sandbox_aws_ended", extra={"reason": str(error)})
                    return
                await asyncio.sleep(_POLL_SECONDS)
                continue
            turned()

    async def switch(self, faults: Mapping[str, float | bool]) -> None:
        """Switch faults on and off."""
        assert self._session is not None
        async with self._session.post(f"{self.endpoint}/_sandbox/faults", json=dict(faults)) as answer:
            answer.raise_for_status()

    async def stop(self) -> None:
        """End it; it ends by itself when its standard input does."""
        if self._session is not None:
            await self._session.close()
        if self._process is not None:
            assert self._process.stdin is not None
            self._process.stdin.close()
            try:
                async with asyncio.timeout(_STOP_SECONDS):
                    await self._process.wait()
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        if self._log_file is not None:
            self._log_file.close()

    async def _wait_for(self, ready: Path) -> None:
        assert self._process is not None
        while not await asyncio.to_thread(ready.exists):
            if self._process.returncode is not None:
                raise Unavailable(f"The emulated AWS ended with {self._process.returncode}; see aws.log.")
            await asyncio.sleep(_POLL_SECONDS)

    async def _fetch(self, **asked: int) -> None:
        assert self._session is not None
        parameters = {"calls": len(self.calls), **asked}
        async with self._session.get(f"{self.endpoint}/_sandbox/state", params=parameters) as answer:
            answer.raise_for_status()
            self.state = await answer.json()
        self.calls += [_call(said) for said in self.state["calls"]]


def _call(said: Mapping[str, Any]) -> Call:
    return Call(
        at=datetime.fromtimestamp(said["at"], UTC),
        system="aws",
        what=f"{said['operation']} {said['arguments']}".strip(),
        outcome=said["outcome"],
    )
