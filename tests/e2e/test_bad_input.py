"""Whatever people type, click or forge: a clear answer that says what was not changed, and no write outside."""

import asyncio
import time
import urllib.parse

import aiohttp
import pytest
from slack_sdk.signature import SignatureVerifier

from bot import blocks
from bot.sandbox.slack import plain_text
from bot.sandbox.slack.records import Message
from commands import deploy
from commands.rollout import card
from commands.rollout.records import State
from tests.e2e.harness import COURSE, ENDS, HOME, SECRET, slow, town, until

NOTHING = "Nothing was changed"


NONSENSE = {
    "v0.1.O production": ("v0.1.O is not a version. Did you mean v0.1.0?",),
    "0.1 production": ("0.1 is not a version", "v0.1.0"),
    "v0.1.0 porduction": ("porduction is not an environment. Did you mean production?",),
    "v0.1.0": ("one version and one environment",),
    "v0.1.0 v0.2.0 production": ("one version and one environment",),
    "v0.1.0 production --fast": ("--fast is not an option",),
    "v0.1.0 production --ticket": ("--ticket needs a value",),
    "v0.1.0 production --strategy yolo": ("yolo is not a strategy", "blue-green"),
    "abort": ("/deploy abort needs the id of a deployment", "/deploy status"),
    "abort dep_nope": ("There is no deployment dep_nope",),
    "status dep_nope": ("There is no deployment dep_nope",),
    "history nowhere": ("nowhere is not an environment", "production"),
    "<!channel> production": ("<!channel> is not a version",),
    "v0.1.0 <!channel>": ("<!channel> is not an environment",),
    "`rm -rf` <@U0BOB> *production*": ("one version and one environment",),
    "v0.1.0 production " + "x" * 10_000: ("10,018 characters", "2,000"),
}


async def test_a_command_that_makes_no_sense_is_answered_and_changes_nothing(database):
    """Jane mistypes; only she is told what is wrong, and that nothing was changed."""
    async with town(database, http=True) as there:
        for typed, words in NONSENSE.items():
            ack = await there.slack.user("jane").command(f"/deploy {typed}")
            text = await there.told(*words, NOTHING, to="jane")
            assert ack.status == "ok"
            assert "<!channel>" not in ack.text
            assert "<@" not in ack.text
            assert "mistake in opsbot" not in text
        assert await there.count() == 0
        there.nothing_changed()


async def test_an_image_that_is_not_in_the_registry_is_refused_before_anybody_is_asked(database):
    """Jane asks for a version nobody has built."""
    async with town(database) as there:
        deployment = await there.asked("v9.9.9 production")
        assert (deployment.state, deployment.outcome.code) == (State.REFUSED, "image_missing")
        await there.told("Not started v9.9.9", "v9.9.9 is not in the registry", NOTHING)
        there.nothing_changed()


async def test_a_version_that_is_live_already_is_refused(database):
    """Jane asks for what production runs anyway."""
    async with town(database) as there:
        deployment = await there.asked("v0.0.9 production")
        assert (deployment.state, deployment.outcome.code) == (State.REFUSED, "already_live")
        await there.told("v0.0.9 is already live on blue", NOTHING)
        there.nothing_changed()


async def test_a_second_deployment_of_the_environment_is_refused_by_the_name_of_the_first(database):
    """Bob asks while Jane's deployment still waits for approval; then Jane takes hers back."""
    async with town(database) as there:
        first = await there.asked()
        await there.told(COURSE[0])
        await there.slack.user("bob").command("/deploy v0.1.0 production")
        await there.told(f"production is taken by {first.id}", "Jane Doe", NOTHING, to="bob")
        assert await there.count() == 1
        await there.slack.user("jane").command(f"/deploy abort {first.id}")
        await there.told(f"Asked {first.id} to abort", to="jane")
        assert (await there.reached(first.id, *ENDS)).state is State.ABORTED
        await there.told_all(["Jane Doe asked to abort", "Aborted v0.1.0"])
        there.nothing_changed()


async def test_somebody_without_the_role_is_told_which_one_is_missing(database):
    """Charlie is on call, and may not deploy."""
    async with town(database) as there:
        await there.slack.user("charlie").command("/deploy v0.1.0 production")
        await there.told("role deployer", NOTHING, to="charlie")
        assert await there.count() == 0
        there.nothing_changed()


async def test_a_command_from_another_channel_is_sent_to_the_home_channel(database):
    """Jane asks in #random, where nobody would see the card."""
    async with town(database) as there:
        await there.slack.user("jane").command("/deploy v0.1.0 production", channel="random")
        await there.told(f"#{HOME}", NOTHING, to="jane")
        assert await there.count() == 0
        there.nothing_changed()


async def test_markup_in_arguments_reaches_nobody_as_markup(database):
    """Jane's ticket would alarm the whole channel if it were not escaped, in the card, the thread and the record."""
    async with town(database, approvals=0) as there:
        await there.asked("v0.1.0 production --ticket '<!channel> *OPS* <https://evil|x>'")
        deployment = await there.newest()
        assert (await there.reached(deployment.id, *ENDS)).state is State.SUCCEEDED
        await there.told_all(["Started: v0.1.0 to production", *COURSE[3:]])
        raw = "\n".join(_raw(one) for one in there.bot_messages())
        assert "&lt;!channel&gt;" in raw
        assert "<!channel>" not in raw
        assert "<https://evil" not in raw


