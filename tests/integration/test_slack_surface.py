"""Signed payloads in, answers out: the handlers are small fakes, everything between them and Slack is real."""

import asyncio

import pytest
from slack_server import no
from surface import FORM, NOW

from bot import blocks
from bot.contract import Reply, Role
from bot.errors import Invalid, OutcomeUnknown, Unavailable

# --- commands


async def test_a_command_is_acknowledged_with_the_handlers_reply_and_only_the_asker_sees_it(world):
    answer = await world.deliver(world.command())
    assert (answer["response_type"], answer["text"]) == ("ephemeral", "Started dep_1")
    (request,) = world.desk.requests
    assert (request.key, request.text, request.command, request.at) == ("1.2.3", "v0.1.0 production", "/deploy", NOW)
    assert (request.person.id, request.person.roles) == ("UJANE", {Role.DEPLOYER})


async def test_a_reply_for_the_channel_is_shown_in_the_channel(world):
    world.desk.reply = Reply(text="Shared", blocks=(blocks.section("Shared"),), audience="channel")
    answer = await world.deliver(world.command())
    assert (answer["response_type"], answer["blocks"]) == ("in_channel", [blocks.section("Shared")])


async def test_a_layout_that_slack_would_refuse_is_said_plainly(world):
    table = blocks.table([["a"]])
    world.desk.reply = Reply(text="Two tables", blocks=(table, table))
    answer = await world.deliver(world.command())
    assert [block["type"] for block in answer["blocks"]] == ["section", "section"]


async def test_a_form_is_opened_before_the_ack_and_without_reading_anything_from_slack(world):
    world.desk.reply = Reply(view=FORM)
    assert await world.deliver(world.command("")) == ""
    (opened,) = world.server.called("views.open")
    assert (opened["trigger_id"], opened["view"]) == ("1.2.3", FORM)


async def test_a_form_that_cannot_be_opened_says_so(world):
    world.desk.reply = Reply(view=FORM)
    world.server.answers["views.open"] = lambda _: no("expired_trigger_id")
    answer = await world.deliver(world.command(""))
    assert "could not be opened in time" in answer["text"]
    assert "Nothing was changed" in answer["text"]


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ({"channel_id": "CELSE", "channel_name": "random"}, "not here"),
        ({"channel_id": "D1", "channel_name": "directmessage"}, "not in direct messages"),
        ({"channel_id": "GELSE", "channel_name": "privategroup"}, "not here"),
    ],
)
async def test_a_command_from_elsewhere_is_told_where_to_ask(world, place, words):
    answer = await world.deliver(world.command(**place))
    assert answer["response_type"] == "ephemeral"
    assert "#llm-observatory-alerts" in answer["text"]
    assert words in answer["text"]
    assert "Nothing was changed" in answer["text"]
    assert world.desk.requests == []


async def test_a_private_home_channel_is_recognised_by_its_id(world):
    await world.deliver(world.command(channel_name="privategroup"))
    assert len(world.desk.requests) == 1


async def test_ten_kilobytes_of_arguments_are_refused(world):
    answer = await world.deliver(world.command("x" * 10_240))
    assert "10,240 characters" in answer["text"]
    assert "Nothing was changed" in answer["text"]
    assert world.desk.requests == []


async def test_a_slow_handler_goes_on_and_its_reply_follows(world):
    world.desk.gate = asyncio.Event()
    answer = await world.deliver(world.command())
    assert "Still working" in answer["text"]
    assert "may still take effect" in answer["text"]
    world.desk.gate.set()
    await world.settled(lambda: world.server.said)
    assert world.server.said[0]["text"] == "Started dep_1"
    assert world.desk.effects == {"1.2.3"}


async def test_a_slow_handler_that_fails_in_the_end_says_so_too(world):
    world.desk.gate = asyncio.Event()
    world.desk.reply = Unavailable("The database does not answer")
    await world.deliver(world.command())
    world.desk.gate.set()
    await world.settled(lambda: world.server.said)
    assert "The database does not answer. Nothing was changed." in world.server.said[0]["text"]


async def test_a_command_without_a_trigger_is_refused_because_it_could_not_be_recognised_again(world):
    answer = await world.deliver(world.command(trigger_id=None))
    assert "nothing was changed" in answer["text"]
    assert world.desk.requests == []


# --- errors


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            Invalid("`v0.1.O` is not a version <!channel>."),
            ["`v0.1.O` is not a version &lt;!channel&gt;. Nothing was changed."],
        ),
        (OutcomeUnknown("AWS did not confirm"), ["AWS did not confirm.", "may or may not have taken effect"]),
        (Invalid("Nothing was started: no such environment"), ["Nothing was started: no such environment. Ref"]),
        (RuntimeError("secret detail"), ["a mistake in opsbot", "not confirmed", "/deploy status"]),
    ],
)
async def test_a_failure_is_answered_with_what_was_not_changed_and_a_reference(world, error, words):
    world.desk.reply = error
    answer = await world.deliver(world.command())
    assert answer["response_type"] == "ephemeral"
    assert all(part in answer["text"] for part in words), answer["text"]
    assert "Ref `" in answer["text"]
    assert "secret detail" not in answer["text"]


