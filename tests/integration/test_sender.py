"""How the outbox is delivered: order, coalescing, back-off, ambiguous posts, and pages that wait for nobody."""

import asyncio
import contextlib
from datetime import timedelta

import pytest
import sqlalchemy as sa

from bot import claims, outbox, store
from bot.contract import Card
from bot.errors import OutcomeUnknown, Refused, Throttled, Unavailable
from bot.sender import Sender
from bot.settings import Config, Durations, Settings
from tests.fakes import FakePagerDuty, FakeSlack

GAP = timedelta(milliseconds=300)


class Bench:
    """One database, fake Slack and PagerDuty, and senders that run for a while."""

    def __init__(self, database):
        self.database = database
        self.slack = FakeSlack()
        self.pagerduty = FakePagerDuty()
        self.sent = []
        self.rendered = 0
        self.block = {"type": "section", "text": {"type": "mrkdwn", "text": "*live*"}}

    async def render(self, session, card_id):
        self.rendered += 1
        rev = (await store.execute(session, sa.text("SELECT rev FROM card WHERE id = :id"), id=card_id)).scalar()
        return Card(text=f"{card_id} rev {rev}", blocks=(self.block,))

    async def listen(self, session, sent):
        self.sent.append(sent)

    def sender(self, **changes):
        parts = {
            "database": self.database,
            "slack": self.slack,
            "pagerduty": self.pagerduty,
            "renderers": {"deployment": self.render},
            "listeners": (self.listen,),
            "settings": Settings(config=Config(durations=Durations(card_gap=GAP))),
            "jitter": lambda: 0.0,
        }
        return Sender(**(parts | changes))

    @contextlib.asynccontextmanager
    async def running(self, **changes):
        sender = self.sender(**changes)
        task = asyncio.create_task(sender.run())
        await asyncio.sleep(0.1)
        try:
            yield
        finally:
            sender.stop()
            await asyncio.wait_for(task, 10)

    async def show(self, card="dep_1"):
        async with self.database.transaction() as session:
            await outbox.show_card(session, card=card, kind="deployment", channel="C1")

    async def say(self, key, card="dep_1", **more):
        async with self.database.transaction() as session:
            await outbox.say(session, key=key, card=card, text=key, **more)

    async def page(self, key="inc_1:L1", subject="inc_1"):
        async with self.database.transaction() as session:
            await outbox.page(session, key=key, subject=subject, event={"dedup_key": subject})

    async def soon(self, condition, seconds=5.0):
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def value(self, query):
        async with self.database.transaction() as session:
            return (await store.execute(session, sa.text(query))).scalar()


@pytest.fixture
def bench(database):
    return Bench(database)


async def test_replies_follow_their_card_in_the_order_they_were_written(bench):
    for number in range(5):
        await bench.say(f"line {number}")
    async with bench.running():
        await asyncio.sleep(0.2)
        assert bench.slack.messages == []
        await bench.show()
        await bench.soon(lambda: len(bench.slack.messages) == 6)
    card = bench.slack.messages[0]
    assert card.text == "dep_1 rev 1"
    assert bench.slack.texts(card.ts) == [f"line {number}" for number in range(5)]
    assert await bench.value("SELECT count(*) FROM outbox WHERE state = 'sent'") == 5


async def test_many_changes_of_a_card_become_few_updates_and_the_last_one_is_shown(bench):
    async with bench.running():
        await bench.show()
        await bench.soon(lambda: bench.slack.messages)
        for _ in range(50):
            await bench.show()
        await bench.soon(lambda: bench.slack.messages[0].text == "dep_1 rev 51")
    assert len(bench.slack.messages) == 1
    assert bench.slack.messages[0].edits <= 4


async def test_a_page_goes_out_while_slack_hangs(bench):
    bench.slack.delay = 5.0
    async with bench.running():
        for number in range(20):
            await bench.show(f"dep_{number}")
        began = asyncio.get_running_loop().time()
        await bench.page()
        await bench.soon(lambda: bench.pagerduty.events)
        assert asyncio.get_running_loop().time() - began < 0.5
        bench.slack.delay = 0.0


async def test_a_page_is_tried_until_pagerduty_takes_it_and_failure_is_told_once(bench):
    bench.pagerduty.failures.extend([Unavailable("down"), Refused("who are you"), Throttled("slow", retry_after=0.1)])
    async with bench.running():
        await bench.page()
        await bench.soon(lambda: bench.pagerduty.events, 12)
        await bench.soon(lambda: len(bench.sent) == 4)
    assert [(sent.ok, sent.first_failure, sent.answer, sent.attempts) for sent in bench.sent] == [
        (False, True, "down", 1),
        (False, False, "who are you", 2),
        (False, False, "slow", 3),
        (True, False, "inc_1", 4),
    ]
    assert {(sent.key, sent.kind, sent.subject) for sent in bench.sent} == {("inc_1:L1", "page", "inc_1")}


async def test_without_pagerduty_a_page_waits_and_its_failure_is_told(bench):
    async with bench.running(pagerduty=None):
        await bench.page()
        await bench.soon(lambda: bench.sent)
    assert "not configured" in bench.sent[0].answer
    assert await bench.value("SELECT state FROM outbox") == "pending"


