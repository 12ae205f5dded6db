"""Every verdict survives what a durable engine and a process boundary do to an exception."""

import copy
import pickle

import pytest

from bot import durable, errors
from bot.errors import OpsError

SENTENCE = "The image v9 is not there; push it first."
FACTS = {"retry_after": 1.5, "repository": "storage", "none": None}


def family(kind=OpsError):
    """Yield a class of errors and everything below it."""
    yield kind
    for child in kind.__subclasses__():
        yield from family(child)


@pytest.mark.parametrize("kind", list(family()), ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("through", [lambda error: pickle.loads(pickle.dumps(error)), copy.copy, copy.deepcopy])
def test_an_error_keeps_class_sentence_and_facts(kind, through):
    again = through(kind(SENTENCE, **FACTS))
    assert type(again) is kind
    assert (again.sentence, str(again), again.facts, again.code) == (SENTENCE, SENTENCE, FACTS, kind.code)


@pytest.mark.parametrize("kind", list(family()), ids=lambda kind: kind.__name__)
def test_an_error_that_a_step_remembers_comes_back_as_itself(kind):
    again = durable._revived(durable._remembered(kind(SENTENCE, **FACTS)))
    assert type(again) is kind
    assert (again.sentence, again.facts) == (SENTENCE, FACTS)


def test_every_error_lives_in_one_module_because_steps_remember_only_its_name():
    assert {kind.__module__ for kind in family()} == {errors.__name__}


def test_every_error_has_a_code_of_its_own():
    codes = [kind.code for kind in family()]
    assert len(set(codes)) == len(codes)
