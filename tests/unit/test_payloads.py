"""What Slack sends, as its documentation shows it, becomes what a person did."""

from datetime import UTC, datetime

import pytest

from bot.contract import Person
from bot.slack import payloads

COMMAND = {
    "command": "/deploy",
    "text": " v0.1.0 production ",
    "user_id": "UJANE",
    "channel_id": "CHOME",
    "channel_name": "llm-observatory-alerts",
    "trigger_id": "13345224609.738474920.8088930838d88f008e0",
    "response_url": "https://hooks.slack.com/commands/1234/5678",
}
CLICK = {
    "type": "block_actions",
    "user": {"id": "UBOB", "username": "bob"},
    "trigger_id": "1.2.3",
    "container": {"type": "message", "message_ts": "1548261231.000200", "channel_id": "CHOME", "thread_ts": "1548261000.000100"},
    "channel": {"id": "CHOME", "name": "llm-observatory-alerts"},
    "message": {"ts": "1548261231.000200"},
    "response_url": "https://hooks.slack.com/actions/1/2",
    "actions": [{"action_id": "deploy_approve", "block_id": "row", "value": "dep_1", "type": "button", "action_ts": "1548426417.840180"}],
}  # fmt: skip
SUBMISSION = {
    "type": "view_submission",
    "user": {"id": "UBOB"},
    "trigger_id": "4.5.6",
    "view": {
        "callback_id": "deploy_form",
        "private_metadata": "dep_1",
        "blocks": [
            {"type": "section", "text": {"type": "mrkdwn", "text": "x"}},
            {"type": "input", "block_id": "version"},
            {"type": "input", "block_id": "strategy"},
        ],
        "state": {
            "values": {
                "version": {"version": {"type": "plain_text_input", "value": "v0.1.0"}},
                "ticket": {"ticket": {"type": "plain_text_input", "value": None}},
                "strategy": {"strategy": {"type": "static_select", "selected_option": {"text": {}, "value": "canary"}}},
                "risk": {"risk": {"type": "radio_buttons", "selected_option": None}},
                "sure": {"sure": {"type": "checkboxes", "selected_options": [{"value": "yes"}, {"value": "really"}]}},
                "unsure": {"unsure": {"type": "checkboxes", "selected_options": []}},
                "day": {"day": {"type": "datepicker", "selected_date": "2026-11-23"}},
                "hour": {"hour": {"type": "timepicker", "selected_time": "14:05"}},
                "who": {"who": {"type": "users_select", "selected_user": "UJANE"}},
                "crew": {"crew": {"type": "multi_users_select", "selected_users": ["UJANE", "UBOB"]}},
                "many": {"many": {"type": "multi_static_select", "selected_options": [{"value": "a"}, {"value": "b"}]}},
            }
        },
    },
}
MENTION = {
    "type": "event_callback",
    "event_id": "Ev08MFMKH6",
    "event": {"type": "app_mention", "user": "UBOB", "text": "<@UBOT> approve dep_1", "ts": "2.0", "thread_ts": "1.0", "channel": "CHOME"},
}  # fmt: skip


def mentioned(text, **event):
    return {**MENTION, "event": {**MENTION["event"], "text": text, **event}}


def test_a_command_carries_its_words_and_place():
    act = payloads.parse(COMMAND)
    assert (act.kind, act.name, act.text, act.user) == ("command", "/deploy", "v0.1.0 production", "UJANE")
    assert (act.channel, act.channel_name) == ("CHOME", "llm-observatory-alerts")
    assert act.key == act.trigger == COMMAND["trigger_id"]
    assert act.response_url == COMMAND["response_url"]


def test_what_slack_escaped_is_what_the_person_typed():
    act = payloads.command({**COMMAND, "text": "v1 production --reason &lt;!channel&gt; a &amp;&amp; b &amp;lt;"})
    assert act.text == "v1 production --reason <!channel> a && b &lt;"


def test_a_click_is_keyed_by_person_button_and_moment():
    act = payloads.parse(CLICK)
    assert act.key == "UBOB:deploy_approve:1548426417.840180"
    assert (act.name, act.value, act.message, act.thread) == (
        "deploy_approve",
        "dep_1",
        "1548261231.000200",
        "1548261000.000100",
    )
    later = {**CLICK, "actions": [{**CLICK["actions"][0], "action_ts": "1548426418.1"}]}
    assert payloads.parse(later).key != act.key


def test_a_choice_in_a_message_is_a_click_with_a_value():
    action = {"action_id": "pick", "action_ts": "1", "type": "static_select", "selected_option": {"value": "canary"}}
    assert payloads.button({**CLICK, "actions": [action]}).value == "canary"


def test_a_click_in_a_form_has_no_channel_and_no_response_url():
    act = payloads.button(
        {
            **{k: v for k, v in CLICK.items() if k not in {"channel", "message", "response_url"}},
            "container": {"type": "view"},
        }
    )
    assert (act.channel, act.message, act.thread, act.response_url) == ("", None, None, "")


def test_a_forms_fields_are_read_by_block_whatever_their_kind():
    act = payloads.parse(SUBMISSION)
    assert (act.name, act.value, act.key) == ("deploy_form", "dep_1", "4.5.6")
    assert act.fields == {
        "version": "v0.1.0",
        "ticket": "",
        "strategy": "canary",
        "risk": "",
        "sure": "yes,really",
        "unsure": "",
        "day": "2026-11-23",
        "hour": "14:05",
        "who": "UJANE",
        "crew": "UJANE,UBOB",
        "many": "a,b",
    }
    assert act.inputs == ("version", "strategy")


@pytest.mark.parametrize(
    ("text", "verb", "rest"),
    [
        ("<@UBOT> approve dep_1", "approve", "dep_1"),
        ("<@UBOT|opsbot>  Approve:   dep_1  now", "approve", "dep_1 now"),
        ("<@UJANE> look, <@UBOT> reject dep_1 &lt;why&gt;", "reject", "dep_1 <why>"),
        ("<@UBOT>", "", ""),
        ("opsbot approve dep_1", "", ""),
    ],
)
def test_a_mention_is_a_verb_and_the_rest_after_the_bots_own_name(text, verb, rest):
    act = payloads.parse(mentioned(text), "UBOT")
    assert (act.name, act.text) == (verb, rest)


def test_a_mention_outside_a_thread_opens_one_and_is_keyed_by_its_event():
    act = payloads.parse(mentioned("<@UBOT> status", thread_ts=None), "UBOT")
    assert (act.thread, act.message, act.key) == ("2.0", "2.0", "Ev08MFMKH6")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"type": "view_closed", "view": {}},
        {"type": "shortcut", "callback_id": "x"},
        {"type": "event_callback", "event": {"type": "app_home_opened"}},
    ],
)
def test_what_no_person_asked_is_nothing(body):
    assert payloads.parse(body) is None


@pytest.mark.parametrize(
    "body",
    [
        {"command": "/deploy"},
        {"type": "block_actions"},
        {"type": "view_submission"},
        {"event": {"type": "app_mention"}},
    ],
)
def test_a_payload_with_holes_is_still_read_and_has_no_key(body):
    assert payloads.parse(body).key == ""


def test_a_request_is_the_act_with_a_person_and_a_time():
    jane, at = Person(id="UJANE", name="Jane"), datetime(2026, 11, 23, tzinfo=UTC)
    request = payloads.command(COMMAND).request(jane, "/deploy", at)
    assert (request.person, request.at, request.command, request.key) == (jane, at, "/deploy", COMMAND["trigger_id"])
    assert (request.text, request.channel, request.origin) == ("v0.1.0 production", "CHOME", "slack")