async def test_a_card_whose_post_was_not_confirmed_is_found_and_not_posted_again(bench):
    bench.slack.lost.append(OutcomeUnknown("timeout", retry_after=0.1))
    async with bench.running():
        await bench.show()
        await bench.soon(lambda: "update" in bench.slack.calls)
    assert bench.slack.calls == ["post", "find_post", "update"]
    assert len(bench.slack.messages) == 1


async def test_a_reply_whose_post_was_not_confirmed_is_not_said_twice(bench):
    async with bench.running():
        await bench.show()
        await bench.soon(lambda: bench.slack.messages)
        bench.slack.lost.append(OutcomeUnknown("timeout", retry_after=0.1))
        await bench.say("approved")
        await bench.soon(lambda: len(bench.sent) == 3)
    assert bench.slack.texts(bench.slack.messages[0].ts) == ["approved"]


async def test_a_process_that_died_after_posting_leaves_no_second_post(bench):
    await bench.show()
    async with bench.database.transaction() as session:
        await claims.cards(session, gap=GAP, most=1, claim="dead")
    await bench.slack.post("C1", "dep_1 rev 1", (), metadata={"card_id": "dep_1"})
    async with bench.running():
        await asyncio.sleep(0.3)
        assert bench.slack.calls == ["post"]
        await bench.value("UPDATE card SET next_at = now() RETURNING 1")
        await bench.soon(lambda: "update" in bench.slack.calls)
    assert len(bench.slack.messages) == 1


async def test_two_processes_deliver_each_thing_once(bench):
    for number in range(40):
        await bench.show(f"dep_{number}")
        await bench.say(f"said {number}", card=f"dep_{number}")
        await bench.page(f"page {number}", f"inc_{number}")
    async with bench.running(), bench.running():
        await bench.soon(lambda: len(bench.slack.messages) == 80 and len(bench.pagerduty.events) == 40, 20)
        await asyncio.sleep(0.3)
    assert len(bench.slack.messages) == 80
    assert len(bench.pagerduty.events) == len(bench.pagerduty.alerts()) == 40


async def test_a_refused_layout_falls_back_to_plainer_ones(bench):
    bench.slack.failures.extend([Refused("no", error="invalid_blocks"), Refused("no", error="invalid_blocks")])
    async with bench.running():
        await bench.show()
        await bench.soon(lambda: bench.slack.messages)
    assert bench.slack.messages[0].text == "dep_1 rev 1"
    assert bench.slack.messages[0].blocks == ()


async def test_when_slack_asks_to_slow_down_the_lane_waits_as_long_as_asked(bench):
    bench.slack.failures.append(Throttled("slow", retry_after=0.8))
    loop = asyncio.get_running_loop()
    async with bench.running():
        began = loop.time()
        await bench.show("dep_1")
        await asyncio.sleep(0.1)
        await bench.show("dep_2")
        await bench.soon(lambda: len(bench.slack.messages) == 2)
        assert loop.time() - began >= 0.8


async def test_a_defect_in_one_renderer_does_not_hold_up_other_cards(bench):
    async def broken(session, card_id):
        raise KeyError("defect")

    async with bench.database.transaction() as session:
        await outbox.show_card(session, card="bad", kind="broken", channel="C1")
    async with bench.running(renderers={"deployment": bench.render, "broken": broken}):
        await bench.show()
        await bench.soon(lambda: bench.slack.messages)
    assert [message.card_id for message in bench.slack.messages] == ["dep_1"]


async def test_a_whisper_that_slack_refuses_is_given_up(bench):
    bench.slack.failures.append(Refused("user_not_in_channel", error="user_not_in_channel"))
    async with bench.running():
        async with bench.database.transaction() as session:
            await outbox.whisper(session, key="w1", channel="C1", user="U1", text="psst")
            await outbox.whisper(session, key="w2", channel="C1", user="U2", text="psst")
        await bench.soon(lambda: len(bench.sent) == 2)
    assert len(bench.slack.whispers) == 1
    assert await bench.value("SELECT count(*) FROM outbox WHERE state = 'failed'") == 1


async def test_the_outcome_and_what_a_listener_writes_are_one_transaction(bench):
    async def confirm(session, sent):
        if sent.kind == "page":
            await outbox.say(session, key=f"{sent.key}:ok", card="dep_1", text="paged")

    async with bench.running(listeners=(confirm,)):
        await bench.show()
        await bench.page()
        await bench.soon(lambda: "paged" in [message.text for message in bench.slack.messages])


async def test_a_message_is_on_its_way_within_a_tenth_of_a_second(bench):
    loop = asyncio.get_running_loop()
    async with bench.running():
        await asyncio.sleep(1.2)
        began = loop.time()
        await bench.show()
        await bench.soon(lambda: bench.slack.messages)
        assert loop.time() - began < 0.3


async def test_delivery_goes_on_after_the_database_dropped_every_connection(bench):
    async with bench.running():
        await bench.value(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        await bench.show()
        await bench.soon(lambda: bench.slack.messages)
        await bench.page()
        await bench.soon(lambda: bench.pagerduty.events)
    assert len(bench.slack.messages) == 1


async def test_what_waits_is_counted_by_lane(bench):
    await bench.show()
    await bench.say("one")
    await bench.page()
    async with bench.database.transaction() as session:
        waiting = await claims.waiting(session)
    assert {lane: one.things for lane, one in waiting.items()} == {"card": 1, "talk": 1, "page": 1}
    assert all(0 <= one.age < 5 for one in waiting.values())
