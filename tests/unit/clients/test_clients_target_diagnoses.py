import asyncpg
import pytest

from bot.clients.target import _diagnosed, _place
from bot.errors import Misconfigured, Refused, Unavailable

URL = "postgresql://opsbot:secret@db.internal:5432/observatory?sslmode=require"


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (ConnectionRefusedError("refused"), Unavailable, "cannot be reached"),
        (TimeoutError(), Unavailable, "does not answer"),
        (asyncpg.TooManyConnectionsError("too many"), Unavailable, "is full"),
        (asyncpg.CannotConnectNowError("starting up"), Unavailable, "starting or stopping"),
        (asyncpg.InvalidCatalogNameError("no such"), Refused, "no database of that name"),
        (asyncpg.InvalidPasswordError("no"), Refused, "role or password"),
        (asyncpg.InvalidAuthorizationSpecificationError("no"), Refused, "role or password"),
        (asyncpg.InsufficientPrivilegeError("denied"), Refused, "grant pg_monitor"),
        (asyncpg.QueryCanceledError("timeout"), Unavailable, "too slow"),
        (asyncpg.LockNotAvailableError("lock"), Unavailable, "is locked"),
        (asyncpg.ConnectionDoesNotExistError("gone"), Unavailable, "dropped the connection"),
        (asyncpg.InterfaceError("connection is closed"), Unavailable, "dropped the connection"),
        (asyncpg.UndefinedColumnError("no column"), Refused, "rejects the question"),
        (asyncpg.exceptions.ClientConfigurationError("bad secret"), Misconfigured, "cannot be read"),
        (ValueError("bad secret"), Misconfigured, "cannot be read"),
    ],
)
def test_each_failure_of_the_database_has_its_own_diagnosis(error, kind, words):
    verdict = _diagnosed(error, _place(URL))
    assert type(verdict) is kind
    assert words in verdict.sentence
    assert "db.internal/observatory" in verdict.sentence
    assert "secret" not in verdict.sentence


def test_an_address_that_cannot_be_read_is_not_shown():
    assert _place("postgresql://opsbot:secret@[oops/observatory") == "of the environment"


def test_a_database_without_a_host_is_on_a_local_socket():
    assert _place("postgresql://postgres:@/observatory?host=/run/pg") == "on a local socket/observatory"
