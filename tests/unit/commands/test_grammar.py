"""The words of a command: forgiving where the meaning is clear, clear where it is not."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import Invalid, OpsError
from commands import grammar

KNOWN = ("production", "staging")


@pytest.mark.parametrize("word", ["v0.1.0", "0.1.0", "v10.20.30", "v1.2.3-rc.1"])
def test_a_version_may_be_written_with_or_without_its_letter(word):
    assert grammar.version(word) == "v" + word.removeprefix("v")


@pytest.mark.parametrize(("word", "meant"), [("v0.1.O", "v0.1.0"), ("v0,1,0", "v0.1.0"), ("v0.l.0", "v0.1.0")])
def test_a_version_with_lookalike_letters_is_refused_with_the_likely_meaning(word, meant):
    with pytest.raises(Invalid, match=f"Did you mean {meant}") as caught:
        grammar.version(word)
    assert "Nothing was changed" in caught.value.sentence


@pytest.mark.parametrize("word", ["latest", "v1", "v1.2", "1.2.3.4", "", "v0.1.0;rm"])
def test_what_is_not_a_version_is_refused(word):
    with pytest.raises(Invalid, match="is not a version"):
        grammar.version(word)


@pytest.mark.parametrize("word", ["prod", "PROD", "production", "Production", "live"])
def test_an_environment_has_its_common_short_names(word):
    assert grammar.environment(word, KNOWN) == "production"


def test_an_unknown_environment_is_refused_with_the_known_ones():
    with pytest.raises(Invalid, match=r"Did you mean staging\? Known: production, staging"):
        grammar.environment("stagin", KNOWN)


def test_flags_may_stand_anywhere_and_hold_values():
    words = grammar.read('--ticket "OPS 1" v0.1.0 --dry-run production', switches=("dry-run",), valued=("ticket",))
    assert words.plain == ("v0.1.0", "production")
    assert words.flags == {"ticket": "OPS 1", "dry-run": ""}


def test_the_long_dash_of_a_phone_is_two_dashes():
    assert grammar.read("v0.1.0 —dry-run", switches=("dry-run",)).flags == {"dry-run": ""}


@pytest.mark.parametrize("text", ["--ticket", "--ticket --dry-run"])
def test_a_flag_without_its_value_is_refused(text):
    with pytest.raises(Invalid, match="--ticket needs a value"):
        grammar.read(text, switches=("dry-run",), valued=("ticket",))


def test_an_unknown_flag_is_refused_with_a_hint():
    with pytest.raises(Invalid, match="Did you mean --dry-run"):
        grammar.read("--dryrun", switches=("dry-run",))


@given(st.text(max_size=300))
def test_no_text_breaks_the_grammar(text):
    acts = (grammar.version, lambda word: grammar.environment(word, KNOWN), grammar.read)
    for act in acts:
        with contextlib.suppress(OpsError):
            act(text)


def test_versions_sort_by_their_numbers_and_a_pre_release_comes_first():
    words = ["v0.10.0", "v0.9.0", "v1.0.0", "v1.0.0-rc.1"]
    assert sorted(words, key=grammar.order) == ["v0.9.0", "v0.10.0", "v1.0.0-rc.1", "v1.0.0"]