async def test_people_who_cannot_be_read_start_nothing(world):
    world.server.answers["users.info"] = lambda _: no("fatal_error", 500)
    answer = await world.deliver(world.command())
    assert "Nothing was changed" in answer["text"]
    assert world.desk.requests == []


@pytest.mark.parametrize("answer", ["hang up", lambda _: no("invalid_auth")])
async def test_before_slack_has_confirmed_the_bot_itself_nothing_is_changed_and_that_is_said(world, answer):
    world.server.answers["auth.test"] = answer
    said = await world.deliver(world.command())
    assert "Nothing was changed" in (said["text"] if isinstance(said, dict) else said)
    assert world.desk.requests == []
    del world.server.answers["auth.test"]
    assert (await world.deliver(world.command()))["text"] == "Started dep_1"


async def test_a_command_this_version_does_not_have_is_answered(world):
    answer = await world.deliver(world.command(command="/gone"))
    assert "older version of opsbot; nothing was changed" in answer["text"]


# --- buttons


async def test_a_click_is_answered_to_the_clicker_alone(world):
    assert await world.deliver(world.click()) == ""
    await world.settled(lambda: world.server.said)
    assert world.server.said == [{"text": "Started dep_1", "response_type": "ephemeral", "replace_original": False}]
    (request,) = world.desk.requests
    assert (request.key, request.value, request.message) == ("UBOB:deploy_approve:9.9", "dep_1", "5.5")


async def test_the_role_is_read_at_the_click(world):
    await world.deliver(world.click())
    assert world.desk.requests[-1].person.roles == {Role.APPROVER}
    world.server.answers["usergroups.list"] = lambda _: no("internal_error")
    await world.deliver(world.click())
    await world.settled(lambda: len(world.server.said) == 2)
    assert "never guessed" in world.server.said[-1]["text"]
    assert len(world.desk.requests) == 1


async def test_a_button_of_an_older_version_is_answered(world):
    assert await world.deliver(world.click("gone")) == ""
    await world.settled(lambda: world.server.said)
    assert "from an older version of opsbot; nothing was changed" in world.server.said[0]["text"]


async def test_a_button_that_only_opens_a_page_is_acknowledged_and_nothing_else(world):
    assert await world.deliver(world.click("link:grafana")) == ""
    await asyncio.sleep(0.05)
    assert world.server.said == []


async def test_a_reply_whose_layout_slack_refuses_is_sent_again_as_text(world):
    world.desk.reply = Reply(text="Approved", blocks=(blocks.section("Approved"),))
    world.server.respond_body = '{"ok":false,"error":"invalid_blocks"}'
    await world.deliver(world.click())
    await world.settled(lambda: len(world.server.said) == 2)
    assert "blocks" in world.server.said[0]
    assert "blocks" not in world.server.said[1]


async def test_a_slow_click_is_told_so_and_then_the_outcome(world):
    world.desk.gate = asyncio.Event()
    assert await world.deliver(world.click()) == ""
    await world.settled(lambda: world.server.said)
    world.desk.gate.set()
    await world.settled(lambda: len(world.server.said) == 2)
    assert "Still working" in world.server.said[0]["text"]
    assert world.server.said[1]["text"] == "Started dep_1"


# --- forms


async def test_a_submitted_form_closes_and_its_reply_is_whispered_in_the_home_channel(world):
    assert await world.deliver(world.submission()) == ""
    await world.settled(lambda: world.server.called("chat.postEphemeral"))
    (whisper,) = world.server.called("chat.postEphemeral")
    assert (whisper["channel"], whisper["user"], whisper["text"]) == ("CHOME", "UBOB", "Started dep_1")
    assert (world.desk.requests[0].value, world.desk.requests[0].fields) == ("dep_1", {"version": "v0.1.O"})


async def test_somebody_outside_the_home_channel_gets_the_reply_as_a_message(world):
    world.server.answers["chat.postEphemeral"] = lambda _: no("user_not_in_channel")
    await world.deliver(world.submission())
    await world.settled(lambda: world.server.called("chat.postMessage"))
    assert world.server.called("chat.postMessage")[0]["channel"] == "UBOB"


async def test_errors_keep_the_form_open_at_the_field(world):
    world.desk.reply = Reply(errors={"version": "This is not a version", "elsewhere": "Nor this"})
    assert await world.deliver(world.submission()) == {
        "response_action": "errors",
        "errors": {"version": "This is not a version Nor this"},
    }


async def test_the_next_form_takes_the_place_of_this_one(world):
    world.desk.reply = Reply(view=FORM)
    assert await world.deliver(world.submission()) == {"response_action": "update", "view": FORM}


async def test_a_failure_keeps_what_was_typed(world):
    world.desk.reply = Unavailable("The database does not answer")
    answer = await world.deliver(world.submission())
    assert answer["response_action"] == "errors"
    assert "The database does not answer. Nothing was changed." in answer["errors"]["version"]


async def test_a_slow_form_says_so_in_its_place(world):
    world.desk.gate = asyncio.Event()
    answer = await world.deliver(world.submission())
    assert "Still working" in answer["view"]["blocks"][0]["text"]["text"]
    world.desk.gate.set()
    await world.settled(lambda: world.server.called("chat.postEphemeral"))


async def test_a_form_of_an_older_version_is_answered(world):
    answer = await world.deliver(world.submission("gone"))
    assert "older version" in answer["errors"]["version"]
