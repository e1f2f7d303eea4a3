"""The reference is written from the definitions in the papers, not from our code."""

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.answer_metrics import best_over_golds, exact_match, f1, normalise_answer
from tests.eval.official import exact_of, f1_of, words

WORDS = st.sampled_from(
    ["a", "an", "the", "The", "A.", "theatre", "33", "3.6", "U.S.", "canal", "Canal", "“canal”", "b-a", "é", "İ", "…"]
)  # fmt: skip
TEXTS = st.one_of(
    st.lists(st.one_of(WORDS, st.sampled_from([" ", "\n", "\u00a0", "-", "'", "_"])), max_size=8).map("".join),
    st.lists(WORDS, max_size=6).map(" ".join),
    st.text("aAnNthe.33 -_é\t", max_size=12),
)


@given(TEXTS)
def test_normalising_agrees_with_the_reference(text: str) -> None:
    assert normalise_answer(text) == " ".join(words(text))


@given(TEXTS, TEXTS, st.sampled_from([1, 2]))
def test_scores_agree_with_the_reference(one: str, other: str, version: int) -> None:
    assert f1(one, other, version=version) == pytest.approx(f1_of(one, other, version))
    assert exact_match(one, other) == exact_of(one, other)


@pytest.mark.parametrize(
    ("text", "normalised"),
    [
        ("The Suez Canal", "suez canal"),
        ("  a\tman,  an\nape ", "man ape"),
        ("U.S.", "us"),
        ("$3.6 million", "36 million"),
        ("the-man", "theman"),  # punctuation goes first: what was hyphenated is no article any more
        ("a.", ""),
        ("A", ""),
        ("theatre another", "theatre another"),
        ("don't", "dont"),
        ("“the” end", "“ ” end"),  # only ASCII punctuation is punctuation
        ("Erdoğan", "erdoğan"),
        ("the the the", ""),
        ("", ""),
    ],
)
def test_normalised_texts(text: str, normalised: str) -> None:
    assert normalise_answer(text) == normalised


@pytest.mark.parametrize(
    ("given_text", "gold", "em", "f1_v1", "f1_v2"),
    [
        ("33", "33", 1.0, 1.0, 1.0),
        ("The 33.", "33", 1.0, 1.0, 1.0),
        ("33", "34", 0.0, 0.0, 0.0),
        ("at least 33", "33", 0.0, 0.5, 0.5),  # precision 1/3, recall 1
        ("33", "at least 33 soldiers", 0.0, 0.4, 0.4),  # precision 1, recall 1/4
        ("Suez Canal Suez", "Suez Canal", 0.0, 0.8, 0.8),  # a bag: the second Suez finds no partner
        ("Canal Suez", "Suez Canal", 0.0, 1.0, 1.0),
        ("b b", "b b b", 0.0, 0.8, 0.8),
        ("", "33", 0.0, 0.0, 0.0),
        ("33", "", 0.0, 0.0, 0.0),
        ("", "", 1.0, 0.0, 1.0),
        ("the", "A", 1.0, 0.0, 1.0),  # both empty once normalised
        ("the", "33", 0.0, 0.0, 0.0),
    ],
)
def test_scores_of_one_gold(given_text: str, gold: str, em: float, f1_v1: float, f1_v2: float) -> None:
    assert exact_match(given_text, gold) == em
    assert f1(given_text, gold, version=1) == pytest.approx(f1_v1)
    assert f1(given_text, gold, version=2) == pytest.approx(f1_v2)
    assert f1(given_text, gold) == f1(given_text, gold, version=2)


@pytest.mark.parametrize(
    ("given_text", "golds", "em", "best_f1"),
    [
        ("33", ["at least 33", "33"], 1.0, 1.0),
        ("33", ["34", "at least 33"], 0.0, 0.5),
        ("", [], 1.0, 1.0),  # unanswerable, and not answered
        ("33", [], 0.0, 0.0),  # unanswerable, and answered all the same
        ("", ["33"], 0.0, 0.0),  # answerable, and not answered
        ("", ["A", "33"], 0.0, 0.0),  # a gold that normalises to nothing does not count
        ("33", ["the", "33"], 1.0, 1.0),
        ("", ["A"], 1.0, 1.0),  # no gold is left: scored as unanswerable
        ("33", ["A", "."], 0.0, 0.0),
    ],
)
def test_scores_of_several_golds(given_text: str, golds: list[str], em: float, best_f1: float) -> None:
    assert best_over_golds(exact_match, given_text, golds) == em
    assert best_over_golds(f1, given_text, golds) == pytest.approx(best_f1)


@given(TEXTS, st.lists(TEXTS, max_size=4))
def test_the_best_gold_is_the_v2_script_s(given_text: str, golds: list[str]) -> None:
    counting = [gold for gold in golds if words(gold)] or [""]
    expected = max(f1_of(given_text, gold, 2) for gold in counting)
    assert best_over_golds(partial(f1, version=2), given_text, golds) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("given_text", "golds", "em", "best_f1"),
    [
        ("33", ["34", "at least 33"], 0.0, 0.5),
        ("the", ["A", "33"], 1.0, 0.0),  # every gold counts, and nothing equals nothing, but shares no word
        (".", ["."], 1.0, 0.0),
        ("", ["33"], 0.0, 0.0),
        ("33", ["."], 0.0, 0.0),
    ],
)
def test_the_v1_script_counts_golds_that_normalise_to_nothing(
    given_text: str, golds: list[str], em: float, best_f1: float
) -> None:
    assert best_over_golds(exact_match, given_text, golds, version=1) == em
    assert best_over_golds(partial(f1, version=1), given_text, golds, version=1) == pytest.approx(best_f1)


@given(TEXTS, st.lists(TEXTS, min_size=1, max_size=4))
def test_the_best_gold_is_the_v1_script_s(given_text: str, golds: list[str]) -> None:
    expected_em = max(exact_of(given_text, gold) for gold in golds)
    expected_f1 = max(f1_of(given_text, gold, 1) for gold in golds)
    assert best_over_golds(exact_match, given_text, golds, version=1) == expected_em
    assert best_over_golds(partial(f1, version=1), given_text, golds, version=1) == pytest.approx(expected_f1)
