"""The one door to AWS: boto3 in a bounded pool of threads, and AWS's failures turned into ours.

A thread cannot be stopped: a cancelled call runs on until its timeout, so every call made here must bear repetition.
Which call to make and what its answer means is left to the clients beside this file.
"""

import asyncio
import functools
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
from botocore import exceptions
from botocore.config import Config
from botocore.parsers import ResponseParserError

from bot.errors import Misconfigured, NotFound, OpsError, OutcomeUnknown, Refused, Throttled, Unavailable

CONFIG = Config(
    retries={"mode": "standard", "total_max_attempts": 5},
    connect_timeout=3,
    read_timeout=10,
    max_pool_connections=32,
)

_READS = ("describe_", "list_", "get_", "batch_get_")
# LimitExceededException is missing on purpose: botocore retries it, but ECS means a quota that waiting does not change.
_THROTTLES = frozenset(
    {
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestLimitExceeded",
        "TooManyRequestsException",
        "BandwidthLimitExceeded",
        "SlowDown",
        "PriorRequestNotComplete",
    }
)
_BUSY = frozenset({"ConcurrentUpdateException", "UpdateInProgressException"})
_GONE = frozenset({"ServiceNotActiveException"})
_NEVER_SENT = (
    exceptions.EndpointConnectionError,
    exceptions.ConnectTimeoutError,
    exceptions.ProxyConnectionError,
    exceptions.SSLError,
)
_SETTINGS = (
    exceptions.NoCredentialsError,
    exceptions.PartialCredentialsError,
    exceptions.ProfileNotFound,
    exceptions.NoRegionError,
    exceptions.InvalidRegionError,
)


class Aws:
    """Calls into one region through one shared client for each service, made in the pool at its first use."""

    def __init__(self, region: str, *, threads: int = 16, config: Config = CONFIG) -> None:
        self._region = region
        self._config = config
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="aws")
        self._making = threading.Lock()
        self._session: Any = None
        self._clients: dict[str, Any] = {}
        self._reply = threading.local()

    async def call(self, service: str, operation: str, /, **arguments: Any) -> dict[str, Any]:
        """Call one operation by boto3's names and return its answer.

        Raises Throttled, Unavailable, OutcomeUnknown (a write whose reply was lost), NotFound, Refused, Misconfigured.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, functools.partial(self._call, service, operation, arguments))

    async def pages(self, service: str, operation: str, key: str, /, **arguments: Any) -> list[Any]:
        """Return what all pages of a list hold under `key`, for operations that page with `nextToken`."""
        found: list[Any] = []
        while True:
            answer = await self.call(service, operation, **arguments)
            found.extend(answer.get(key, ()))
            if not answer.get("nextToken"):
                return found
            arguments["nextToken"] = answer["nextToken"]

    async def close(self) -> None:
        """Take no more calls, drop what waits and close the connections; running calls end by their own timeout."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        for client in self._clients.values():
            client.close()
        self._clients.clear()

    def _call(self, service: str, operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
        self._reply.lost = False
        try:
            answer: dict[str, Any] = getattr(self._client(service), operation)(**arguments)
        except (exceptions.BotoCoreError, exceptions.ClientError, ResponseParserError) as error:
            # An unreadable answer is that of something between AWS and us: botocore neither tells nor tries again.
            lost = self._reply.lost or isinstance(error, ResponseParserError)
            unknown = lost and not operation.startswith(_READS)
            raise _translated(error, f"AWS {service} {operation}", unknown=unknown) from error
        return answer

    def _client(self, service: str) -> Any:
        with self._making:
            if service not in self._clients:
                self._clients[service] = self._made(service)
            return self._clients[service]

    def _made(self, service: str) -> Any:
        if self._session is None:
            self._session = boto3.session.Session(region_name=self._region)
        client = self._session.client(service, config=self._config)
        client.meta.events.register("response-received", self._note)
        return client

    def _note(
        self,
        response_dict: dict[str, Any] | None = None,
        parsed_response: dict[str, Any] | None = None,
        exception: Exception | None = None,
        **_: object,
    ) -> None:
        """Remember a lost reply: botocore tries again, and its last failure says nothing about the earlier tries."""
        if exception is not None:
            self._reply.lost |= not isinstance(exception, _NEVER_SENT)
        elif response_dict is not None and response_dict["status_code"] >= 500:  # noqa: PLR2004 - HTTP's own number
            code = (parsed_response or {}).get("Error", {}).get("Code")
            self._reply.lost |= code not in _THROTTLES


def _translated(error: Exception, call: str, *, unknown: bool) -> OpsError:
    verdict = _answered(error, call) if isinstance(error, exceptions.ClientError) else _unanswered(error, call)
    if unknown and isinstance(verdict, Unavailable):
        sentence = f"{call} may or may not have taken effect ({error}); read the state before trying again."
        return OutcomeUnknown(sentence, **verdict.facts)
    return verdict


def _answered(error: exceptions.ClientError, call: str) -> OpsError:
    code = error.response.get("Error", {}).get("Code", "unknown")
    message = error.response.get("Error", {}).get("Message") or "no message"
    metadata: Any = error.response.get("ResponseMetadata", {})
    if code in _THROTTLES:
        wait = metadata.get("HTTPHeaders", {}).get("retry-after", "")
        named = {"retry_after": float(wait)} if wait.isdigit() else {}
        return Throttled(f"{call} is throttled ({message}); wait a minute and try again.", aws_code=code, **named)
    if code in _BUSY or metadata.get("HTTPStatusCode", 0) >= 500:  # noqa: PLR2004 - HTTP's own number
        return Unavailable(f"{call} failed on AWS's side ({code}: {message}); try again later.", aws_code=code)
    if "NotFound" in code or code in _GONE:
        return NotFound(f"{call} found nothing ({code}: {message}); check the name in the settings.", aws_code=code)
    return Refused(
        f"{call} was refused ({code}: {message}); correct what was asked or the bot's permissions.", aws_code=code
    )


def _unanswered(error: Exception, call: str) -> OpsError:
    if isinstance(error, _SETTINGS):
        return Misconfigured(f"{call} could not be tried ({error}); set AWS_REGION and the AWS credentials of the bot.")
    if isinstance(error, exceptions.ParamValidationError):
        return Refused(f"{call} was not sent because its arguments are wrong ({error}); correct what was asked.")
    # The parser quotes the whole answer after the first line.
    reason = str(error).partition("\n")[0].rstrip(":")
    return Unavailable(f"{call} got no answer ({reason}); check the way to AWS and try again.")
