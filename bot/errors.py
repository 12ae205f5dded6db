"""The errors that operators may see: each is a verdict with one sentence, keyword facts and a code."""

from typing import Any


class OpsError(Exception):
    """Something an operator must know; the sentence says what happened and what to do next."""

    code = "failed"

    def __init__(self, sentence: str, **facts: object) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.facts = facts

    def __reduce__(self) -> tuple[Any, ...]:
        return _revive, (type(self), self.sentence, self.facts)


class Invalid(OpsError):
    """What was asked cannot be understood."""

    code = "invalid"


class Refused(OpsError):
    """It was understood and is not allowed, or not allowed now."""

    code = "refused"


class NotFound(OpsError):
    """The named thing does not exist."""

    code = "not_found"


class Conflict(OpsError):
    """The world differs from what was last recorded: somebody else changed it."""

    code = "conflict"


class Unavailable(OpsError):
    """An outside system did not answer usefully; trying again later may work."""

    code = "unavailable"


class Throttled(Unavailable):
    """An outside system asks to slow down; the fact `retry_after` holds its seconds where it named them."""

    code = "throttled"


class OutcomeUnknown(Unavailable):
    """A request may or may not have taken effect: read the state before trying again."""

    code = "outcome_unknown"


class Misconfigured(OpsError):
    """A setting is missing or impossible."""

    code = "misconfigured"


def _revive(kind: type[OpsError], sentence: str, facts: dict[str, object]) -> OpsError:
    return kind(sentence, **facts)