async def test_help_status_and_history_answer_only_the_asker(database):
    """Jane looks around before she does anything, and once more while something waits."""
    async with town(database, http=True) as there:
        for words, answer in (
            ("help", "/deploy v0.1.0 production --dry-run"),
            ("status", "No deployment is running"),
            ("history", "Nothing has been deployed yet"),
        ):
            await there.slack.user("jane").command(f"/deploy {words}")
            await there.told(answer, to="jane")
        deployment = await there.asked()
        await there.told(COURSE[0])
        for words in ("status", f"status {deployment.id}", "history", "history prod"):
            await there.slack.user("alice").command(f"/deploy {words}")
            await there.told(deployment.id, "v0.1.0", to="alice")
        there.nothing_changed()


async def test_a_form_with_a_bad_version_stays_open_and_one_with_a_good_one_deploys(database):
    """Jane opens the form, mistypes, corrects it; the card of a form lives in the home channel, by its id."""
    async with town(database) as there:
        jane = there.slack.user("jane")
        await jane.command("/deploy")
        await until(lambda: jane.view)
        ack = await jane.submit({"version": "v0.1.O"})
        assert "Did you mean v0.1.0?" in ack.errors["version"]
        assert NOTHING in ack.errors["version"]
        assert await there.count() == 0
        await jane.submit({"version": "v0.1.0", "ticket": "<!here>"})
        assert jane.view is None
        await there.told("Understood:", "<!here>", to="jane")
        deployment = await there.newest()
        await there.told(deployment.id)
        await there.told(COURSE[0])
        assert deployment.channel == "C0ALERTS"
        assert "<!here>" not in "\n".join(_raw(one) for one in there.bot_messages())
        there.nothing_changed()


async def test_a_form_of_an_environment_that_is_gone_says_so(database):
    """Jane's form was open while production was renamed in the settings."""
    async with town(database) as there:
        jane = there.slack.user("jane")
        form = blocks.modal(
            deploy.FORM,
            "Deploy",
            [
                blocks.text_input("version", "Version"),
                blocks.select_input("environment", "Environment", [("old", "old")], initial="old"),
            ],
            submit="Deploy",
        )
        await there.services.slack.open_view(there.slack.grants.trigger(jane.user.id), form)
        ack = await jane.submit({"version": "v0.1.0"})
        assert "old is not an environment" in ack.errors["environment"]
        assert NOTHING in ack.errors["environment"]
        assert await there.count() == 0
        there.nothing_changed()


async def test_the_author_and_a_wrong_id_are_refused_and_a_double_click_counts_once(database):
    """Jane approves herself, Bob mentions an id that is not there, then clicks twice while Slack repeats the click."""
    async with town(database, durations=slow(bake=60_000)) as there:
        deployment = await there.asked()
        await there.told(COURSE[0])
        await until(lambda: card.APPROVE in _actions(there, deployment))
        await there.press(card.APPROVE, deployment, "jane")
        await there.told("someone else with the role approver", NOTHING, to="jane")
        there.slack.faults.duplicate_event = True
        thread = there.card(deployment.id).ts
        await there.slack.user("bob").mention("approve dep_nope", thread=thread)
        await there.told("There is no deployment dep_nope", NOTHING)
        await there.slack.user("bob").mention("aprove it", thread=thread)
        await there.told("I do not know `aprove`", NOTHING)
        there.nothing_changed()
        await there.press(card.APPROVE, deployment, "bob", times=2)
        answers = [await there.told("by Bob Williams", to="bob") for _ in range(2)]
        assert sorted(answer.split(" by ")[0] for answer in answers) == ["Already approved", "Approved"]
        await there.told_all(COURSE[1:8])
        assert there.cloud.writes.count("weights 0/100") == 1
        await there.press(card.ABORT, deployment, "bob", times=2)
        await there.told("to abort", to="bob")
        assert (await there.reached(deployment.id, *ENDS)).state is State.ABORTED
        # The second click either came in time to be heard, too, or is told that it is over.
        await until(lambda: len([one for one in there.bot_messages() if one.ephemeral_for == "U0BOB"]) == 4)
        await there.told(deployment.id, to="bob")
        await there.told_all(["asked to abort", "Aborted v0.1.0", "Record of deployment", "aborted it"])
        there.seen |= {id(one) for one in there.bot_messages() if "asked to abort" in one.text}
        assert there.cloud.writes == ["storage-green 6", "weights 0/100", "weights 100/0"]
        assert there.pagerduty.events == []


