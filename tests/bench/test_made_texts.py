from collections import Counter
from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.made_texts import CHUNK, language_of, made_texts, spelled

TEXTS = ["the sea and the ship.", "the sea", "Zoë saw the ship, the sea and 東京"]


def test_a_language_counts_words_as_they_stand() -> None:
    language = language_of(TEXTS)
    assert list(language.words[:2]) == ["the", "sea"]
    assert set(language.words) == {"the", "sea", "and", "ship.", "Zoë", "saw", "ship,", "東京"}
    assert language.cumulative[:2] == pytest.approx([5 / 15, 8 / 15])
    assert language.cumulative[-1] == pytest.approx(1)
    assert list(language.lengths) == [5, 2, 8]


def test_what_is_unseen_is_the_share_of_terms_seen_once() -> None:
    # Without punctuation "ship" comes twice; "zoë", "saw" and "東京" once.
    assert language_of(TEXTS).unseen == pytest.approx(3 / 15)


def test_an_empty_text_gives_no_length() -> None:
    assert list(language_of(["", "a b", " \n"]).lengths) == [2]


def test_made_texts_have_words_as_often_and_lengths_as_the_real_ones() -> None:
    language = language_of(TEXTS)
    texts = list(chain.from_iterable(made_texts(language, 4000, seed=1)))
    lengths = Counter(len(text.split()) for text in texts)
    assert set(lengths) == {2, 5, 8}
    assert all(1200 < count < 1470 for count in lengths.values())
    words = Counter(word for text in texts for word in text.split())
    total = words.total()
    assert words["the"] / total == pytest.approx(0.8 * 5 / 15, abs=0.01)
    known = set(language.words)
    assert sum(count for word, count in words.items() if word not in known) / total == pytest.approx(0.2, abs=0.01)


def test_new_words_become_rarer() -> None:
    language = language_of(TEXTS)
    texts = list(chain.from_iterable(made_texts(language, 4000, seed=1)))
    words = [word for text in texts for word in text.split() if word not in set(language.words)]
    half = len(words) // 2
    first = len(set(words[:half]))
    assert 0 < len(set(words)) - first < 0.8 * first


def test_fewer_are_the_beginning_of_more() -> None:
    language = language_of(TEXTS)
    more = list(made_texts(language, CHUNK + 3, seed=1))
    assert [len(chunk) for chunk in more] == [CHUNK, 3]
    assert next(made_texts(language, 5, seed=1)) == more[0][:5]
    assert next(made_texts(language, 5, seed=2)) != more[0][:5]


def test_a_language_without_new_words_makes_none() -> None:
    texts = chain.from_iterable(made_texts(language_of(["a b", "b a"]), 100, seed=1))
    assert {word for text in texts for word in text.split()} == {"a", "b"}


@given(st.integers(1, 10**12), st.integers(1, 10**12))
def test_each_number_has_a_word_of_its_own(one: int, other: int) -> None:
    assert spelled(one).isalpha()
    assert (spelled(one) == spelled(other)) == (one == other)


def test_cumulative_never_falls() -> None:
    assert np.all(np.diff(language_of(TEXTS).cumulative) > 0)
