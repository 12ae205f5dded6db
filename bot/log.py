"""What machines read about this process: events with fields, one per line, without secrets.

Everything that logs through the standard library (DBOS, Slack's SDK, Alembic) comes out the same way.
"""

import logging
import re
import sys
from collections.abc import Sequence
from typing import Literal

import structlog
from structlog.types import EventDict, Processor, WrappedLogger

Format = Literal["json", "console"]

_MASK = "***"
# Slack's tokens, and the passwords in addresses.
_SECRET = re.compile(r"xox[a-z]-[\w-]+|xapp-[\w-]+|(?<=://)[^/@\s]*:[^/@\s]+(?=@)")
# These tell every request, poll or start-up detail at the level info.
_CHATTY = ("dbos", "alembic", "slack_bolt", "slack_sdk", "aiohttp", "botocore", "boto3", "urllib3", "httpx", "httpx2")


def configure(level: str, form: Format | None, secrets: Sequence[str] = ()) -> None:
    """Set up logging for the whole process; `form` None means console on a terminal and JSON elsewhere."""
    if form is None:
        form = "console" if sys.stderr.isatty() else "json"
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        _Redactor(secrets),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _renderer(form)],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    _quiet(level)


def _quiet(level: str) -> None:
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.DEBUG if level == "debug" else logging.WARNING)
    # DBOS installs a handler of its own, which ends the way to ours, unless it finds one.
    engine = logging.getLogger("dbos")
    engine.handlers[:] = [logging.NullHandler()]
    engine.propagate = True


def _renderer(form: Format) -> Processor:
    if form == "console":
        return structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    return structlog.processors.JSONRenderer(default=str)


class _Redactor:
    """Masks tokens wherever they stand, and the given secrets where they stand whole."""

    def __init__(self, secrets: Sequence[str]) -> None:
        self._secrets = tuple(secret for secret in secrets if len(secret) > len(_MASK))

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        return {key: self._clean(value) for key, value in event.items()}

    def _clean(self, value: object) -> object:
        if isinstance(value, dict):
            return {key: self._clean(part) for key, part in value.items()}
        if isinstance(value, list | tuple):
            return [self._clean(part) for part in value]
        if isinstance(value, bool | int | float) or value is None:
            return value
        return self._masked(value) if isinstance(value, str) else self._cleaned_object(value)

    def _cleaned_object(self, value: object) -> object:
        text = str(value)
        masked = self._masked(text)
        return value if masked == text else masked

    def _masked(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, _MASK)
        return _SECRET.sub(_MASK, text)
