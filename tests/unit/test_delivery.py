"""One delivery: look before posting again, fall back to plainer layouts, repair what was deleted."""

from datetime import UTC, datetime

import pytest

from bot import delivery
from bot.contract import Card
from bot.delivery import Spot
from bot.errors import Misconfigured, NotFound, Refused, Throttled
from tests.fakes import FakePagerDuty, FakeSlack

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SECTION = {"type": "section", "text": {"type": "mrkdwn", "text": "*live*"}}
CARD = Card(text="It is live", blocks=(SECTION, {"type": "divider"}))


def spot(**more):
    return Spot(**({"id": "dep_1", "channel": "C1", "since": NOW, "unsure": False} | more))


def layout_refused():
    return Refused("no", error="invalid_blocks", reasons=("[ERROR] no",))


async def test_a_new_card_is_posted_with_its_id():
    slack = FakeSlack()
    ts = await delivery.show(slack, spot(), CARD)
    assert [(one.ts, one.card_id, one.text, one.blocks) for one in slack.messages] == [
        (ts, "dep_1", "It is live", CARD.blocks)
    ]
    assert slack.calls == ["post"]


async def test_a_posted_card_is_updated():
    slack = FakeSlack()
    ts = await slack.post("C1", "old", ())
    assert await delivery.show(slack, spot(ts=ts, unsure=True), CARD) == ts
    assert slack.calls == ["post", "update"]
    assert slack.messages[0].text == "It is live"


async def test_a_card_that_may_have_been_posted_is_looked_for_first():
    slack = FakeSlack()
    await delivery.show(slack, spot(unsure=True), CARD)
    await delivery.show(slack, spot(unsure=True), CARD)
    assert slack.calls == ["find_post", "post", "find_post", "update"]


async def test_a_reply_that_may_have_been_posted_is_looked_for_in_its_thread():
    slack = FakeSlack()
    await slack.post("C1", "elsewhere", (), metadata={"card_id": "dep_1"})
    for _ in range(2):
        await delivery.reply(slack, spot(unsure=True, thread="17.1"), CARD)
    assert [one.thread for one in slack.messages] == [None, "17.1"]


async def test_a_card_that_somebody_deleted_is_posted_again():
    slack = FakeSlack()
    slack.failures.append(NotFound("gone", error="message_not_found"))
    await delivery.show(slack, spot(ts="17.1"), CARD)
    assert slack.calls == ["update", "post"]


async def test_a_missing_channel_is_not_mistaken_for_a_deleted_card():
    slack = FakeSlack()
    slack.failures.append(NotFound("gone", error="channel_not_found"))
    with pytest.raises(NotFound):
        await delivery.show(slack, spot(ts="17.1"), CARD)
    assert slack.calls == ["update"]


@pytest.mark.parametrize("ts", [None, "17.1"])
async def test_a_layout_that_slack_refuses_becomes_plainer_and_at_last_text(ts):
    slack = FakeSlack()
    ts = ts and await slack.post("C1", "old", ())
    slack.calls.clear()
    slack.failures.extend([layout_refused(), layout_refused()])
    await delivery.show(slack, spot(ts=ts), CARD)
    assert len(slack.calls) == 3
    assert (slack.messages[0].text, slack.messages[0].blocks) == ("It is live", ())


async def test_the_second_layout_still_says_everything():
    slack = FakeSlack()
    slack.failures.append(layout_refused())
    await delivery.tell(slack, spot(), CARD)
    assert slack.messages[0].blocks == (SECTION,)


async def test_when_even_text_is_refused_it_is_a_refusal():
    slack = FakeSlack()
    slack.failures.extend([layout_refused()] * 3)
    with pytest.raises(Refused):
        await delivery.tell(slack, spot(), CARD)


async def test_other_errors_go_up_at_once():
    slack = FakeSlack()
    slack.failures.append(Throttled("slow", retry_after=3))
    with pytest.raises(Throttled):
        await delivery.show(slack, spot(), CARD)
    assert slack.calls == ["post"]


async def test_pages_and_changes_go_to_pagerduty():
    pagerduty = FakePagerDuty()
    assert await delivery.page(pagerduty, "page", {"dedup_key": "inc_1"}) == "inc_1"
    await delivery.page(pagerduty, "change", {"summary": "deployed"})
    assert (pagerduty.alerts(), pagerduty.changes) == ({"inc_1"}, [{"summary": "deployed"}])


async def test_without_pagerduty_a_page_is_misconfigured():
    with pytest.raises(Misconfigured, match="PAGERDUTY_ROUTING_KEY"):
        await delivery.page(None, "page", {})
