"""One call of a Web API method: its arguments, and what a method may touch."""

from collections.abc import Callable
from dataclasses import dataclass

from bot.sandbox.slack.grants import Grants
from bot.sandbox.slack.records import ApiError, Json
from bot.sandbox.slack.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class Call:
    """`base` is our own address without a trailing slash."""

    workspace: Workspace
    grants: Grants
    arguments: Json
    base: str

    def text(self, name: str, default: str = "") -> str:
        """Return an optional string argument."""
        value = self.arguments.get(name)
        return default if value is None else str(value)

    def need(self, name: str) -> str:
        """Return a required string argument."""
        value = self.text(name)
        if not value:
            problem = f"[ERROR] missing required field: {name}"
            raise ApiError("invalid_arguments", response_metadata={"messages": [problem]})
        return value

    def flag(self, name: str) -> bool:
        """Return a boolean argument; forms send it as text."""
        return self.text(name).lower() in {"1", "true"}

    def number(self, name: str, default: int) -> int:
        """Return a whole number argument."""
        try:
            return int(self.text(name) or default)
        except ValueError as error:
            raise ApiError("invalid_arguments") from error


Method = Callable[[Call], Json]
