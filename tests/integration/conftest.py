"""A fake Slack server, our client on it, and the surface between them."""

import pytest
from slack_server import SlackServer
from surface import World

from bot.clients.slack import Slack


@pytest.fixture
async def server():
    server = SlackServer()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def slack(server):
    slack = Slack("xoxb-1", base_url=server.url)
    yield slack
    await slack.close()


@pytest.fixture
async def world(server, slack):
    return World(server, slack)
