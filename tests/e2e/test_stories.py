"""Every story of `opsbot sandbox --play`, as the command that people type: the whole world and the bot as processes."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from bot.__main__ import main
from bot.sandbox.stories import STORIES

SPEED = 120
PATIENCE = 150
LANES = 2  # a sandbox keeps about one core busy


@dataclass(frozen=True, kw_only=True)
class Played:
    """How a command ended."""

    status: int
    output: str
    errors: str

    @property
    def last(self):
        """The last line as JSON."""
        return json.loads(self.output.splitlines()[-1])


def sandbox(*arguments: str) -> Played:
    done = subprocess.run(
        [sys.executable, "-m", "bot", "sandbox", "--port", "0", *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    return Played(status=done.returncode, output=done.stdout, errors=done.stderr)


@pytest.fixture(scope="module")
def played(request):
    """The stories that this session runs, two at a time; a parallel pytest has its lanes already."""
    parallel = "PYTEST_XDIST_WORKER" in os.environ
    names = [item.callspec.params["story"] for item in request.session.items if "story" in _parameters(item)]
    with ThreadPoolExecutor(1 if parallel else LANES) as lanes:
        started: dict[str, Future[Played]] = {}

        def play(name):
            for one in [name] if parallel else names:
                if one not in started:
                    started[one] = lanes.submit(sandbox, "--play", one, "--speed", str(SPEED))
            return started[name].result(timeout=PATIENCE * len(names))

        yield play
        for waiting in started.values():
            waiting.cancel()


def _parameters(item) -> Mapping[str, object]:
    return item.callspec.params if hasattr(item, "callspec") else {}


@pytest.mark.parametrize("story", STORIES)
def test_the_story_ends_as_it_should(played, story):
    """The world starts, the people act, what must be seen is seen, nothing happens twice, everything stops."""
    told = played(story)
    assert told.status == 0, told.output[-6000:] + told.errors[-2000:]
    assert told.last["story"] == story
    assert told.last["ok"] is True
    assert told.last["seconds"] < 60
    assert "problem" not in told.last
    assert told.errors == ""


@pytest.mark.parametrize("story", ["deploy"])
def test_a_transcript_says_who_did_what_and_when_without_escapes(played, story):
    lines = played(story).output.splitlines()[:-1]
    assert max(len(line) for line in lines) <= 132
    assert any("jane       types      /deploy v0.1.0 production" in line for line in lines)
    assert any("to jane    You asked for this; someone else" in line for line in lines)
    assert any("aws        call       ModifyRule" in line for line in lines)
    assert not any(sign in line for line in lines for sign in ("<!", "&lt;", ":white_check_mark:"))


@pytest.mark.parametrize(
    ("story", "facts"),
    [
        ("deploy", {"weight_writes": 1, "pages": 0}),
        ("bad-release", {"weight_writes": 2, "pages": 1}),
        ("never-healthy", {"weight_writes": 0, "pages": 1}),
        ("bot-killed", {"weight_writes": 1, "pages": 0}),
    ],
)
def test_the_last_line_counts_what_reached_the_world(played, story, facts):
    assert facts.items() <= played(story).last.items()


def test_the_list_names_every_story_and_starts_nothing():
    listed = sandbox("--play", "list")
    assert listed.status == 0
    assert [line.split()[0] for line in listed.output.splitlines()] == list(STORIES)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--play", "no-such-story"), "There is no story no-such-story"),
        (("--speed", "0"), "--speed is 1 to 240"),
        (("--speed", "-5", "--play", "deploy"), "--speed is 1 to 240"),
        (("--speed", "9999"), "--speed is 1 to 240"),
        (("--speed", "nan"), "--speed is 1 to 240"),
    ],
)
def test_what_cannot_be_played_is_refused_in_one_clear_line(arguments, sentence, capsys):
    assert main(["sandbox", "--port", "0", *arguments]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert sentence in said.err
