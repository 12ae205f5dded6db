"""What happened in a story, as lines for a terminal: who said what, which outside calls were made, and when. Pure."""

import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from bot.sandbox.cloud import Call
from bot.sandbox.slack import plain
from bot.sandbox.slack.emoji import EMOJI
from bot.sandbox.slack.records import Entry

WIDTH = 132
GLIMPSE = 0.15
"""Seconds: a state of a card that was replaced sooner was seen by nobody and is left out."""

_VERBS = {
    "command": "types", "message": "says", "click": "clicks", "submit": "submits", "close": "closes",
    "post": "posts", "reply": "in thread", "update": "card", "ephemeral": "whispers", "delete": "deletes",
    "fault": "does",
}  # fmt: skip
_INDENT = 33


@dataclass(frozen=True, kw_only=True)
class Line:
    """One event; `card` is the message that was changed in place, `until` the time of the last like it."""

    at: float
    who: str
    verb: str
    text: str
    card: str = ""
    times: int = 1
    until: float = 0.0


def lines(entries: Iterable[Entry], calls: Iterable[Call], heard_by: Mapping[str, str], began: float) -> list[str]:
    """Return the transcript by the time since the story began; `heard_by` names who saw an ephemeral message."""
    events = [_said(entry, heard_by) for entry in entries] + [_called(call) for call in calls]
    shown = sorted((event for event in events if event.at >= began - 0.5), key=lambda event: event.at)
    return [_printed(event, began) for event in _calm(shown)]


def _said(entry: Entry, heard_by: Mapping[str, str]) -> Line:
    verb = _VERBS.get(entry.kind, entry.kind)
    if entry.kind == "ephemeral" and entry.ts in heard_by:
        verb = f"to {heard_by[entry.ts]}"
    if entry.kind == "view":
        verb = f"asks {entry.where.lstrip('@')}"
    card = entry.ts if entry.kind == "update" else ""
    return Line(at=entry.at, who=entry.who, verb=verb, text=readable(entry.text), card=card)


def _called(call: Call) -> Line:
    return Line(at=call.at.timestamp(), who=call.system, verb="call", text=f"{call.what} → {call.outcome}")


def readable(text: str) -> str:
    """Return a message as somebody reads it: references, times and emoji resolved, no marks for bold."""
    text = plain.readable(text)
    text = re.sub(r":([a-z0-9_+-]+):", lambda found: EMOJI.get(found[1], found[0]), text)
    return re.sub(r"(?<![\w*])\*(\S(?:[^*\n]*\S)?)\*(?![\w*])", r"\1", text)


def _calm(events: Sequence[Line]) -> list[Line]:
    """Leave out states that only flashed by, and join the repetitions of one state of a card."""
    calm: list[Line] = []
    for index, event in enumerate(events):
        if event.card and _replaced(event, events[index + 1 :]):
            continue
        last = next((line for line in reversed(calm) if line.card == event.card), None) if event.card else None
        if last is not None and last.text == event.text:
            calm[calm.index(last)] = replace(last, times=last.times + 1, until=event.at)
        else:
            calm.append(event)
    return calm


def _replaced(event: Line, later: Sequence[Line]) -> bool:
    following = next((line for line in later if line.card == event.card), None)
    return following is not None and following.text != event.text and following.at - event.at < GLIMPSE


def _printed(event: Line, began: float) -> str:
    again = f" ({event.times} updates until {event.until - began:.2f} s)" if event.times > 1 else ""
    head = f"{event.at - began:7.2f} s  {event.who:10} {event.verb:10} "
    wrapped = [part for line in (event.text + again).splitlines() for part in _wrapped(line)]
    return head + f"\n{' ' * _INDENT}".join(wrapped)


def _wrapped(line: str) -> list[str]:
    hang = "  " if line.startswith("•") else ""
    return textwrap.wrap(line, WIDTH - _INDENT, subsequent_indent=hang, break_long_words=False, break_on_hyphens=False)
