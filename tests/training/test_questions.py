import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.qa.texts import hard_texts
from training.questions import mistyped, terse

SEEDS = st.integers(0, 2**32 - 1)
EMPTY = ["the", "of", "Was", "who", "There", "HOW", "as"]
MEANT = ["many", "soldiers", "Idlib", "Zoë's", "1,000", "$87", "3.6%", "U.S.", "O’Brien", "COVID-19", "東京", "theory"]


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("When was the Treaty of Lausanne signed?", "Treaty Lausanne signed"),
        ("How many soldiers were killed in Idlib?", "number soldiers killed Idlib"),
        ("How much did it cost ?", "amount cost"),
        ("how many people?", "number people"),
        ("In how many countries?", "many countries"),
        ("To whom did Zoë's $87 go, in the U.S.?", "Zoë's $87 go, U.S."),
        ("Who wrote (or edited) Dune", "wrote edited Dune"),
        ("Who resigned?", "Who resigned?"),
        ("How many?", "How many?"),
        ("Where is it?", "Where is it?"),
        ("", ""),
    ],
)
def test_terse_questions(question: str, expected: str) -> None:
    assert terse(question) == expected


@settings(deadline=None)
@given(st.lists(st.sampled_from([*EMPTY, *MEANT]), max_size=8), st.sampled_from(["", "?", " ?", "??"]))
def test_terse_keeps_all_words_but_the_empty_ones(words: list[str], end: str) -> None:
    question = " ".join(words) + end
    content = [word for word in words if word not in EMPTY]
    if len(words) > 1 and words[:2] == ["HOW", "many"]:
        content[0] = "number"
    assert terse(question) == (" ".join(content) if len(content) > 1 else question)


@settings(deadline=None)
@given(st.sampled_from(["", "How many ", "how much "]), hard_texts())
def test_terse_leaves_two_words_or_the_question(start: str, text: str) -> None:
    question = start + text
    short = terse(question)
    assert short == question or len(short.split()) > 1
    assert len(short) <= len(question)


def slips(word: str) -> set[str]:
    """All that one slip makes of a word whose first letter stays: one letter lost, doubled or swapped with the next."""
    places = range(1, len(word) - 1)
    lost = {word[:i] + word[i + 1 :] for i in places}
    doubled = {word[:i] + word[i] + word[i:] for i in places}
    return lost | doubled | {word[:i] + word[i + 1] + word[i] + word[i + 2 :] for i in places}


def test_every_slip_of_every_longer_word_is_made_and_no_other() -> None:
    made = {mistyped("Did Zoë leave Ankara?", np.random.default_rng(seed)) for seed in range(600)}
    leave = {f"Did Zoë {slip} Ankara?" for slip in slips("leave")}
    ankara = {f"Did Zoë leave {slip}?" for slip in slips("Ankara")}
    assert made == leave | ankara


@settings(deadline=None)
@given(hard_texts(), SEEDS)
def test_one_slip_changes_one_word(text: str, seed: int) -> None:
    question = f"{text} Ankara {text}"
    before, after = question.split(), mistyped(question, np.random.default_rng(seed)).split()
    changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert len(changed) <= 1
    for old, new in changed:
        words = re.finditer("[A-Za-z]{5,}", old)
        assert new in {old[: word.start()] + slip + old[word.end() :] for word in words for slip in slips(word.group())}


@settings(deadline=None)
@given(SEEDS)
def test_short_words_stay_and_a_longer_one_does_not(seed: int) -> None:
    for short in ("Is it hot?", "Zoë naïve 東京都庁舎 12345?", ""):
        assert mistyped(short, np.random.default_rng(seed)) == short
    assert mistyped("Is Ankara big?", np.random.default_rng(seed)) != "Is Ankara big?"


def test_a_swap_of_equal_letters_changes_nothing() -> None:
    assert "letter" in {mistyped("letter", np.random.default_rng(seed)) for seed in range(100)}


def test_slips_are_decided_by_the_generator() -> None:
    typed = [mistyped("Who sold Ankara?", np.random.default_rng(seed)) for seed in range(20)]
    assert typed == [mistyped("Who sold Ankara?", np.random.default_rng(seed)) for seed in range(20)]
    assert len(set(typed)) > 5
