"""The whole process: ready within seconds, stops in good order, ends at once when it may not work any more."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from pathlib import Path

import aiohttp
import pytest
import sqlalchemy as sa
from slack_server import SlackServer, ok

from bot import store

EXAMPLE = """
[environments.production]
cluster = "production"
repository = "storage"
listener_rule = "arn:aws:elasticloadbalancing:us-east-1:123456789012:listener-rule/app/a/1/2/3"
url = "http://127.0.0.1:9"
prometheus_url = "http://127.0.0.1:9"
blue = { service = "blue", target_group = "blue", selector = 'color="blue"' }
green = { service = "green", target_group = "green", selector = 'color="green"' }
"""


@pytest.fixture
async def slack():
    server = SlackServer()
    server.answers["auth.test"] = ok(user_id="U0", user="opsbot", team="T", team_id="T1", url="http://t/", bot_id="B1")
    await server.start()
    yield server
    await server.stop()


class Bot:
    """One opsbot process."""

    def __init__(self, process, port):
        self.process = process
        self.url = f"http://127.0.0.1:{port}"

    async def get(self, path):
        async with aiohttp.ClientSession() as client, client.get(self.url + path) as answer:
            return answer.status, await answer.text()

    async def ready(self, seconds=10.0):
        async with asyncio.timeout(seconds):
            while True:
                with contextlib.suppress(aiohttp.ClientError):
                    if (await self.get("/readyz"))[0] == 200:
                        return
                await asyncio.sleep(0.05)

    async def ended(self, seconds=30.0):
        async with asyncio.timeout(seconds):
            return await self.process.wait()


@contextlib.asynccontextmanager
async def opsbot(role, url, slack, tmp_path):
    (tmp_path / "opsbot.toml").write_text(EXAMPLE)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        "PATH": os.defpath,
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "DATABASE_URL": url,
        "SLACK_BOT_TOKEN": "xoxb-test-token",
        "SLACK_APP_TOKEN": "xapp-test-token",
        "SLACK_API_URL": slack.url,
        "PORT": str(port),
        "LOG_FORMAT": "json",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", "-m", "bot", role, env=environment, cwd=tmp_path, stderr=asyncio.subprocess.PIPE
    )
    try:
        yield Bot(process, port)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_a_served_process_is_ready_and_stops_in_good_order(postgres_url, database, slack, tmp_path):
    async with opsbot("serve", postgres_url, slack, tmp_path) as bot:
        await bot.ready()
        assert (await bot.get("/healthz"))[0] == 200
        status, numbers = await bot.get("/metrics")
        assert status == 200
        for name in ("opsbot_build_info", "opsbot_outbox_pending", "opsbot_lease_age_seconds"):
            assert name in numbers
        bot.process.send_signal(signal.SIGTERM)
        assert await bot.ended() == 0
        said = (await bot.process.stderr.read()).decode()
    assert '"opsbot_stopped"' in said
    assert "xoxb-test-token" not in said
    async with database.transaction() as session:
        assert (await store.execute(session, sa.text("SELECT count(*) FROM executor_lease"))).scalar() == 0


async def test_a_process_whose_lease_was_taken_ends_at_once_and_not_with_success(
    postgres_url, database, slack, tmp_path
):
    async with opsbot("work", postgres_url, slack, tmp_path) as bot:
        await bot.ready()
        async with database.transaction() as session:
            await store.execute(session, sa.text("DELETE FROM executor_lease"))
        assert await bot.ended(6) == 1
        assert '"lease_lost"' in (await bot.process.stderr.read()).decode()


async def test_without_slack_it_starts_and_says_that_it_is_not_ready(postgres_url, slack, tmp_path):
    await slack.stop()
    async with opsbot("serve", postgres_url, slack, tmp_path) as bot:
        async with asyncio.timeout(15):
            while True:
                with contextlib.suppress(aiohttp.ClientError):
                    status, body = await bot.get("/readyz")
                    break
                await asyncio.sleep(0.1)
        assert status == 503
        assert '"database": "ready"' in body
        assert "Slack" in body


async def test_the_listening_half_runs_no_workflow(postgres_url, database, slack, tmp_path):
    async with opsbot("web", postgres_url, slack, tmp_path) as bot:
        await bot.ready()
        async with database.transaction() as session:
            assert (await store.execute(session, sa.text("SELECT count(*) FROM executor_lease"))).scalar() == 0
        bot.process.send_signal(signal.SIGINT)
        assert await bot.ended() == 0
