"""The words of a command: any order of flags, forgiving spelling, and an answer that says what was understood."""

import difflib
import re
import shlex
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from bot.errors import Invalid

_VERSION = re.compile(r"v?(\d+)\.(\d+)\.(\d+)(-[0-9A-Za-z][0-9A-Za-z.-]*)?")
_LOOKALIKES = str.maketrans({"o": "0", "O": "0", "l": "1", "I": "1", ",": "."})
_DASHES = re.compile(r"(?<!\S)[\u2013\u2014](?=\w)")  # phones turn "--" into one long dash
_ENVIRONMENT_ALIASES = {
    "prod": "production",
    "prd": "production",
    "live": "production",
    "stg": "staging",
    "stage": "staging",
}
_SHOWN = 60


@dataclass(frozen=True, kw_only=True)
class Words:
    """Arguments without a dash in order, and flags by their name; a flag without value is the empty string."""

    plain: tuple[str, ...]
    flags: Mapping[str, str] = field(default_factory=dict)


def read(text: str, *, switches: Collection[str] = (), valued: Collection[str] = ()) -> Words:
    """Split what a person typed. Raises Invalid for an unknown flag or one whose value is missing."""
    tokens = _split(_DASHES.sub("--", text))
    plain: list[str] = []
    flags: dict[str, str] = {}
    while tokens:
        token = tokens.pop(0)
        if not token.startswith("--"):
            plain.append(token)
            continue
        name, _, value = token[2:].partition("=")
        if name in switches:
            flags[name] = ""
        elif name in valued:
            flags[name] = value or (tokens.pop(0) if tokens and not tokens[0].startswith("--") else "")
            if not flags[name]:
                raise Invalid(f"--{name} needs a value. Nothing was changed.")
        else:
            raise Invalid(
                f"--{_shown(name)} is not an option.{_hint(name, [*switches, *valued], '--')} Nothing was changed."
            )
    return Words(plain=tuple(plain), flags=flags)


def version(word: str) -> str:
    """Return `vMAJOR.MINOR.PATCH`. Raises Invalid with the likely meaning."""
    if _VERSION.fullmatch(word):
        return "v" + word.removeprefix("v")
    guess = word.translate(_LOOKALIKES)
    hint = (
        f" Did you mean v{guess.removeprefix('v')}?" if _VERSION.fullmatch(guess) else " A version looks like v0.1.0."
    )
    raise Invalid(f"{_shown(word)} is not a version.{hint} Nothing was changed.")


def is_version(word: str) -> bool:
    """Tell whether a word is a version or was meant as one."""
    return bool(_VERSION.fullmatch(word.translate(_LOOKALIKES)))


def order(word: str) -> tuple[int, int, int, bool, str]:
    """Return a key that sorts versions; a pre-release comes before its release."""
    match = _VERSION.fullmatch(word)
    if match is None:
        return (-1, 0, 0, False, word)
    major, minor, patch, pre = match.groups()
    return (int(major), int(minor), int(patch), pre is None, pre or "")


def environment(word: str, known: Collection[str]) -> str:
    """Return the environment's full name. Raises Invalid naming the known ones."""
    name = word.lower()
    if name not in known:
        name = _ENVIRONMENT_ALIASES.get(name, name)
    if name in known:
        return name
    hint = _hint(name, known, "")
    raise Invalid(
        f"{_shown(word)} is not an environment.{hint} Known: {', '.join(sorted(known))}. Nothing was changed."
    )


def one_of(word: str, known: Collection[str], what: str) -> str:
    """Return the word if it is known. Raises Invalid naming the known ones."""
    if word in known:
        return word
    raise Invalid(
        f"{_shown(word)} is not a {what}.{_hint(word, known, '')} Known: {', '.join(known)}. Nothing was changed."
    )


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def _shown(word: str) -> str:
    return word if len(word) <= _SHOWN else word[: _SHOWN - 1] + "…"


def _hint(word: str, known: Collection[str], prefix: str) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f" Did you mean {prefix}{close[0]}?" if close else ""
