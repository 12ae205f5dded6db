"""The stories of `opsbot sandbox --play`: what people do, what must be seen, what must never happen."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from bot.sandbox.play import Play

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
    await play.type("jane", ASK)
    await play.see("Waiting for approval")
    refused = await play.click("jane", APPROVE)
    play.hold(not refused.timed_out, "the click was not answered")
    await play.see("someone else with the role approver", whom="jane")
    play.hold(play.weights() == ON_BLUE, "traffic moved before the approval")
    await play.click("bob", APPROVE)
    await play.see("v0.1.0 is live on production", scaled=BAKED)
    play.hold(play.weights() == ON_GREEN, f"the weights are {play.weights()}")
    await play.see("Record of deployment")
    play.note("live_after_s", round(play.elapsed(), 1))
    await play.see("Finished v0.1.0 to production", scaled=BAKED)
    switches = play.switches()
    play.hold(len(switches) == 1, f"the rule was written {len(switches)} times")
    play.hold(not play.sandbox.world.pages(), "somebody was paged")
    play.note("weight_writes", len(switches))


async def bad_release(play: Play) -> None:
    """v0.1.1 fails 2 % of the requests after the switch: traffic goes back, an incident opens, level 1 is paged."""
    await play.type("jane", "/deploy v0.1.1 production")
    await play.see("Waiting for approval")
    await play.click("bob", APPROVE)
    await play.see("Rolled back", scaled=BAKED)
    play.hold(play.weights() == ON_BLUE, f"the weights are {play.weights()}")
    await play.see("PagerDuty accepted the page")
    pages = play.sandbox.world.pages()
    play.hold(len(pages) == 1, f"{len(pages)} pages were sent")
    details = play.sandbox.world.pagerduty.pager.events[0]["payload"]["custom_details"]
    play.hold("/archives/" in details["thread"], "the page does not lead to the thread")
    writes = play.switches()
    play.hold(len(writes) == 2, f"the rule was written {len(writes)} times")  # noqa: PLR2004 - there and back
    failed = await play.see("Watch errors and latency")
    judged = float(failed.ts)
    play.note("back_after_verdict_s", round(max(0.0, writes[-1] - judged), 2))
    play.note("on_bad_release_s", round(writes[-1] - writes[0], 1))
    play.hold(writes[-1] - judged < BACK_SECONDS, "the way back took longer than 30 s")
    play.note("pages", len(pages))


async def never_healthy(play: Play) -> None:
    """v0.1.3 never gets healthy: no weight is written, green is scaled down again, level 1 is paged."""
    await play.type("jane", "/deploy v0.1.3 production")
    await play.see("Waiting for approval")
    await play.click("bob", APPROVE)
    await play.see("blue was not touched", scaled=BAKED)
    play.hold(play.weights() == ON_BLUE, f"the weights are {play.weights()}")
    writes = play.switches()
    play.hold(not writes, "a weight was written")
    await play.see("PagerDuty accepted the page")
    play.note("pages", len(play.sandbox.world.pages()))


async def denied(play: Play) -> None:
    """Bob rejects with a reason; nothing is touched, and a late approval is answered."""
    await play.type("jane", ASK)
    await play.see("Waiting for approval")
    await play.click("bob", REJECT)
    await play.sandbox.slack.user("bob").submit({"reason": "not during the sale"})
    await play.see("Denied v0.1.0 to production")
    await play.see("not during the sale")
    play.hold(not play.sandbox.world.calls(), "an outside call was made")
    await play.type("jane", "/deploy status")
    await play.see("No deployment is running", whom="jane")


async def expired(play: Play) -> None:
    """Nobody answers in time: the request expires, nothing is touched, and the environment is free again."""
    await play.type("jane", ASK)
    await play.see("Waiting for approval")
    await play.see("Expired v0.1.0 to production", scaled=10 * 60.0)
    play.hold(not play.sandbox.world.calls(), "an outside call was made")
    await play.type("jane", ASK)
    await play.see("Waiting for approval")


async def bot_killed(play: Play) -> None:
    """Kill -9 between the switch and its observation: the bot comes back and finishes; nothing happens twice."""
    await play.type("jane", ASK)
    await play.see("Waiting for approval")
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
    writes = play.switches()
    play.hold(len(writes) == 1, f"the rule was written {len(writes)} times")
    play.hold(not play.sandbox.world.pages(), "somebody was paged")
    said = [message.text for message in play.sandbox.slack.messages("llm-observatory-alerts")]
    cards = [text for text in said if text.startswith("Deploy v0.1.0")]
    play.hold(len(cards) == 1, f"there are {len(cards)} cards")
    play.note("weight_writes", len(writes))


async def pagerduty_down(play: Play) -> None:
    """PagerDuty is down when a bad release is rolled back: people are called in Slack, and the page is sent once."""
    await play.sandbox.set_fault("pagerduty_down", on=True)
    await play.type("jane", "/deploy v0.1.3 production")
    await play.see("Waiting for approval")
    await play.click("bob", APPROVE)
    await play.see("PagerDuty did not take the page", scaled=BAKED)
    play.hold(not play.sandbox.world.pages(), "a page was counted while PagerDuty was down")
    await play.sandbox.set_fault("pagerduty_down", on=False)
    await play.see("PagerDuty accepted the page", scaled=40 * 60.0)
    pages = play.sandbox.world.pages()
    play.hold(len(pages) == 1, f"{len(pages)} pages were sent")
    play.note("pages", len(pages))


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
