"""Stands before moto as a WSGI application: faults that a caller of AWS can meet, the log of writes, the controls."""

import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from io import BytesIO
from typing import Any, TypeAlias
from urllib.parse import parse_qsl

from bot.sandbox.aws_requests import Call, errors, read

Wsgi: TypeAlias = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

CONTROL = "/_sandbox/"
# Longer than any client waits: boto3's own read timeout ends the call.
HANG_SECONDS = 60.0
_LONGEST_WAIT = 30.0


@dataclass(kw_only=True)
class Faults:
    """What is switched on. `lost_reply` carries a call out and never answers; `timeout` does not even carry it out."""

    throttle: bool = False
    timeout: bool = False
    deny: bool = False
    lost_reply: bool = False
    slow_propagation: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Logged:
    """One write as it arrived: `at` in seconds since the epoch, `outcome` the HTTP status or the fault it met."""

    number: int
    at: float
    operation: str
    arguments: str
    outcome: str


@dataclass(kw_only=True)
class Switchboard:
    """What the front and the reconciler share: faults, the log, and a number that grows with every change."""

    faults: Faults = field(default_factory=Faults)
    log: list[Logged] = field(default_factory=list)
    revision: int = 0
    turned: threading.Condition = field(default_factory=threading.Condition)

    def change(self) -> None:
        """Wake everybody who waits for news."""
        with self.turned:
            self.revision += 1
            self.turned.notify_all()

    def write(self, call: Call, outcome: str) -> None:
        """Add a write to the log."""
        with self.turned:
            self.log.append(
                Logged(
                    number=len(self.log) + 1,
                    at=time.time(),
                    operation=call.operation,
                    arguments=call.arguments,
                    outcome=outcome,
                )
            )
        self.change()

    def wait(self, *, revision: int, seconds: float) -> None:
        """Return when something is newer than `revision`, or after some seconds."""
        with self.turned:
            self.turned.wait_for(lambda: self.revision > revision, timeout=min(seconds, _LONGEST_WAIT))


class Front:
    """The application the server runs; `lock` makes one AWS call at a time, as moto's models need."""

    def __init__(
        self, inner: Wsgi, board: Switchboard, *, lock: threading.RLock, snapshot: Callable[[], dict[str, object]]
    ) -> None:
        self._inner = inner
        self._board = board
        self._lock = lock
        self._snapshot = snapshot

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request."""
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(length) if length else b""
        environ["wsgi.input"] = BytesIO(body)
        if environ["PATH_INFO"].startswith(CONTROL):
            return self._control(environ, body, start)
        return self._aws(environ, body, start)

    def _aws(self, environ: dict[str, Any], body: bytes, start: Callable[..., Any]) -> Iterable[bytes]:
        call, faults = read(environ, body), self._board.faults
        if faults.timeout:
            self._note(call, "no answer")
            return self._hang(lambda: self._board.faults.timeout, start)
        for fault, on in (("throttle", faults.throttle), ("deny", faults.deny)):
            if on:
                self._note(call, "throttled" if fault == "throttle" else "denied")
                return _respond(start, *errors(call, fault))
        answer: list[Any] = []

        def keep(status: str, headers: list[tuple[str, str]], *_: Any) -> None:
            answer[:] = [status, headers]

        with self._lock:
            parts = b"".join(self._inner(environ, keep))
        lost = faults.lost_reply and call.writes
        self._note(call, "reply lost" if lost else answer[0].split(" ")[0])
        if lost:
            return self._hang(lambda: self._board.faults.lost_reply, start)
        start(answer[0], answer[1])
        return [parts]

    def _note(self, call: Call, outcome: str) -> None:
        if call.writes:
            self._board.write(call, outcome)

    def _hang(self, still: Callable[[], bool], start: Callable[..., Any]) -> Iterable[bytes]:
        """Keep the caller waiting while the fault is on, then answer what a load balancer says."""
        until = time.monotonic() + HANG_SECONDS
        while still() and (left := until - time.monotonic()) > 0:
            self._board.wait(revision=self._board.revision, seconds=left)
        return _respond(start, "504 Gateway Timeout", "text/plain", b"upstream request timeout")

    def _control(self, environ: Mapping[str, Any], body: bytes, start: Callable[..., Any]) -> Iterable[bytes]:
        asked = dict(parse_qsl(environ.get("QUERY_STRING", "")))
        match environ["REQUEST_METHOD"], environ["PATH_INFO"].removeprefix(CONTROL):
            case "GET", "state":
                return self._state(asked, start)
            case "POST", "faults":
                return self._set_faults(json.loads(body), start)
            case _:
                return _respond(start, "404 Not Found", "text/plain", b"GET state, POST faults")

    def _state(self, asked: Mapping[str, str], start: Callable[..., Any]) -> Iterable[bytes]:
        """Answer the state and the writes after number `calls`; with `revision` wait until there is news."""
        if "revision" in asked:
            self._board.wait(revision=int(asked["revision"]), seconds=float(asked.get("wait", "10")))
        with self._lock:
            state = self._snapshot()
        calls = [asdict(call) for call in self._board.log[int(asked.get("calls", "0")) :]]
        return _json(start, state | {"calls": calls, "faults": asdict(self._board.faults)})

    def _set_faults(self, wanted: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        unknown = set(wanted) - set(asdict(self._board.faults))
        if unknown:
            return _respond(start, "400 Bad Request", "text/plain", f"no fault {sorted(unknown)}".encode())
        for name, value in wanted.items():
            kind = type(getattr(self._board.faults, name))
            setattr(self._board.faults, name, kind(value))
        self._board.change()
        return _json(start, asdict(self._board.faults))


def _json(start: Callable[..., Any], value: object) -> Iterable[bytes]:
    return _respond(start, "200 OK", "application/json", json.dumps(value).encode())


def _respond(start: Callable[..., Any], status: str, kind: str, body: bytes) -> Iterable[bytes]:
    start(status, [("Content-Type", kind), ("Content-Length", str(len(body)))])
    return [body]
