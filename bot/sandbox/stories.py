"""The stories of `opsbot sandbox --play`: what people do, what must be seen, what must never happen."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from bot.sandbox.play import Play
from bot.sandbox.slack.records import Message

APPROVE, REJECT = "deploy_approve", "deploy_reject"
ON_BLUE, ON_GREEN = {"blue": 100, "green": 0}, {"blue": 0, "green": 100}

# A hold of 24 hours would be 24 minutes at speed 60: stories shorten it and say so in their summary.
SHORT_HOLD = '\n[durations]\nhold = "10m"\n'
SHORT_APPROVAL = '\n[durations]\napproval = "5m"\n'
ASK = "/deploy v0.1.0 production"
BAKED = 40 * 60.0
BACK_SECONDS = 30.0
"""Runbook: a blue-green rollback takes 30 seconds."""


@dataclass(frozen=True, kw_only=True)
class Story:
    """One story; `settings` is added to the sandbox's TOML file."""

    summary: str
    act: Callable[[Play], Awaitable[None]]
    settings: str = ""


async def deploy(play: Play) -> None:
    """Jane asks, may not approve herself, Bob approves; traffic moves, is watched, blue is held and retired."""
    await _ask(play, ASK)
    await play.click("jane", APPROVE)
    await play.see("someone else with the role approver", whom="jane")
    play.hold(play.weights() == ON_BLUE, "traffic moved before the approval")
    await play.click("bob", APPROVE)
    await play.see("v0.1.0 is live on production", scaled=BAKED)
    play.hold(play.weights() == ON_GREEN, f"the weights are {play.weights()}")
    await play.see("Record of deployment")
    play.note("live_after_s", round(play.elapsed(), 1))
    await play.see("Finished v0.1.0 to production", scaled=BAKED)
    await play.see("Deploy v0.1.0 to production: succeeded")
    play.hold(_desired(play) == (0, 6), f"blue and green have {_desired(play)} tasks")
    play.end(weights=ON_GREEN, writes=1, pages=0)


async def bad_release(play: Play) -> None:
    """v0.1.1 fails 2 % of the requests after the switch: traffic goes back, an incident opens, level 1 is paged."""
    await _ask(play, "/deploy v0.1.1 production")
    await play.click("bob", APPROVE)
    await play.see("Rolled back", scaled=BAKED)
    await play.see("PagerDuty accepted the page")
    await play.see("Deploy v0.1.1 to production: rolled back")
    play.end(weights=ON_BLUE, writes=2, pages=1)
    there, back = play.switches()
    # The bot decides at some moment after the last look that it showed, so this is more than what its way back took.
    looks = [entry.at for entry in play.sandbox.slack.log if entry.kind == "update" and entry.at < back]
    play.note("on_bad_release_s", round(back - there, 1))
    play.note("back_after_last_look_s", round(back - looks[-1], 2))
    play.hold(back - looks[-1] < BACK_SECONDS, "the way back took longer than 30 s")


async def never_healthy(play: Play) -> None:
    """v0.1.3 never gets healthy: no weight is written, green is scaled down again, level 1 is paged."""
    await _ask(play, "/deploy v0.1.3 production")
    await play.click("bob", APPROVE)
    await play.see("blue was not touched", scaled=BAKED)
    await play.see("PagerDuty accepted the page")
    await play.see("Deploy v0.1.3 to production: failed")
    play.hold(_desired(play) == (6, 0), f"blue and green have {_desired(play)} tasks")
    play.end(weights=ON_BLUE, writes=0, pages=1)


async def denied(play: Play) -> None:
    """Bob rejects with a reason; nothing is touched, and a late approval is answered and changes nothing."""
    card = await _ask(play, ASK)
    await play.click("bob", REJECT)
    await play.sandbox.slack.user("bob").submit({"reason": "not during the sale"})
    await play.see("Denied v0.1.0 to production")
    await play.see("not during the sale")
    await _too_late(play, card, "Already denied by Bob Williams")
    await play.type("jane", "/deploy status")
    await play.see("No deployment is running", whom="jane")
    play.hold(not play.sandbox.world.calls(), "an outside call was made")
    play.end(weights=ON_BLUE, writes=0, pages=0)


async def expired(play: Play) -> None:
    """Nobody answers in time: the request expires, nothing is touched, and the environment is free again."""
    card = await _ask(play, ASK)
    await play.see("Expired v0.1.0 to production", scaled=10 * 60.0)
    await _too_late(play, card, "This request has expired")
    await _ask(play, ASK)
    play.hold(not play.sandbox.world.calls(), "an outside call was made")
    play.end(weights=ON_BLUE, writes=0, pages=0)


async def bot_killed(play: Play) -> None:
    """Kill -9 between the switch and its observation: the bot comes back and finishes; nothing happens twice."""
    await _ask(play, ASK)
    await play.click("bob", APPROVE)
    while play.weights() != ON_GREEN:
        play.hold(play.elapsed() < 60 + BAKED / play.sandbox.speed, "the traffic was never switched")
        await asyncio.sleep(0.005)
    await play.sandbox.kill_bot()
    killed = time.time()
    await asyncio.sleep(2)
    await play.sandbox.start_bot()
    await play.see("Resumed after a restart")
    play.note("resumed_after_s", round(time.time() - killed, 1))
    await play.see("v0.1.0 is live on production", scaled=BAKED)
    await play.see("Record of deployment")
    play.end(weights=ON_GREEN, writes=1, pages=0)


async def pagerduty_down(play: Play) -> None:
    """PagerDuty is down when a deployment fails: people are called in Slack, and the page is sent once, later."""
    await play.sandbox.set_fault("pagerduty_down", on=True)
    await _ask(play, "/deploy v0.1.3 production")
    await play.click("bob", APPROVE)
    await play.see("PagerDuty did not take the page", scaled=BAKED)
    play.hold(not play.sandbox.world.pages(), "a page was counted while PagerDuty was down")
    await play.sandbox.set_fault("pagerduty_down", on=False)
    await play.see("PagerDuty accepted the page", scaled=40 * 60.0)
    play.end(weights=ON_BLUE, writes=0, pages=1)


async def _ask(play: Play, command: str) -> Message:
    """Let Jane ask, and return the card when it waits for approval."""
    await play.type("jane", command)
    return await play.see("Waiting for approval")


async def _too_late(play: Play, card: Message, answer: str) -> None:
    """Let Bob press a button that the card no longer shows: he is told why it does not count."""
    await play.click("bob", APPROVE, on=card)
    await play.see(answer, whom="bob")


def _desired(play: Play) -> tuple[int, int]:
    """Return how many tasks are wanted of blue and of green."""
    world = play.sandbox.world
    return world.colour("production", "blue").desired, world.colour("production", "green").desired


STORIES: Mapping[str, Story] = {
    "deploy": Story(
        summary="asked, own approval refused, approved, switched, watched, held (10 min), retired",
        act=deploy,
        settings=SHORT_HOLD,
    ),
    "bad-release": Story(summary="2 % errors after the switch: back at once, incident, page", act=bad_release),
    "never-healthy": Story(summary="green never gets healthy: blue is never touched", act=never_healthy),
    "denied": Story(summary="rejected with a reason", act=denied),
    "expired": Story(summary="nobody answers (5 min): expires, nothing touched", act=expired, settings=SHORT_APPROVAL),
    "bot-killed": Story(summary="kill -9 between switch and observation: resumes, nothing twice", act=bot_killed),
    "pagerduty-down": Story(summary="the page is retried until PagerDuty takes it, once", act=pagerduty_down),
}
