"""The names and orders that runs in flight depend on, compared with the snapshot in durable_names.json.

Workflow names, step names, the order of waits and steps in each function, the steps of a plan and the fields of stored
records are data in production: a run that was started by the old code is continued by the new one.
"""

import ast
import dataclasses
import importlib
import json
from datetime import timedelta
from pathlib import Path

import pytest

from bot import durable
from bot.settings import Durations
from commands import registry
from commands.rollout import names, plans
from commands.rollout.records import Step
from tests.builders import side

ROOT = Path(__file__).parents[2]
SNAPSHOT = Path(__file__).with_name("durable_names.json")
RECORDS = ("commands.rollout.records", "commands.approval.records", "commands.checks", "escalation.records")
# The modules whose code runs inside the workflow, between the steps.
COURSE = tuple(ROOT / "commands/rollout" / name for name in ("workflow.py", "course.py", "stages.py"))
# Methods of Course whose argument at this place is the function that runs as a step.
RUNNERS = {"do": 1, "tell": 0, "attempt": 0}
WHY = """
{what} differ from tests/architecture/durable_names.json.
Runs in flight were recorded under the old ones: DBOS finds their steps by name and in order, and fails or strands them.
Released: keep the old names and orders, or give the changed workflow a new name and say so in docs/decisions/.
Not yet released: write the snapshot anew with `.venv/bin/python -m tests.architecture.test_durable_names`.
"""


def awaited(function):
    """Yield what a function awaits, in the order of the source: steps, waits, and functions that contain them."""
    found = [
        node.value for node in ast.walk(function) if isinstance(node, ast.Await) and isinstance(node.value, ast.Call)
    ]
    for call in sorted(found, key=lambda node: (node.lineno, node.col_offset)):
        name = ast.unparse(call.func)
        verb = name.rpartition(".")[2]
        acted = f" {ast.unparse(call.args[RUNNERS[verb]]).rpartition('.')[2]}" if verb in RUNNERS else ""
        yield name + acted


def orders():
    """Return what each function of the course awaits."""
    found = {}
    for path in COURSE:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.AsyncFunctionDef):
                found[f"{path.stem}.{node.name}"] = list(awaited(node))
    return {name: waits for name, waits in sorted(found.items()) if waits}


def step_names():
    """Return the names under which DBOS records steps."""
    return sorted(names.STEPS.values())


def plan_of(strategy):
    made = strategy(Durations(), idle=side("green"), healthy_after=timedelta(0))
    return [str(item.step) for item in made]


def fields():
    found = {}
    for name in RECORDS:
        for value in vars(importlib.import_module(name)).values():
            if isinstance(value, type) and value.__module__ == name and dataclasses.is_dataclass(value):
                found[f"{name}.{value.__name__}"] = [field.name for field in dataclasses.fields(value)]
    return found


def current():
    return {
        "engine": {
            "application": durable.APPLICATION,
            "version": durable.VERSION,
            "queue": durable.QUEUE,
            "topic": durable.TOPIC,
        },
        "workflows": [one.dbos_function_name for one in registry.WORKFLOWS],
        "steps": step_names(),
        "plans": {"blue_green": plan_of(plans.blue_green)},
        "stages": sorted(str(step) for step in Step),
        "orders": orders(),
        "records": fields(),
    }


@pytest.fixture(scope="module")
def recorded():
    return json.loads(SNAPSHOT.read_text())


@pytest.mark.parametrize("what", ["engine", "workflows", "steps", "plans", "stages", "orders"])
def test_what_runs_in_flight_depend_on_is_as_recorded(what, recorded):
    assert current()[what] == recorded[what], WHY.format(what=f"The {what}")


def test_stored_records_only_grow_at_their_end_and_with_defaults(recorded):
    now = fields()
    for name, before in recorded["records"].items():
        assert now.get(name, [])[: len(before)] == before, WHY.format(what=f"The fields of {name}")
        module, _, kind = name.rpartition(".")
        added = dataclasses.fields(getattr(importlib.import_module(module), kind))[len(before) :]
        for field in added:
            given = (field.default, field.default_factory)
            assert given != (dataclasses.MISSING, dataclasses.MISSING), f"{name}.{field.name} needs a default"


def test_every_function_that_runs_as_a_step_has_a_name_of_its_own():
    acts = {one.partition(" ")[2] for operations in orders().values() for one in operations} - {"", "act"}
    assert acts == {act.__name__ for act in names.STEPS}
    assert len(set(names.STEPS.values())) == len(names.STEPS)


def test_every_step_of_a_plan_has_its_stage():
    from commands.rollout import stages  # noqa: PLC0415  with it comes the engine

    assert set(stages.STAGES) == set(Step)
    assert set(plan_of(plans.blue_green)) <= {str(step) for step in stages.STAGES}


if __name__ == "__main__":
    SNAPSHOT.write_text(json.dumps(current(), indent=2) + "\n")
