"""What `lint-imports` (in `make check`) cannot say: every module has its layer, every vendor package its few files."""

import ast
import functools
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONFIG = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
LAYERS = next(contract["layers"] for contract in CONFIG["contracts"] if contract["type"] == "layers")
LAYERED = {name.strip() for layer in LAYERS for name in layer.replace("|", ":").split(":")}

# Package -> the files or folders that may import it. A path that ends in / is a folder.
VENDORS = {
    "aiohttp": ("bot/web.py", "bot/slack/", "bot/clients/slack.py", "bot/sandbox/"),
    "alembic": ("bot/schema.py", "migrations/"),
    "asyncpg": ("bot/clients/", "bot/sandbox/"),
    "boto3": ("bot/clients/aws.py", "bot/sandbox/"),
    "botocore": ("bot/clients/aws.py", "bot/sandbox/"),
    "dbos": ("bot/durable.py", "commands/rollout/workflow.py"),
    "httpx": ("bot/clients/", "bot/sandbox/"),
    "httpx2": ("bot/clients/pagerduty.py",),
    "moto": ("bot/sandbox/",),
    "pagerduty": ("bot/clients/pagerduty.py",),
    "promql_parser": ("bot/sandbox/",),
    "psycopg": ("bot/clients/embedded.py", "bot/sandbox/"),
    "slack_bolt": ("bot/slack/",),
    # blocks.py checks layouts with slack_sdk's models and talks to nobody: docs/decisions/0006.
    "slack_sdk": ("bot/clients/slack.py", "bot/blocks.py", "bot/sandbox/"),
}
ROOF = ("bot/__main__.py", "bot/app.py", "bot/sandbox/")


def files():
    tops = ("bot", "commands", "escalation", "migrations")
    return sorted(path.relative_to(ROOT) for top in tops for path in (ROOT / top).rglob("*.py"))


@functools.cache
def imported(path):
    names = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            # `from commands import deploy` names a module as much as `import commands.deploy` does.
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def users(package):
    return {path.as_posix() for path in files() if package in {name.split(".")[0] for name in imported(path)}}


@pytest.mark.parametrize("path", [path for path in files() if path.name != "__init__.py"], ids=Path.as_posix)
def test_every_module_has_a_layer(path):
    if path.parts[0] == "migrations":
        return  # Alembic's folder: it imports tables and nothing imports it
    module = ".".join(path.with_suffix("").parts)
    above = {module, *(module.rsplit(".", cut)[0] for cut in range(1, module.count(".") + 1))}
    assert above & LAYERED, f"{module} is in no layer of pyproject.toml: lint-imports does not see it"


@pytest.mark.parametrize("package", sorted(VENDORS))
def test_a_vendor_package_is_imported_only_where_it_belongs(package):
    allowed = VENDORS[package]
    assert {path for path in users(package) if not path.startswith(allowed)} == set()


def test_the_list_of_places_is_not_wider_than_the_code():
    unused = {
        (package, place)
        for package, places in VENDORS.items()
        for place in places
        if not any(path.startswith(place) for path in users(package))
    }
    assert unused == set()


def test_only_the_roof_of_bot_knows_commands_and_escalation():
    knowing = users("commands") | users("escalation")
    assert {path for path in knowing if path.startswith("bot/") and not path.startswith(ROOF)} == set()


def test_command_files_do_not_import_each_other():
    commands = {path.stem for path in files() if path.parent == Path("commands")} - {"__init__"}
    entries = commands - {"registry", "grammar", "checks"}
    for entry in entries:
        others = {f"commands.{other}" for other in entries - {entry}}
        assert not others & imported(Path("commands") / f"{entry}.py")
