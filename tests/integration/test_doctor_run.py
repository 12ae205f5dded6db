"""The doctor tries every address and says which one is wrong."""

import pytest
from slack_server import SlackServer, no, ok

from bot import doctor
from bot.settings import Settings


@pytest.fixture
async def slack():
    server = SlackServer()
    server.answers["auth.test"] = lambda _: ok(
        user_id="U0", user="o", team="Acme", team_id="T1", url="http://t/", bot_id="B"
    )
    server.answers["conversations.list"] = lambda _: ok(channels=[{"id": "C1", "name": "alerts"}])
    await server.start()
    yield server
    await server.stop()


async def examined(url, slack):
    lines = []
    settings = Settings(
        database_url=url,
        slack_bot_token="xoxb-1",
        slack_app_token="xapp-1",
        slack_api_url=slack.url,
        slack_channel="alerts",
    )
    return await doctor.examine(settings, lines.append), lines[-4:]


async def test_what_is_fine_and_what_is_not_get_one_line_each(postgres_url, slack):
    passed, lines = await examined(postgres_url, slack)
    assert not passed
    assert lines[0].startswith("ok    database: tables at revision")
    assert lines[1] == "ok    slack: Acme at http://t/, channel #alerts is C1"
    assert lines[2].startswith("FAIL  pagerduty: PAGERDUTY_ROUTING_KEY is not set")
    assert lines[3] == "2 of 3 passed"


async def test_a_wrong_token_and_a_database_that_is_away_are_told(slack):
    slack.answers["auth.test"] = lambda _: no("invalid_auth")
    passed, lines = await examined("postgresql://opsbot:x@127.0.0.1:1/opsbot", slack)
    assert not passed
    assert lines[0].startswith("FAIL  database: The bot's database cannot be reached")
    assert "invalid_auth" in lines[1]
