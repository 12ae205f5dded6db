"""Short-lived grants, forms, payload shapes and switches of the local Slack, without a socket."""

from typing import Any

import pytest

from bot.sandbox.slack import LocalSlack, payloads
from bot.sandbox.slack.faults import NAMES, Faults
from bot.sandbox.slack.forms import missing
from bot.sandbox.slack.grants import Grants, UrlError
from bot.sandbox.slack.records import ApiError, Limits, Message, View
from bot.sandbox.slack.workspace import Workspace


class Clock:
    at = 1000.0

    def __call__(self) -> float:
        return self.at


def test_a_trigger_id_expires_after_three_seconds() -> None:
    clock = Clock()
    grants = Grants(clock, Limits())
    trigger = grants.trigger("U0JANE")
    clock.at += 3.1
    with pytest.raises(ApiError, match="expired_trigger_id"):
        grants.spend_trigger(trigger)


def test_a_trigger_id_is_spent_by_its_first_use() -> None:
    grants = Grants(Clock(), Limits())
    trigger = grants.trigger("U0JANE")
    assert grants.spend_trigger(trigger) == "U0JANE"
    with pytest.raises(ApiError, match="exchanged_trigger_id"):
        grants.spend_trigger(trigger)


def test_a_ticket_expires_and_works_once() -> None:
    clock = Clock()
    grants = Grants(clock, Limits())
    first, second = grants.ticket(), grants.ticket()
    assert [grants.spend_ticket(first), grants.spend_ticket(first)] == [True, False]
    clock.at += 31
    assert not grants.spend_ticket(second)


def test_an_unknown_response_url_counts_as_expired() -> None:
    with pytest.raises(UrlError, match="expired_url"):
        Grants(Clock(), Limits()).spend_response("1/x")


def test_timestamps_grow_even_when_the_clock_goes_back() -> None:
    clock = Clock()
    workspace = Workspace(clock)
    first = workspace.next_ts()
    clock.at -= 100
    assert float(workspace.next_ts()) > float(first)


def test_every_switch_can_be_turned_on_and_off() -> None:
    faults = Faults(Clock())
    for name in NAMES:
        faults.set(name, True)
        assert faults.is_on(name)
        faults.set(name, False)
        assert not faults.is_on(name)
    with pytest.raises(KeyError):
        faults.set("nonsense", True)


def option(value: str) -> dict[str, Any]:
    return {"text": {"type": "plain_text", "text": value.upper()}, "value": value}


ELEMENTS = [
    ({"type": "plain_text_input"}, "words", {"value": "words"}),
    ({"type": "plain_text_input"}, "", {"value": None}),
    ({"type": "number_input"}, 3, {"value": "3"}),
    ({"type": "static_select", "options": [option("a")]}, "a", {"selected_option": option("a")}),
    ({"type": "static_select", "options": [option("a")]}, "A", {"selected_option": option("a")}),
    ({"type": "static_select", "options": [option("a")]}, None, {"selected_option": None}),
    ({"type": "checkboxes", "options": [option("a")]}, ["a"], {"selected_options": [option("a")]}),
    ({"type": "users_select"}, "U0JANE", {"selected_user": "U0JANE"}),
    ({"type": "multi_users_select"}, ["U0JANE"], {"selected_users": ["U0JANE"]}),
    ({"type": "datepicker"}, "2026-01-01", {"selected_date": "2026-01-01"}),
    ({"type": "datetimepicker"}, "1700000000", {"selected_date_time": 1_700_000_000}),
]


@pytest.mark.parametrize(("element", "raw", "state"), ELEMENTS)
def test_a_control_reports_its_value_as_slack_types_it(element: dict[str, Any], raw: object, state: Any) -> None:
    assert payloads.value(element, raw) == {"type": element["type"], **state}


def form(element: dict[str, Any], raw: object, **block: Any) -> View:
    blocks = [{"type": "input", "block_id": "b", "element": {"action_id": "a", **element}, **block}]
    content = {"type": "modal", "blocks": blocks}
    return View(id="V", user="U", content=content, hash="h", root="V", values={("b", "a"): raw})


FORMS = [
    (form({"type": "plain_text_input"}, ""), "Please complete this required field."),
    (form({"type": "plain_text_input"}, "", optional=True), None),
    (form({"type": "plain_text_input", "max_length": 2}, "abc"), "Must be at most 2 characters."),
    (form({"type": "plain_text_input", "min_length": 4}, "abc"), "Must be at least 4 characters."),
    (form({"type": "number_input"}, "x"), "Must be a number."),
    (form({"type": "number_input"}, "1.5"), "Must be a whole number."),
    (form({"type": "number_input", "max_value": "3"}, "4"), "Must be between … and 3."),
    (form({"type": "email_text_input"}, "x"), "Must be an e-mail address."),
    (form({"type": "checkboxes", "options": [option("a")]}, []), "Please complete this required field."),
]


@pytest.mark.parametrize(("view", "sentence"), FORMS)
def test_slack_checks_a_form_before_the_app_sees_it(view: View, sentence: str | None) -> None:
    assert missing(view).get("b") == sentence


def test_a_click_on_an_ephemeral_message_comes_without_the_message() -> None:
    workspace = Workspace(Clock())
    jane, channel = workspace.find_user("jane"), workspace.find_channel("llm-observatory-alerts")
    seen = Message(channel=channel.id, ts="1.0", user="U0OPSBOT", text="x", ephemeral_for=jane.id)
    payload = payloads.message_action(jane, seen, channel, {"action_id": "a"}, {})
    assert payload["container"]["is_ephemeral"]
    assert "message" not in payload


def test_controls_are_found_in_containers_and_cards_and_get_ids() -> None:
    workspace = Workspace(Clock())
    button = {"type": "button", "text": {"type": "plain_text", "text": "Go"}}
    card = {"type": "card", "actions": [button | {"action_id": "in_card"}]}
    inside = {"type": "actions", "elements": [button]}
    blocks = [{"type": "container", "child_blocks": [inside]}, {"type": "carousel", "elements": [card]}]
    message = workspace.post(Message(channel="C0ALERTS", ts="1.0", user="U0OPSBOT", text="x", blocks=blocks))
    assert len(message.elements) == 2
    assert all(block and action for block, action in message.elements)
    assert "action_id" not in button


def test_a_manifest_names_the_bot_and_its_commands() -> None:
    slack = LocalSlack(
        manifest={"display_information": {"name": "Ops"}, "features": {"bot_user": {"display_name": "ops"}}}
    )
    bot = slack.workspace.users["U0OPSBOT"]
    assert (bot.name, bot.handle) == ("Ops", "ops")
    assert slack.gestures.manifest == {}
