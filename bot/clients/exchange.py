"""One HTTP exchange with a deadline over all of it, and the network's failures turned into ours."""

import asyncio
import functools
import ssl
from datetime import timedelta
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx

from bot.errors import OutcomeUnknown, Unavailable

LIMIT = timedelta(seconds=5)
"""Nothing these clients ask is worth waiting longer for; the watch and the verification ask again."""

_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol, httpx.InvalidURL)
_READS = frozenset({"GET", "HEAD", "OPTIONS"})


def connect(base_url: str, limit: timedelta) -> httpx.AsyncClient:
    """Return a client that keeps no cookies: a load balancer's cookie would pin every later request to one colour."""
    return httpx.AsyncClient(
        base_url=base_url,
        timeout=limit.total_seconds(),
        verify=_trust(),
        cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=[])),
    )


@functools.cache
def _trust() -> ssl.SSLContext:
    """Load the certificate authorities once: each copy costs 20 ms and 1 MB, and there are two clients a place."""
    return httpx.create_ssl_context()


async def exchange(
    client: httpx.AsyncClient, method: str, path: str, *, name: str, limit: timedelta, **content: Any
) -> httpx.Response:
    """Send one request and return the whole answer, whatever its status.

    Raises Unavailable without an answer in time, and OutcomeUnknown where a write may have arrived.
    """
    where = f"{name} at {client.base_url.scheme}://{client.base_url.netloc.decode()}"
    try:
        async with asyncio.timeout(limit.total_seconds()):
            return await client.request(method, path, **content)
    except _NEVER_SENT as error:
        raise Unavailable(f"{where} cannot be reached ({_words(error)}); check that it runs and try again.") from error
    except (httpx.HTTPError, TimeoutError) as error:
        if method in _READS:
            raise Unavailable(f"{where} did not answer {path} ({_words(error)}); try again.") from error
        raise OutcomeUnknown(
            f"{method} {path} of {where} may or may not have taken effect ({_words(error)}); look before trying again."
        ) from error


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__
