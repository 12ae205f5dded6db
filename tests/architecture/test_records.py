"""Records are frozen, keyword-only and without slots, and come back whole from the JSON that a step stores."""

import dataclasses
import importlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.settings import Durations, Thresholds
from commands.rollout.records import dump, restore

ROOT = Path(__file__).parents[2]
MODULES = ("commands.rollout.records", "commands.approval.records", "commands.checks", "escalation.records")
# What is not a value: the state of a running thing, changed in place by its one owner.
MUTABLE = {
    "bot.app.App": "a running process",
    "bot.durable._Engine": "a running engine",
    "commands.rollout.course.Course": "where a running workflow is; rebuilt by every replay",
}

st.register_type_strategy(float, st.floats(allow_nan=False, allow_infinity=False))
st.register_type_strategy(datetime, st.datetimes(timezones=st.just(UTC)))
st.register_type_strategy(timedelta, st.timedeltas(timedelta(0), timedelta(days=366)))
st.register_type_strategy(
    Durations, st.builds(Durations, hold=st.timedeltas(timedelta(seconds=1), timedelta(days=366)))
)
st.register_type_strategy(Thresholds, st.builds(Thresholds, harm_ticks=st.integers(1, 99)))


def dataclasses_of(name):
    """Return the dataclasses that a module defines."""
    module = importlib.import_module(name)
    found = (value for value in vars(module).values() if dataclasses.is_dataclass(value))
    return [value for value in found if isinstance(value, type) and value.__module__ == name]


def modules():
    """Yield the names of all modules of the product but the sandbox's."""
    for path in sorted(path for top in ("bot", "commands", "escalation") for path in (ROOT / top).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if "sandbox" not in parts and parts[-1] not in {"__init__", "__main__"}:
            yield ".".join(parts)


EVERY = [kind for name in modules() for kind in dataclasses_of(name)]
RECORDS = [kind for name in MODULES for kind in dataclasses_of(name)]


def full_name(kind):
    return f"{kind.__module__}.{kind.__qualname__}"


@pytest.mark.parametrize("kind", EVERY, ids=full_name)
def test_a_dataclass_is_frozen_keyword_only_and_without_slots(kind):
    assert "__slots__" not in vars(kind), "docs/style.md section 6: no slots"
    if full_name(kind) not in MUTABLE:
        assert kind.__dataclass_params__.frozen, "say in MUTABLE why it changes in place"
        assert all(field.kw_only for field in dataclasses.fields(kind))


def test_every_exception_still_exists():
    assert set(MUTABLE) <= {full_name(kind) for kind in EVERY}


@pytest.mark.parametrize("kind", RECORDS, ids=full_name)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_a_record_comes_back_from_its_json(kind, data):
    record = data.draw(st.from_type(kind))
    stored = json.loads(json.dumps(dump(record)))
    assert restore(kind, stored) == record
