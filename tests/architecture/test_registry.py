"""One registry: what Slack is told, what the README says and what cards show is what has a handler, and no more."""

import ast
import importlib
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from bot.contract import Request
from bot.settings import Settings
from bot.slack.manifest import manifest
from commands import registry
from commands.rollout import card
from commands.rollout.records import OPEN_STATES, Outcome, Progress, State, Status
from tests.builders import JANE, NOON, config, deployment

ROOT = Path(__file__).parents[2]
BUTTONS = {action for command in registry.COMMANDS for action in command.buttons}
VIEWS = {view for command in registry.COMMANDS for view in command.views}
MENTIONS = {mention for command in registry.COMMANDS for mention in command.mentions}
# Shown by the Slack surface itself: a form that only says something and cannot be sent.
NOTICES = {"opsbot_notice"}


def readme_forms():
    """Return the forms of commands in the README's table, such as `/deploy status [id]`."""
    part = (ROOT / "README.md").read_text().partition("\n## Commands\n")[2].partition("\n## ")[0]
    return {cell.replace("\\|", "|") for cell in re.findall(r"^\| `([^`]+)` \|", part, flags=re.MULTILINE)}


def test_the_manifest_offers_exactly_the_registered_commands():
    offered = {one["command"] for one in manifest(registry.COMMANDS)["features"]["slash_commands"]}
    assert offered == {command.name for command in registry.COMMANDS}


def test_the_readme_lists_exactly_the_registered_forms():
    forms = {f"{one.name} {form}" for one in registry.COMMANDS for form in one.usage.split(" | ")}
    mentions = {form for form in readme_forms() if form.startswith("@opsbot ")}
    assert {form.split()[1] for form in mentions} == MENTIONS
    assert readme_forms() - mentions - {one.name for one in registry.COMMANDS} == forms


@pytest.mark.parametrize("command", registry.COMMANDS, ids=lambda command: command.name)
def test_examples_and_summary_fit_the_command(command):
    assert all(example.split()[0] == command.name for example in command.examples)
    assert "\n" not in command.summary


def test_every_renderer_and_workflow_has_one_name():
    names = [workflow.dbos_function_name for workflow in registry.WORKFLOWS]
    assert len(set(names)) == len(names)
    assert all(kind for kind in registry.RENDERERS)


def cards():
    """Yield the card of a deployment in every state, moving or not, asked about or not."""
    running = (Progress(step="watch", status=Status.RUNNING, detail="x", started_at=NOON),)
    for state in State:
        over = state not in OPEN_STATES
        outcome = Outcome(state=state, code="x", reason="x") if over else None
        for progress in ((), running):
            for question in ("", "is it well?"):
                given = {"state": state, "outcome": outcome, "progress": progress, "question": question}
                yield card.render(deployment(**given))


def shown_buttons():
    for one in cards():
        for block in one.blocks:
            yield from (element for element in block.get("elements", ()) if element.get("type") == "button")


def test_every_button_of_a_card_has_a_handler_and_every_handler_its_button():
    assert {button["action_id"] for button in shown_buttons()} == BUTTONS


def test_every_danger_button_asks_first():
    for button in shown_buttons():
        if button.get("style") == "danger":
            assert "confirm" in button, button["action_id"]


def test_every_button_names_its_object_for_a_screen_reader():
    assert all(button.get("accessibility_label") for button in shown_buttons())


def calls_of(builder):
    """Yield where the product builds a button or a form: the module and the call."""
    for path in sorted(path for top in ("commands", "escalation") for path in (ROOT / top).rglob("*.py")):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == f"blocks.{builder}":
                yield importlib.import_module(module), node


def named(module, expression):
    """Return the value of a constant, given as `NAME`, `module.NAME` or a literal."""
    return eval(ast.unparse(expression), vars(module))


def test_every_button_and_form_in_the_source_has_a_handler():
    assert {named(module, call.args[1]) for module, call in calls_of("button")} == BUTTONS
    assert {named(module, call.args[0]) for module, call in calls_of("modal")} - NOTICES == VIEWS


def test_every_danger_button_in_the_source_has_a_confirm():
    for module, call in calls_of("button"):
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        if given.get("style") == "'danger'":
            assert given.get("confirm", "None") != "None", f"{module.__name__}:{call.lineno}"


@pytest.mark.parametrize("command", registry.COMMANDS, ids=lambda command: command.name)
async def test_a_bare_command_opens_a_form_that_has_a_handler(command):
    settings = Settings().model_copy(update={"config": config()})
    request = Request(key="k", at=NOON, person=JANE, command=command.name)
    reply = await command.handle(request, SimpleNamespace(settings=settings))
    assert reply.view is not None
    assert reply.view["callback_id"] in command.views
