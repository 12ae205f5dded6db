"""The shape that docs/style.md asks for: small functions and files, one clock, and `Any` only at the edges."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PRODUCT = ("bot", "commands", "escalation", "migrations")
FUNCTION, FILE = 50, 400

# Every entry is a debt or a limit of a tool; an entry that is not needed any more fails the test.
LONG_FILES: dict[str, str] = {}
LONG_FUNCTIONS: dict[str, str] = {}
CLOCK = {
    "bot/app.py": "owns the clock: everybody else is given `now`",
    "bot/durable.py": "the loop's clock bounds how long a stop waits for steps under way",
    "bot/lease.py": "a monotonic clock that no NTP step moves decides whether this process may go on",
    "bot/people.py": "the default of an argument: the age of a copy in memory",
    "bot/schema.py": "bounds how long a start waits for somebody else's migration",
    "bot/sender.py": "the loop's clock ends a pause that Slack asked for",
    "bot/store.py": "a monotonic clock tells how long a connection lay in the pool",
}
CLOCK_FOLDERS = ("bot/clients/", "bot/sandbox/", "bot/slack/")
ANY = {
    "bot/audit.py": "the JSON column of a row",
    "bot/errors.py": "the shape of __reduce__",
    "bot/outbox.py": "the JSON column of a row",
    "bot/settings.py": "overrides of any field, which pydantic checks",
    "bot/slack/payloads.py": "docs/style.md section 8",
    "bot/store.py": "keyword arguments of SQLAlchemy's columns and its rows",
    "commands/rollout/records.py": "JSON values, which mypy cannot name without recursion",
}
ANY_FOLDERS = ("bot/clients/", "bot/sandbox/")
CLOCKS = ("datetime.now", "datetime.utcnow", "date.today", "time.time", "time.monotonic", "time.perf_counter")


def files(*tops):
    return sorted(path for top in tops for path in (ROOT / top).rglob("*.py"))


def name(path):
    return path.relative_to(ROOT).as_posix()


def nodes(path):
    return ast.walk(ast.parse(path.read_text()))


def long_functions(path):
    for node in nodes(path):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION:
                yield f"{node.name} has {lines} lines"


def reads_clock(node):
    if not isinstance(node, ast.Attribute):
        return False
    text = ast.unparse(node)
    return text.endswith(CLOCKS) or text.endswith("_loop().time")


def uses_any(path):
    return any(isinstance(node, ast.Name) and node.id == "Any" for node in nodes(path))


@pytest.mark.parametrize("path", files(*PRODUCT, "tests"), ids=name)
def test_files_and_functions_are_short(path):
    lines = len(path.read_text().splitlines())
    assert lines <= FILE or name(path) in LONG_FILES, f"{lines} lines: split it by what it decides"
    found = list(long_functions(path))
    assert not found or name(path) in LONG_FUNCTIONS, found


def test_only_the_composition_root_and_the_edges_call_a_clock():
    callers = {name(path) for path in files(*PRODUCT) if any(reads_clock(node) for node in nodes(path))}
    inside = {path for path in callers if not path.startswith(CLOCK_FOLDERS)}
    assert inside == set(CLOCK), "pass `now` (docs/style.md section 5), or write the reason into CLOCK"


def test_any_stays_at_the_edges():
    inside = {name(path) for path in files(*PRODUCT) if uses_any(path) and not name(path).startswith(ANY_FOLDERS)}
    assert inside == set(ANY), "name the type (docs/style.md section 8), or write the reason into ANY"


def test_every_exception_is_still_needed():
    assert {path for path in LONG_FILES if len((ROOT / path).read_text().splitlines()) <= FILE} == set()
    assert {path for path in LONG_FUNCTIONS if not list(long_functions(ROOT / path))} == set()
