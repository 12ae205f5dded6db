"""The command line. Exit status: 0 done, 1 refused or failed, 2 usage (a wrong command, a missing or wrong setting)."""

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence

from bot import log, settings
from bot.errors import Misconfigured, OpsError

DONE, FAILED, USAGE = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status."""
    given = _parser().parse_args(arguments)
    try:
        return int(given.act(given))
    except Misconfigured as error:
        print(f"opsbot: {error.sentence}", file=sys.stderr)
        return USAGE
    except OpsError as error:
        print(f"opsbot: {error.sentence}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="opsbot", description="Runs a production runbook from Slack.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for role, what in (
        ("serve", "everything in one process: Slack, HTTP and the worker"),
        ("web", "the half that listens: Slack and HTTP"),
        ("work", "the half that works: workflows and outgoing messages"),
    ):
        commands.add_parser(role, help=what, description=what).set_defaults(act=_serve, role=role)
    sandbox = commands.add_parser("sandbox", help="a whole world on this machine, with no account anywhere")
    sandbox.add_argument("--port", type=int, default=8700, help="of the page; 0 is any free one (default 8700)")
    sandbox.add_argument("--speed", type=float, default=10.0, help="how much faster than life (default 10)")
    sandbox.add_argument("--play", metavar="STORY", help="play a story without the page; `list` lists them")
    sandbox.set_defaults(act=_sandbox)
    doctor = commands.add_parser("doctor", help="print the settings, secrets masked, and test every address")
    doctor.set_defaults(act=_doctor)
    migrate = commands.add_parser("migrate", help="bring the bot's own tables to this version")
    migrate.set_defaults(act=_migrate)
    manifest = commands.add_parser("manifest", help="print the manifest of the Slack app")
    manifest.add_argument("--http", metavar="URL", help="public address of the bot, for HTTP instead of Socket Mode")
    manifest.set_defaults(act=_manifest)
    return parser


def _load() -> settings.Settings:
    loaded = settings.load()
    hidden = (getattr(loaded, name) for name in type(loaded).model_fields)
    secrets = [value.get_secret_value() for value in hidden if hasattr(value, "get_secret_value")]
    log.configure(loaded.log_level, loaded.log_format, secrets)
    return loaded


# The imports below stand where they are used: `opsbot manifest` needs no AWS, and `--help` nothing at all.


def _serve(given: argparse.Namespace) -> int:
    loaded = _load()
    if loaded.slack_bot_token is None:
        # Said before a second is spent on importing the rest.
        raise Misconfigured(
            "Slack is not configured: set SLACK_BOT_TOKEN with SLACK_APP_TOKEN (Socket Mode) or SLACK_SIGNING_SECRET "
            "(HTTP). `opsbot manifest` prints the app to create; `opsbot sandbox` needs no Slack at all"
        )
    from bot import app  # noqa: PLC0415

    return asyncio.run(app.run(loaded, given.role))


def _sandbox(given: argparse.Namespace) -> int:
    from bot.sandbox import run  # noqa: PLC0415

    return int(run.main(given) or DONE)


def _doctor(_given: argparse.Namespace) -> int:
    loaded = _load()
    from bot import doctor  # noqa: PLC0415

    return DONE if asyncio.run(doctor.examine(loaded, print)) else FAILED


def _migrate(_given: argparse.Namespace) -> int:
    loaded = _load()
    from bot import app, schema  # noqa: PLC0415

    async def migrate() -> None:
        async with app.open_database(loaded) as database:
            await schema.upgrade(database)

    asyncio.run(migrate())
    print(f"The bot's tables are at revision {schema.head()}.")
    return DONE


def _manifest(given: argparse.Namespace) -> int:
    from bot.slack.manifest import manifest  # noqa: PLC0415
    from commands.registry import COMMANDS  # noqa: PLC0415

    print(json.dumps(manifest(COMMANDS, http_url=given.http), indent=2))
    return DONE


if __name__ == "__main__":
    sys.exit(main())
