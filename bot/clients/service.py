"""The storage service behind its load balancer: asks what a user would ask. What a good answer is, is decided above."""

from dataclasses import dataclass
from datetime import timedelta

import httpx

from bot.clients.exchange import LIMIT, connect, exchange


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came back and after how many seconds. `json` is None where the body is no JSON."""

    status: int
    seconds: float
    body: str
    json: object | None


class StorageService:
    """The service under `base_url`, reached as users reach it or, with the test rule's header, as one colour."""

    def __init__(self, base_url: str, *, limit: timedelta = LIMIT) -> None:
        self._limit = limit
        self._client = connect(base_url, limit)

    async def probe(
        self, path: str, *, method: str = "GET", header: tuple[str, str] | None = None, body: object | None = None
    ) -> Answer:
        """Send one request, `body` as JSON, and return the answer whatever its status; redirects are not followed.

        Raises Unavailable when nothing came back within 5 seconds, OutcomeUnknown when that was a write.
        """
        response = await exchange(
            self._client,
            method,
            path,
            name="The storage service",
            limit=self._limit,
            headers=dict([header]) if header else None,
            json=body,
        )
        seconds = response.elapsed.total_seconds()
        return Answer(status=response.status_code, seconds=seconds, body=response.text, json=_decoded(response))

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


def _decoded(response: httpx.Response) -> object | None:
    try:
        decoded: object = response.json()
    except ValueError:
        return None
    return decoded
