"""Prometheus: instant queries and firing alerts. An empty answer stays empty here; what that means is decided above."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx

from bot.clients.exchange import LIMIT, connect, exchange
from bot.errors import Conflict, Refused, Unavailable

# bad_data and execution of https://prometheus.io/docs/prometheus/latest/querying/api/#format-overview
_BAD_QUERY = frozenset({httpx.codes.BAD_REQUEST, httpx.codes.UNPROCESSABLE_ENTITY})


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One series of an answer: its labels (none for a scalar) and its value, which may be NaN or infinite."""

    labels: Mapping[str, str]
    value: float


class Prometheus:
    """The HTTP API under `base_url`. Every method raises Unavailable (no useful answer) or Refused (a bad query)."""

    def __init__(self, base_url: str, *, limit: timedelta = LIMIT) -> None:
        self._limit = limit
        self._client = connect(base_url, limit)

    async def vector(self, query: str) -> tuple[Sample, ...]:
        """Evaluate a query now and return its series; a scalar becomes one series without labels."""
        data = await self._data("api/v1/query", query=query)
        try:
            return _samples(data["resultType"], data["result"])
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise _unreadable("api/v1/query", str(data)) from error

    async def scalar(self, query: str) -> float | None:
        """Return the one value of a query, None when it is empty or NaN; Conflict when several series answer."""
        samples = await self.vector(query)
        if len(samples) > 1:
            raise Conflict(
                f"{query} gives {len(samples)} series where one is expected; aggregate it with sum() or max().",
                query=query,
                series=len(samples),
            )
        if not samples or math.isnan(samples[0].value):
            return None
        return samples[0].value

    async def firing(self) -> tuple[str, ...]:
        """Return the names of the alerts that fire now, each once, in alphabetical order."""
        data = await self._data("api/v1/alerts")
        try:
            names = {alert["labels"]["alertname"] for alert in data["alerts"] if alert["state"] == "firing"}
        except (KeyError, TypeError) as error:
            raise _unreadable("api/v1/alerts", str(data)) from error
        return tuple(sorted(names))

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _data(self, path: str, **parameters: str) -> Any:
        response = await exchange(self._client, "GET", path, name="Prometheus", limit=self._limit, params=parameters)
        body = _decoded(response)
        if response.status_code in _BAD_QUERY and "error" in body:
            raise Refused(f"Prometheus refused the query: {body['error']}; correct it in the settings.", **parameters)
        if response.status_code != httpx.codes.OK or body.get("status") != "success":
            reason = body.get("error") or response.reason_phrase
            raise Unavailable(
                f"Prometheus answered {path} with {response.status_code} ({reason}); check PROMETHEUS_URL.",
                status=response.status_code,
            )
        return body.get("data")


def _decoded(response: httpx.Response) -> dict[str, Any]:
    try:
        body = response.json()
    except ValueError as error:
        if response.status_code == httpx.codes.OK:
            raise _unreadable(response.url.path, response.text) from error
        return {}
    return body if isinstance(body, dict) else {}


def _samples(kind: str, result: Any) -> tuple[Sample, ...]:
    if kind == "scalar":
        return (Sample(labels={}, value=_number(result)),)
    if kind == "vector":
        return tuple(Sample(labels=series["metric"], value=_number(series["value"])) for series in result)
    raise Refused(f"The query gives a {kind}, not numbers of this moment; remove the range or aggregate over it.")


def _number(point: Sequence[Any]) -> float:
    return float(point[1])


def _unreadable(path: str, text: str) -> Unavailable:
    return Unavailable(
        f"What answered {path} does not speak Prometheus' HTTP API ({text[:100]!r}); check PROMETHEUS_URL."
    )
