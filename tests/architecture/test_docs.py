"""What README.md and docs/ say about the code is looked up in the code."""

import ast
import re
from pathlib import Path

import pytest

from bot.__main__ import _parser
from commands.rollout.records import State

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
ARCHITECTURE = (ROOT / "docs/architecture.md").read_text()
PROSE = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
# Paths of other repositories, examples and files that later work brings.
FOREIGN = ROOT / "docs/style.md"
IAM = {"elbv2": "elasticloadbalancing"}


def section(text, title):
    """Return the part of a page under one heading of the second level."""
    return text.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def first_cells(table):
    return [line.split("|")[1].strip() for line in table.splitlines() if line.startswith("|")][2:]


def defined(path):
    """Return every function, class, method and constant of a file; methods with their class before them."""
    names = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}.{one.name}" for one in node.body if hasattr(one, "name")}
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {ast.unparse(target) for target in targets}
    return names


def places():
    """Yield each `path.py:name` of the architecture; a path may leave the folder of its neighbours out."""
    return sorted(set(re.findall(r"([\w/]+\.py):([\w.]+\w)", ARCHITECTURE)))


def found(path):
    for top in ("", "commands/", "commands/rollout/"):
        if (ROOT / top / path).is_file():
            return ROOT / top / path
    return None


@pytest.mark.parametrize(("path", "name"), places())
def test_every_name_in_the_architecture_exists(path, name):
    file = found(path)
    assert file is not None, path
    assert name in defined(file)


@pytest.mark.parametrize("page", [page for page in PROSE if page != FOREIGN], ids=lambda page: page.name)
def test_every_file_that_a_page_names_exists(page):
    named = re.findall(r"`((?:bot|commands|escalation|migrations|tests|docs)/[\w./]*)`", page.read_text())
    assert [path for path in named if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", PROSE, ids=lambda page: page.name)
def test_every_link_inside_the_project_leads_somewhere(page):
    links = re.findall(r"(?<!!)\[[^\]]+\]\(([^)#]+)\)", page.read_text())
    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []


def test_the_architecture_stays_short():
    assert len(ARCHITECTURE.splitlines()) < 150


def test_the_architecture_names_every_table():
    tables = {name for path in (ROOT / "migrations/versions").glob("*.py") for name in created(path)}
    assert tables == set(re.findall(r"`(\w+)`", " ".join(first_cells(section(ARCHITECTURE, "Where state lives")))))


def created(path):
    return re.findall(r'create_table\(\s*"(\w+)"', path.read_text())


def test_the_readme_explains_every_state():
    assert first_cells(section(README, "States")) == [str(state) for state in State]


def test_the_readme_names_every_action_that_the_clients_call():
    asked = set()
    for path in (ROOT / "bot/clients").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in {"self._aws.call", "self._aws.pages"}:
                service, operation = (ast.literal_eval(argument) for argument in node.args[:2])
                words = "".join(word.capitalize() for word in operation.split("_"))
                asked.add(f"{IAM.get(service, service)}:{words}")
    named = set(re.findall(r"`([a-z-]+:[A-Z]\w+)`", README))
    assert named - asked == {"ecs:TagResource", "iam:PassRole"}
    assert asked <= named


def test_the_readme_names_every_endpoint():
    routes = re.findall(r'router\.add_(\w+)\("([^"]+)"', (ROOT / "bot/web.py").read_text())
    assert {f"`{verb.upper()} {path}`" for verb, path in routes} == set(first_cells(section(README, "Endpoints")))


def test_the_readme_names_no_command_of_the_program_that_is_not_there():
    known = set(_parser()._subparsers._group_actions[0].choices)
    assert set(re.findall(r"`opsbot (\w+)", README)) - {"run"} <= known


def test_the_targets_of_make_are_those_the_readme_names():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    assert set(re.findall(r"`make ([a-z]+)`", README)) <= targets


def test_the_example_files_are_named_where_somebody_looks_for_them():
    assert "(.env.example)" in README
    assert "(opsbot.example.toml)" in README
