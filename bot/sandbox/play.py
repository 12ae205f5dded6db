"""Play one story headless: run it, print what happened in the order of time, end in one line of JSON."""

import argparse
import asyncio
import contextlib
import json
import signal
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bot.errors import OpsError
from bot.sandbox import transcript
from bot.sandbox.sandbox import Sandbox
from bot.sandbox.slack.records import Ack, Message
from bot.sandbox.slack.workspace import HOME_CHANNEL

if TYPE_CHECKING:
    from bot.sandbox.stories import Story

DONE, FAILED = 0, 1
MARGIN_SECONDS = 20.0
"""Real seconds that a machine may need beyond the scaled ones."""


class Wrong(Exception):
    """The story did not go as it should."""


@dataclass
class Play:
    """What a story acts through. Waits are in seconds of the story's own (scaled) world plus a margin of real ones."""

    sandbox: Sandbox
    began: float
    facts: dict[str, object] = field(default_factory=dict)

    async def type(self, who: str, text: str) -> Ack:
        """Let somebody type a slash command."""
        ack = await self.sandbox.slack.user(who).command(text)
        self.hold(not ack.timed_out, f"{text} was not answered within 3 s")
        return ack

    async def click(self, who: str, action: str, *, on: Message | None = None) -> Ack:
        """Let somebody press a button of the newest message that has it, or of a message that may have lost it."""
        ack = await self.sandbox.slack.user(who).click(action, message_ts=on.ts if on else None)
        self.hold(not ack.timed_out, f"the click on {action} was not answered within 3 s")
        return ack

    async def see(self, text: str, *, scaled: float = 60.0, whom: str | None = None) -> Message:
        """Wait until a message contains the text. `scaled` seconds are divided by the speed; 20 real ones are added."""
        patience = scaled / self.sandbox.speed + MARGIN_SECONDS
        try:
            return await self.sandbox.slack.wait_for(text, timeout=patience, ephemeral_for=whom)
        except TimeoutError as error:
            raise Wrong(f"nobody saw “{text}” within {patience:.0f} s: {error}") from error

    def hold(self, truth: object, otherwise: str) -> None:
        """Raise Wrong unless it is true."""
        if not truth:
            raise Wrong(otherwise)

    def note(self, name: str, value: object) -> None:
        """Put a fact into the last line."""
        self.facts[name] = value

    def weights(self) -> dict[str, int]:
        """Return production's weights by colour, as the load balancer has them."""
        return dict(self.sandbox.world.weights("production"))

    def switches(self) -> list[float]:
        """Return when the weights were written, in epoch seconds."""
        calls = self.sandbox.world.calls()
        return [call.at.timestamp() for call in calls if call.what.startswith("ModifyRule")]

    def end(self, *, weights: dict[str, int], writes: int, pages: int) -> None:
        """Hold what every story ends with: where the traffic is, how often it was moved, how many pages; no doubles."""
        self.hold(self.weights() == weights, f"the weights are {self.weights()}")
        self.hold(len(self.switches()) == writes, f"the rule was written {len(self.switches())} times, not {writes}")
        paged = len(self.sandbox.world.pages())
        self.hold(paged == pages, f"{paged} pages were sent, not {pages}")
        self.nothing_twice()
        self.note("weight_writes", writes)
        self.note("pages", pages)

    def nothing_twice(self) -> None:
        """Hold that no message of a thread, no card and no write to a system outside exists twice."""
        said = [one for one in self.sandbox.slack.messages(HOME_CHANNEL) if not one.is_reply]
        replies = [
            (card.ts, reply.text) for card in said for reply in self.sandbox.slack.messages(HOME_CHANNEL, card.ts)
        ]
        cards = [card for one in said if (card := ((one.metadata or {}).get("event_payload") or {}).get("card_id"))]
        calls = [(call.system, call.what) for call in self.sandbox.world.calls() if call.outcome.startswith("2")]
        for what, found in (("message", replies), ("card", cards), ("call", calls)):
            twice = [one for one, times in Counter(found).items() if times > 1]
            self.hold(not twice, f"this {what} exists twice: {twice[:1]}")

    def elapsed(self) -> float:
        """Return the real seconds since the story began."""
        return time.time() - self.began


async def run(story: "Story", name: str, home: Path, given: argparse.Namespace) -> int:
    """Play the story and return the exit status: 0 only if it ended as it should."""
    sandbox = Sandbox(home=home, speed=given.speed, overrides=story.settings)
    played = Play(sandbox=sandbox, began=time.time())
    problem = ""
    with _stoppable():
        try:
            await sandbox.start(given.port)
            played.began = time.time()
            await story.act(played)
        except asyncio.CancelledError:
            problem = "it was stopped from outside"
        except (Wrong, OpsError, LookupError, OSError, RuntimeError, TimeoutError) as error:
            problem = f"{type(error).__name__}: {error}"
        finally:
            seconds = round(played.elapsed(), 1)
            lines = _transcript(played)
            bot_log = sandbox.bot.last_words() if sandbox.bot and problem else ""
            await sandbox.stop()
    for line in lines:
        _say(line)
    if problem:
        _say(f"\nThe story did not end as it should: {problem}\n{bot_log}")
    outcome = {"story": name, "ok": not problem, "seconds": seconds, "speed": given.speed}
    _say(json.dumps(outcome | played.facts | ({"problem": problem[:300]} if problem else {})))
    return FAILED if problem else DONE


@contextlib.contextmanager
def _stoppable() -> Iterator[None]:
    """Let the first Ctrl-C, hang-up or SIGTERM end the story, so that everything it started is stopped."""
    told: set[int] = set()
    story = asyncio.current_task()
    assert story is not None

    def stop(number: int) -> None:
        if not told:
            story.cancel()
        told.add(number)

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in numbers:
        asyncio.get_running_loop().add_signal_handler(number, stop, number)
    try:
        yield
    finally:
        for number in numbers:
            asyncio.get_running_loop().remove_signal_handler(number)


def _transcript(played: Play) -> list[str]:
    slack = played.sandbox.slack
    heard_by = {
        message.ts: slack.workspace.name(message.ephemeral_for)
        for history in slack.workspace.history.values()
        for message in history
        if message.ephemeral_for
    }
    return transcript.lines(slack.log, played.sandbox.world.calls(), heard_by, played.began)


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - this is a command's output
