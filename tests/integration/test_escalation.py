"""Incidents in the database: one trouble is one incident and one page, and only an accepted page is called one."""

import asyncio
from datetime import timedelta
from types import SimpleNamespace

import pytest
import sqlalchemy as sa

from bot import outbox, store
from bot.sender import Sent
from bot.settings import Config, Settings
from escalation import incidents
from escalation import store as incident_store
from escalation.records import Trouble
from tests.builders import NOON

SERVICES = SimpleNamespace(
    settings=Settings().model_copy(update={"config": Config()}),
    slack=SimpleNamespace(workspace_url="https://acme.slack.com/"),
)


def trouble(**changes):
    values = {
        "key": "opsbot:production:dep_1",
        "severity": "P1",
        "environment": "production",
        "title": "Deploy v0.1.0 to production rolled back",
        "reason": "harm_error_rate",
        "evidence": ("errors 2.00%",),
        "card": "dep_1",
        "deployment": "dep_1",
    }
    return Trouble(**(values | changes))


async def report(database, now=NOON, **changes):
    async with database.transaction() as session:
        return await incidents.report(session, SERVICES, trouble(**changes), now=now)


async def heard(database, key, *, ok, first=False, answer="accepted"):
    async with database.transaction() as session:
        sent = Sent(
            key=key, kind="page", subject=key.split(":")[1], ok=ok, first_failure=first, answer=answer, attempts=1
        )
        await incidents.page_ended(session, sent)


async def rows(database, query):
    async with database.transaction() as session:
        return [tuple(row) for row in await store.execute(session, sa.text(query))]


async def said(database):
    return [row[0]["text"] for row in await rows(database, "SELECT payload FROM outbox WHERE kind = 'say' ORDER BY id")]


async def test_the_same_trouble_reported_at_once_from_everywhere_is_one_incident_and_one_page(database):
    ids = await asyncio.gather(*(report(database, NOON + timedelta(seconds=number)) for number in range(8)))
    assert len(set(ids)) == 1
    assert await rows(database, "SELECT id, level, state FROM incident") == [(ids[0], 0, "open")]
    pages = await rows(database, "SELECT key, payload->>'dedup_key' FROM outbox WHERE lane = 'page'")
    assert pages == [(f"page:{ids[0]}:L1", "opsbot:production:dep_1")]
    assert len(await said(database)) == 1
    assert await rows(database, "SELECT count(*) FROM incident_event") == [(1,)]
    assert await rows(database, "SELECT action, subject FROM audit") == [("incident_opened", ids[0])]


async def test_another_trouble_and_a_later_one_after_the_end_are_incidents_of_their_own(database):
    first = await report(database)
    other = await report(database, key="opsbot:production:dep_2")
    await rows(database, f"UPDATE incident SET state = 'resolved' WHERE id = '{first}' RETURNING 1")
    again = await report(database, NOON + timedelta(hours=1))
    assert len({first, other, again}) == 3
    async with database.transaction() as session:
        assert {one.id for one in await incidents.open_in(session, "production")} == {other, again}
        assert await incidents.open_in(session, "staging") == ()


async def test_what_is_undone_opens_nothing_and_pages_nobody(database):
    async def fail():
        async with database.transaction() as session:
            await incidents.report(session, SERVICES, trouble(), now=NOON)
            raise RuntimeError("the deployment's end was not recorded")

    with pytest.raises(RuntimeError):
        await fail()
    assert await rows(database, "SELECT 1 FROM incident UNION ALL SELECT 1 FROM outbox") == []


async def test_only_an_accepted_page_raises_the_level_and_only_once(database):
    incident = await report(database)
    key = f"page:{incident}:L1"
    await heard(database, key, ok=False, first=True, answer="PagerDuty does not answer")
    assert await rows(database, "SELECT level, fence FROM incident") == [(0, 0)]
    for _ in range(2):
        await heard(database, key, ok=True)
    assert await rows(database, "SELECT level, fence FROM incident") == [(1, 1)]
    timeline = await rows(database, "SELECT kind, source FROM incident_event ORDER BY id")
    assert timeline == [("opened", "bot"), ("paged", "pagerduty")]
    texts = await said(database)
    assert [("accepted the page" in text) for text in texts] == [False, False, True]


async def test_the_first_failure_of_a_page_tells_the_channel_and_the_later_ones_do_not(database):
    incident = await report(database, title="<!everyone> *bad*")
    for first in (True, False, False):
        await heard(database, f"page:{incident}:L1", ok=False, first=first, answer="<!here> down")
    texts = await said(database)
    assert len(texts) == 2
    assert "PagerDuty did not take the page" in texts[1]
    assert texts[1].count("<!channel>") == 1
    assert "<!everyone>" not in texts[1]
    assert "<!here>" not in texts[1]
    loud = await rows(database, "SELECT payload->>'broadcast' FROM outbox WHERE kind = 'say' ORDER BY id")
    assert loud == [("true",), ("true",)]


async def test_a_level_never_goes_down(database):
    incident = await report(database)
    async with database.transaction() as session:
        for level in (1, 3, 2):
            await incident_store.raise_level(session, incident, level)
    assert await rows(database, "SELECT level, fence FROM incident") == [(3, 2)]


async def test_a_p3_pages_nobody_and_says_so(database):
    await report(database, severity="P3")
    assert await rows(database, "SELECT 1 FROM outbox WHERE lane = 'page'") == []
    assert "nobody is paged" in (await said(database))[0]


async def test_a_page_links_the_thread_where_there_is_one_and_waits_for_none(database):
    first = await report(database)
    assert (await _details(database, first))["thread"] == "see the deployment's card in Slack"
    async with database.transaction() as session:
        await outbox.show_card(session, card="dep_2", kind="deployment", channel="C1")
        await store.execute(session, sa.text("UPDATE card SET ts = '1700000000.000100' WHERE id = 'dep_2'"))
    second = await report(database, key="opsbot:production:dep_2", card="dep_2", deployment="dep_2")
    assert (await _details(database, second))["thread"] == "https://acme.slack.com/archives/C1/p1700000000000100"


async def test_what_is_not_a_page_or_not_of_an_incident_is_ignored(database):
    incident = await report(database)
    async with database.transaction() as session:
        for kind, subject in (("say", incident), ("page", "somebody else")):
            sent = Sent(key="x:y:L1", kind=kind, subject=subject, ok=True, first_failure=False, answer="", attempts=1)
            await incidents.page_ended(session, sent)
    assert await rows(database, "SELECT level FROM incident") == [(0,)]


async def _details(database, incident):
    query = f"SELECT payload FROM outbox WHERE lane = 'page' AND subject = '{incident}'"
    return (await rows(database, query))[0][0]["payload"]["custom_details"]
