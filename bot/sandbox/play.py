"""Play one story headless: run it, print what happened in the order of time, end in one line of JSON."""

import argparse
import asyncio
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bot.sandbox.sandbox import Sandbox
from bot.sandbox.slack.records import Ack, Message

if TYPE_CHECKING:
    from bot.sandbox.stories import Story

DONE, FAILED = 0, 1
WIDTH = 220


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

    async def click(self, who: str, action: str) -> Ack:
        """Let somebody press a button of the newest message that has it."""
        return await self.sandbox.slack.user(who).click(action)

    async def see(self, text: str, *, scaled: float = 60.0, whom: str | None = None) -> Message:
        """Wait until a message contains the text. `scaled` seconds are divided by the speed; 20 real ones are added."""
        patience = scaled / self.sandbox.speed + 20.0
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

    def elapsed(self) -> float:
        """Return the real seconds since the story began."""
        return time.time() - self.began


async def run(story: "Story", name: str, home: Path, given: argparse.Namespace) -> int:
    """Play the story and return the exit status: 0 only if it ended as it should."""
    sandbox = Sandbox(home=home, speed=given.speed, overrides=story.settings)
    played = Play(sandbox=sandbox, began=time.time())
    problem = ""
    try:
        await sandbox.start(given.port)
        played.began = time.time()
        await story.act(played)
    except (Wrong, LookupError, RuntimeError, TimeoutError) as error:
        problem = f"{type(error).__name__}: {error}"
    finally:
        lines = _transcript(played)
        bot_log = sandbox.bot.last_words() if sandbox.bot and problem else ""
        await asyncio.shield(sandbox.stop())
    for line in lines:
        _say(line)
    if problem:
        _say(f"\nThe story did not end as it should: {problem}\n{bot_log}")
    outcome = {"story": name, "ok": not problem, "seconds": round(played.elapsed(), 1), "speed": given.speed}
    _say(json.dumps(outcome | played.facts | ({"problem": problem[:300]} if problem else {})))
    return FAILED if problem else DONE


def _transcript(played: Play) -> list[str]:
    """Return who said what and which outside calls were made, by time since the story began."""
    entries: list[tuple[float, str]] = []
    for entry in played.sandbox.slack.log:
        text = " ".join(entry.text.split())
        entries.append((entry.at, f"{entry.who:12} {entry.kind:10} {_cut(text)}"))
    entries += [
        (call.at.timestamp(), f"{call.system:12} {'call':10} {_cut(call.what)} → {call.outcome}")
        for call in played.sandbox.world.calls()
    ]
    shown = sorted(entries, key=lambda entry: entry[0])
    return [f"{at - played.began:7.2f} s  {line}" for at, line in shown if at >= played.began - 0.5]


def _cut(text: str) -> str:
    return text if len(text) <= WIDTH else text[: WIDTH - 1] + "…"


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - this is a command's output
