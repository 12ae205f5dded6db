"""The HTTP API of Prometheus over the samples of the sandbox: paths, statuses and JSON as Prometheus has them."""

import math
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from bot.sandbox import places, promql
from bot.sandbox.promql_values import BadQuery, ExecutionFailed, Sample, Value, written
from bot.sandbox.samples import Labels
from bot.sandbox.scraper import Scraper

# Of Prometheus: a range query may not give more points than this for one series.
_MOST_POINTS = 11_000
_MILLISECONDS = 1000


class Prometheus:
    """The server. `blind` makes it answer 503; a frozen scraper leaves it up and its data old."""

    def __init__(self, scraper: Scraper, *, clock: Callable[[], float] = time.time) -> None:
        self._scraper = scraper
        self._clock = clock
        self.blind = False
        self.alerts: list[dict[str, Any]] = []

    def application(self) -> web.Application:
        """Return the routes; mount them under any prefix."""
        application = web.Application(middlewares=[self._guard])
        for path, handler in (("/api/v1/query", self._query), ("/api/v1/query_range", self._query_range)):
            application.router.add_get(path, handler)
            application.router.add_post(path, handler)
        application.router.add_get("/api/v1/targets", self._targets)
        application.router.add_get("/api/v1/rules", self._rules)
        application.router.add_get("/api/v1/alerts", self._alerts)
        for path, text in (
            ("/-/healthy", "Prometheus Server is Healthy.\n"),
            ("/-/ready", "Prometheus Server is Ready.\n"),
        ):
            application.router.add_get(path, _says(text))
        return application

    def evaluate(self, query: str, moment: int | None = None) -> Value:
        """Return the value of a query. Raises BadQuery and ExecutionFailed."""
        self._scraper.catch_up(self._now())
        return self._evaluator(self._now() if moment is None else moment).value(promql.parse(query))

    def _evaluator(self, moment: int) -> promql.Evaluator:
        return promql.Evaluator(samples=self._scraper.samples, lookback=self._scraper.lookback, moment=moment)

    def _now(self) -> int:
        return int(self._clock() * _MILLISECONDS)

    @web.middleware
    async def _guard(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        if self.blind:
            return web.Response(status=503, text="Service Unavailable")
        try:
            return await handler(request)
        except BadQuery as error:
            return _failed(400, "bad_data", str(error))
        except ExecutionFailed as error:
            return _failed(422, "execution", str(error))

    async def _query(self, request: web.Request) -> web.Response:
        asked = await _parameters(request)
        query = asked.get("query", "")
        moment = _moment(asked["time"], "time") if asked.get("time") else self._now()
        try:
            value = self.evaluate(query, moment)
        except BadQuery as error:
            raise BadQuery(f'invalid parameter "query": {error}') from error
        at = moment / _MILLISECONDS
        match value:
            case float():
                return _success({"resultType": "scalar", "result": [at, written(value)]})
            case str():
                return _success({"resultType": "string", "result": [at, value]})
            case _:
                result = [{"metric": dict(each.labels), "value": [at, written(each.value)]} for each in value]
                return _success({"resultType": "vector", "result": result})

    async def _query_range(self, request: web.Request) -> web.Response:
        asked = await _parameters(request)
        start, end = (_moment(asked.get(name, ""), name) for name in ("start", "end"))
        step = _step(asked.get("step", ""))
        if end < start:
            raise BadQuery('invalid parameter "end": end timestamp must not be before start time')
        if (end - start) / step > _MOST_POINTS:
            raise BadQuery(
                "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution "
                "(?step=XX)"
            )
        self._scraper.catch_up(self._now())
        node = promql.parse(asked.get("query", ""))
        found: dict[Labels, list[list[object]]] = {}
        for moment in range(start, end + 1, step):
            value = self._evaluator(moment).value(node)
            if isinstance(value, str):
                raise BadQuery('invalid expression type "string" for range query, must be Scalar or instant Vector')
            for sample in [Sample((), value)] if isinstance(value, float) else value:
                found.setdefault(sample.labels, []).append([moment / _MILLISECONDS, written(sample.value)])
        result = [{"metric": dict(labels), "values": values} for labels, values in sorted(found.items())]
        return _success({"resultType": "matrix", "result": result})

    async def _targets(self, _: web.Request) -> web.Response:
        self._scraper.catch_up(self._now())
        active = [
            self._target(name, colour, target.instance)
            for name, view in self._scraper.views.items()
            for colour, side in view.sides.items()
            for target in side.targets
        ]
        return _success({"activeTargets": active, "droppedTargets": []})

    def _target(self, environment: str, colour: str, instance: str) -> dict[str, object]:
        labels = {"job": places.JOB, "environment": environment, "color": colour, "instance": instance}
        return {
            "discoveredLabels": {"__address__": instance, "__metrics_path__": "/metrics", "job": places.JOB},
            "labels": labels,
            "scrapePool": places.JOB,
            "scrapeUrl": f"http://{instance}/metrics",
            "globalUrl": f"http://{instance}/metrics",
            "lastError": "",
            "lastScrape": datetime.fromtimestamp(self._scraper.last_scrape / _MILLISECONDS, UTC).isoformat(),
            "lastScrapeDuration": 0.002,
            "health": "up",
            "scrapeInterval": f"{self._scraper.interval}ms",
            "scrapeTimeout": f"{self._scraper.interval}ms",
        }

    async def _rules(self, _: web.Request) -> web.Response:
        return _success({"groups": []})

    async def _alerts(self, _: web.Request) -> web.Response:
        return _success({"alerts": self.alerts})


def _says(text: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=text)

    return answer


async def _parameters(request: web.Request) -> Mapping[str, str]:
    posted = await request.post() if request.method == "POST" else {}
    return {**request.query, **{name: value for name, value in posted.items() if isinstance(value, str)}}


def _moment(text: str, name: str) -> int:
    """Read a Unix time in seconds or an RFC 3339 time."""
    try:
        return round(float(text) * _MILLISECONDS)
    except (ValueError, OverflowError):
        try:
            return round(datetime.fromisoformat(text).timestamp() * _MILLISECONDS)
        except ValueError as error:
            raise BadQuery(f'invalid parameter "{name}": cannot parse "{text}" to a valid timestamp') from error


def _step(text: str) -> int:
    """Read a step as seconds or as a duration such as 15s."""
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = promql.duration(text)
        except ValueError as error:
            raise BadQuery(f'invalid parameter "step": cannot parse "{text}" to a valid duration') from error
    if not math.isfinite(seconds) or round(seconds * _MILLISECONDS) < 1:
        raise BadQuery(
            'invalid parameter "step": zero or negative query resolution step widths are not accepted. '
            "Try a positive integer"
        )
    return round(seconds * _MILLISECONDS)


def _success(data: object) -> web.Response:
    return web.json_response({"status": "success", "data": data})


def _failed(status: int, kind: str, text: str) -> web.Response:
    return web.json_response({"status": "error", "errorType": kind, "error": text}, status=status)