async def test_a_rejection_needs_a_reason_and_is_final(database):
    """Bob rejects; his empty reason keeps the form open, and the late approval afterwards is refused."""
    async with town(database) as there:
        deployment = await there.asked()
        await there.told(COURSE[0])
        await until(lambda: card.REJECT in _actions(there, deployment))
        bob = there.slack.user("bob")
        await there.press(card.REJECT, deployment, "bob")
        await until(lambda: bob.view)
        ack = await bob.submit({"reason": "  "})
        assert NOTHING.lower() in ack.errors["reason"].lower()
        assert (await there.get(deployment.id)).state is State.WAITING
        await bob.submit({"reason": "<!channel> not on a *Friday*"})
        await there.told("Bob Williams denied it", to="bob")
        assert (await there.reached(deployment.id, *ENDS)).state is State.DENIED
        await there.told_all([":x: Bob Williams denied it", "Denied v0.1.0"])
        assert all("<!channel>" not in _raw(one) for one in there.bot_messages())
        await there.press(card.APPROVE, deployment, "bob")
        await there.told("Already denied by Bob Williams", NOTHING, to="bob")
        there.nothing_changed()


async def test_controls_of_an_older_version_are_answered(database):
    """A card and a form from before the upgrade are still on somebody's screen."""
    async with town(database) as there:
        old = [blocks.actions("old", blocks.button("Promote", "deploy_promote_v0", "dep_1"))]
        await there.services.slack.post("C0ALERTS", "An old card", old)
        await there.told("An old card")
        await there.slack.user("bob").click("deploy_promote_v0")
        await there.told("older version of opsbot", "nothing was changed", to="bob")
        bob = there.slack.user("bob")
        form = blocks.modal("deploy_form_v0", "Old", [blocks.text_input("why", "Why")], submit="Go")
        await there.services.slack.open_view(there.slack.grants.trigger(bob.user.id), form)
        ack = await bob.submit({"why": "because"})
        assert "older version of opsbot; nothing was changed" in ack.text
        there.nothing_changed()


@pytest.mark.parametrize("trick", ["forged", "stale", "unsigned", "other body"])
async def test_a_request_that_slack_did_not_sign_now_reaches_nobody(database, trick):
    """Mallory posts a command to the bot's address."""
    async with town(database, http=True) as there:
        body = _body("U0JANE", trigger="1.2.3")
        headers = _signed(body, secret="guess" if trick == "forged" else SECRET, age=400 if trick == "stale" else 0)
        if trick == "unsigned":
            headers = {"Content-Type": headers["Content-Type"]}
        status, text = await _post(there.url, body + ("&x=1" if trick == "other body" else ""), headers)
        assert status == 401
        assert "dep_" not in text
        assert await there.count() == 0
        there.nothing_changed()


async def test_a_replayed_request_is_the_same_deployment(database):
    """Mallory recorded Jane's signed command and sends it again, while it waits and after it has ended."""
    async with town(database, http=True) as there:
        body = _body("U0JANE", trigger="1.2.3")
        headers = _signed(body)
        assert "Understood" in (await _post(there.url, body, headers))[1]
        deployment = await there.newest()
        await there.told(deployment.id)
        await there.told(COURSE[0])
        again = await asyncio.gather(*(_post(there.url, body, headers) for _ in range(3)))
        assert all(deployment.id in text for _status, text in again)
        await there.slack.user("jane").command(f"/deploy abort {deployment.id}")
        await there.told("to abort", to="jane")
        await there.reached(deployment.id, State.ABORTED)
        await there.told_all(["Jane Doe asked to abort", "Aborted v0.1.0"])
        assert deployment.id in (await _post(there.url, body, headers))[1]
        assert await there.count() == 1
        assert (await there.get(deployment.id)).state is State.ABORTED
        there.nothing_changed()


def _actions(there, deployment) -> list[str]:
    blocks_ = there.card(deployment.id).blocks
    return [one["action_id"] for block in blocks_ if block["type"] == "actions" for one in block["elements"]]


def _raw(message: Message) -> str:
    """Return text and blocks as Slack got them, but for plain_text elements, in which nothing is markup."""
    assert plain_text(message) is not None
    return message.text + "\n".join(_mrkdwn(message.blocks))


def _mrkdwn(part):
    if isinstance(part, dict):
        if part.get("type") in {"mrkdwn", "markdown"}:
            yield str(part.get("text"))
        elif part.get("type") != "plain_text":
            for value in part.values():
                yield from _mrkdwn(value)
    elif isinstance(part, list):
        for one in part:
            yield from _mrkdwn(one)


def _body(user, *, trigger, text="v0.1.0 production") -> str:
    fields = {
        "command": "/deploy",
        "text": text,
        "user_id": user,
        "team_id": "T0SANDBOX",
        "channel_id": "C0ALERTS",
        "channel_name": HOME,
        "trigger_id": trigger,
    }
    return urllib.parse.urlencode(fields)


def _signed(body, *, secret=SECRET, age=0) -> dict[str, str]:
    stamp = str(int(time.time()) - age)
    signature = SignatureVerifier(secret).generate_signature(timestamp=stamp, body=body)
    kind = "application/x-www-form-urlencoded"
    return {"Content-Type": kind, "X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": signature}


async def _post(url, body, headers) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.post(url, data=body, headers=headers) as answer:
        return answer.status, await answer.text()
