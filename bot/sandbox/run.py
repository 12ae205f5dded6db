"""`opsbot sandbox`: the world with its page until Ctrl-C, or one story from beginning to end."""

import argparse
import asyncio
import signal
import tempfile
from collections.abc import Coroutine
from pathlib import Path

from bot.errors import Invalid, Unavailable
from bot.sandbox import play, stories, world
from bot.sandbox.sandbox import Sandbox

DONE, FAILED = 0, 1


def main(given: argparse.Namespace) -> int:
    """Run the sandbox and return the exit status. Raises Invalid for a story or a speed that does not exist."""
    if not world.SLOWEST <= given.speed <= world.FASTEST:
        raise Invalid(f"--speed is {world.SLOWEST:g} to {world.FASTEST:g}, such as 10: ten times faster than life")
    if given.play == "list":
        for name, story in stories.STORIES.items():
            _say(f"{name:16} {story.summary}")
        return DONE
    if given.play is not None and given.play not in stories.STORIES:
        raise Invalid(f"There is no story {given.play}; there are {', '.join(stories.STORIES)}")
    with tempfile.TemporaryDirectory(prefix="opsbot-sandbox-", ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        if given.play is not None:
            return asyncio.run(play.run(stories.STORIES[given.play], given.play, home, given))
        return asyncio.run(_serve(home, given))


async def _serve(home: Path, given: argparse.Namespace) -> int:
    told = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    sandbox = Sandbox(home=home, speed=given.speed)
    try:
        _say("Starting PostgreSQL, AWS, Prometheus, PagerDuty, Slack and the bot …")
        url = await _unless(told, sandbox.start(given.port))
        if url is None:
            return DONE
        _say(f"\n  Open {url}/?user=U0JANE (Jane asks) and {url}/?user=U0BOB (Bob approves)")
        _say("  Try /deploy v0.1.0 production, or /deploy alone for the form")
        _say(f"  Time runs {given.speed:g} times faster; the bot's log is {home / 'bot.log'}; Ctrl-C ends everything\n")
        await told.wait()
    except OSError as error:
        raise Unavailable(
            f"The sandbox cannot start: {error.strerror or error}. `--port 0` takes a free one"
        ) from error
    finally:
        _say("Stopping …")
        await sandbox.stop()
    return DONE


async def _unless(told: asyncio.Event, starting: Coroutine[None, None, str]) -> str | None:
    """Return what the start returns, or None where Ctrl-C came first."""
    start, stop = asyncio.create_task(starting), asyncio.create_task(told.wait())
    await asyncio.wait({start, stop}, return_when=asyncio.FIRST_COMPLETED)
    if start.done():
        stop.cancel()
        return start.result()
    start.cancel()
    await asyncio.wait({start})
    return None


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - this is a command's output
