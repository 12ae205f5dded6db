"""What opsbot needs around it to be measured alone: a PostgreSQL, a Slack, and settings that name both."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from bot import schema
from bot.clients import embedded
from bot.clients.embedded import Embedded
from bot.sandbox.slack.local import LocalSlack
from bot.slack.manifest import manifest
from bot.store import Database
from commands.registry import COMMANDS

SECRET = "sandbox-signing-secret"  # the local Slack's own
NOWHERE = "http://127.0.0.1:9"
ROLES = '[roles]\ndeployer = ["obs-deployers"]\napprover = ["obs-approvers"]\noncall = ["obs-oncall"]\n'


@dataclass(frozen=True, kw_only=True)
class Ground:
    """A migrated database and a Slack, both running."""

    home: Path
    server: Embedded
    slack: LocalSlack
    url: str

    def variables(self, port: int, names: Iterable[str], *, http: bool) -> dict[str, str]:
        """Return the environment of an opsbot with these environments, over signed HTTP or Socket Mode."""
        config = self.home / "opsbot.toml"
        config.write_text(ROLES + "".join(_environment(name) for name in names))
        way = {"SLACK_SIGNING_SECRET": SECRET} if http else {"SLACK_APP_TOKEN": "xapp-sandbox"}
        return {
            "DATABASE_URL": self.url,
            "OPSBOT_CONFIG": str(config),
            "OPSBOT_HOME": str(self.home),
            "SLACK_BOT_TOKEN": "xoxb-sandbox",
            "SLACK_API_URL": f"{self.slack.url}/api/",
            "PAGERDUTY_ROUTING_KEY": "R" * 32,
            "PAGERDUTY_EVENTS_URL": NOWHERE,
            "AWS_ENDPOINT_URL": NOWHERE,
            "PORT": str(port),
            "LOG_LEVEL": "warning",
            "LOG_FORMAT": "json",
            **way,
        }

    def forget(self) -> None:
        """Make every environment free again; what was deployed is forgotten."""
        tables = "deployment, environment_lease, card, outbox, dbos.workflow_status"
        with psycopg.connect(self.url, connect_timeout=5) as connection:
            connection.execute(f"TRUNCATE {tables} CASCADE".encode())


@asynccontextmanager
async def ground(home: Path) -> AsyncIterator[Ground]:
    """Start the database and the Slack, bring the tables to this version, and stop both on leaving."""
    server = await asyncio.to_thread(embedded.start, home / "postgres")
    slack = LocalSlack(manifest=manifest(COMMANDS))
    try:
        await slack.start()
        url = server.url()
        database = Database(url)
        await schema.upgrade(database)
        await database.close()
        yield Ground(home=home, server=server, slack=slack, url=url)
    finally:
        await slack.close()
        await asyncio.to_thread(server.stop)


def _environment(name: str) -> str:
    return (
        f'[environments.{name}]\ncluster = "c"\nrepository = "storage"\nlistener_rule = "arn:rule/{name}"\n'
        f'url = "{NOWHERE}"\nprometheus_url = "{NOWHERE}"\n'
        + "".join(
            f'{colour} = {{ service = "{colour}", target_group = "{colour}", selector = \'color="{colour}"\' }}\n'
            for colour in ("blue", "green")
        )
    )
