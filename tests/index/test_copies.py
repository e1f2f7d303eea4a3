"""Copies: what is one and what is not, and bands that find them; on texts of the seeds."""

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.copies import BAND_ROWS, LEAST_WORDS, N_BANDS, Wording, distinct
from tests.index.parts import difficult_texts
from tests.index.seed_texts import seed

REPORT = (
    "At least 33 Turkish soldiers were killed in an air strike on Thursday evening, the governor of Hatay said, "
    "and thirty-six were wounded. The convoy had left Idlib at 17:40. Mr Akar said that Syria did answer, "
    "and that repairs at -3 °C would cost $5m, or 3.5% of the budget of the province for this year."
)
LITTLE_DIFFERENT = {
    "place line": "ANKARA (Agency) - " + REPORT,
    "another word": REPORT.replace("evening", "night"),
    "a word less": REPORT.replace("for this year", "this year"),
    "breaks": REPORT.replace(". ", ".\n\n"),
    "punctuation": REPORT.replace(",", " –").replace("(", ""),
    "case": REPORT.replace("The convoy", "the convoy").replace("province", "Province"),
}
OTHERWISE = {
    "number": ("33", "34"),
    "number in words": ("thirty-six", "thirty-nine"),
    "time": ("17:40", "17:45"),
    "decimal point": ("3.5%", "35%"),
    "currency": ("$5m", "£5m"),
    "sign": ("-3 °C", "3 °C"),
    "negation": ("did answer", "did not answer"),
    "negation, short": ("did answer", "didn’t answer"),
    "name": ("Akar", "Erdoğan"),
    "day": ("Thursday", "Friday"),
    "names exchanged": ("Idlib at 17:40. Mr Akar said that Syria", "Syria at 17:40. Mr Akar said that Idlib"),
    "number added": ("wounded", "wounded, 5 badly"),
}


@pytest.mark.parametrize("name", LITTLE_DIFFERENT)
def test_nearly_the_same_words_are_a_copy_and_share_a_band(name: str) -> None:
    first, second = Wording.of(REPORT), Wording.of(LITTLE_DIFFERENT[name])
    assert first.is_copy_of(second)
    assert second.is_copy_of(first)
    assert set(first.bands()) & set(second.bands())


@pytest.mark.parametrize("name", OTHERWISE)
def test_another_fact_is_no_copy(name: str) -> None:
    old, new = OTHERWISE[name]
    changed = REPORT.replace(old, new)
    assert changed != REPORT
    first, second = Wording.of(REPORT), Wording.of(changed)
    assert not first.is_copy_of(second)
    assert not second.is_copy_of(first)


def test_another_number_shares_no_band() -> None:
    assert not set(Wording.of(REPORT).bands()) & set(Wording.of(REPORT.replace("33", "34")).bands())


@pytest.mark.parametrize(
    "rest", ["and the voters and officials wait in the rain.", "and all of them wait in the rain."]
)
def test_a_capital_word_that_is_also_written_small_is_no_name(rest: str) -> None:
    text = f"Voters stand in line at the polling stations of the capital from early morning, {rest}"
    changed = text.replace("Voters", "Officials")
    assert Wording.of(text).is_copy_of(Wording.of(changed)) == ("voters" in rest)


@pytest.mark.parametrize("n_changed", [0, 2, 8, 20, 60])
def test_likeness_is_jaccard_of_runs_of_five_words(n_changed: int) -> None:
    words = [f"{chr(97 + i % 26)}{chr(97 + i // 26)}word" for i in range(104)]
    first, second = Wording.of(" ".join(words)), Wording.of(" ".join([*words[: 104 - n_changed], *["x"] * n_changed]))
    n_runs = 104 - 4
    n_shared = n_runs - n_changed
    n_other = min(n_changed, 5) if n_changed else 0  # "... x", "... x x", ..., and "x x x x x" once
    assert len(first.shingles & second.shingles) == n_shared
    assert first.is_copy_of(second) == (n_shared / (n_runs + n_other) >= 0.8)


@pytest.mark.parametrize("n_words", range(LEAST_WORDS + 2))
def test_a_text_of_few_words_is_a_copy_of_nothing(n_words: int) -> None:
    text = " ".join(["by", "our", "own", "correspondent", "in", "the", "old", "town", "of", "bern"][:n_words])
    wording = Wording.of(text)
    assert wording.is_copy_of(Wording.of(text)) == (n_words >= LEAST_WORDS)
    assert len(wording.bands()) == (N_BANDS if n_words >= LEAST_WORDS else 0)


def test_bands_of_a_text_are_these_for_ever() -> None:
    """They are stored: if this fails, the format of the Library has changed."""
    assert Wording.of(REPORT).bands() == [
        7308644794860341392,
        9086343836861114388,
        1268198300157471896,
        4813652218838367911,
        5076320881675431247,
        4879720093652174214,
        2495443787518819563,
        1549551388773954896,
    ]


@given(text=difficult_texts())
def test_any_text_is_a_copy_of_itself_unless_it_is_short(text: str) -> None:
    wording = Wording.of(text)
    assert wording.is_copy_of(Wording.of(text)) == (len(wording.words) >= LEAST_WORDS)
    assert all(0 <= band < 2**63 for band in wording.bands())


@given(first=difficult_texts(), second=difficult_texts(), common=difficult_texts())
def test_being_a_copy_is_mutual_and_means_equal_facts(first: str, second: str, common: str) -> None:
    one, other = Wording.of(common + first), Wording.of(common + second)
    assert one.is_copy_of(other) == other.is_copy_of(one)
    assert not one.is_copy_of(other) or one.facts == other.facts


@given(blanks=st.lists(st.sampled_from([" ", "\n", "\n\n", ", ", " – ", ". ", "\u00a0", ' "']), min_size=1))
def test_bands_do_not_see_punctuation_or_blanks(blanks: list[str]) -> None:
    words = Wording.of(seed("idlib-airstrike-2020-02-28").text).tokens
    text = "".join(word + blanks[i % len(blanks)] for i, word in enumerate(words))
    assert Wording.of(text).tokens == words
    assert Wording.of(text.upper()).bands() == Wording.of(" ".join(words).upper()).bands()
    assert Wording.of(text).bands() == Wording.of(" ".join(words)).bands()


def test_as_many_bands_are_shared_as_minhash_promises() -> None:
    """Of eight bands of four rows, eight times the fourth power of the Jaccard similarity on average."""
    rng = np.random.default_rng(0)
    words = [word for word in Wording.of(seed("thai-cave-all-out-2018-07-10").text).words if word.isalpha()]
    words = [word for word in words if not Wording(tokens=[word], words=[word]).facts]
    promised, found = 0.0, 0
    for _ in range(1000):
        kept, n_new = rng.choice(words, 120), rng.integers(1, 20)
        first, second = (Wording.of(" ".join([*kept, *rng.choice(words, n_new)])) for _ in range(2))
        n_shared = len(first.shingles & second.shingles)
        jaccard = n_shared / (len(first.shingles) + len(second.shingles) - n_shared)
        promised += N_BANDS * jaccard**BAND_ROWS
        found += len(set(first.bands()) & set(second.bands()))
    assert found == pytest.approx(promised, rel=0.02)


def slow_distinct(ranking: list[tuple[int, float]], families: Mapping[int, int]) -> list[tuple[int, float]]:
    """Each passage beside every one before it."""
    return [
        (key, score)
        for place, (key, score) in enumerate(ranking)
        if not any(
            key in families and other in families and families[key] == families[other] for other, _ in ranking[:place]
        )
    ]


@given(
    keys=st.lists(st.integers(0, 20), unique=True),
    families=st.dictionaries(st.integers(0, 20), st.integers(0, 3)),
)
def test_the_first_of_each_family_stays(keys: list[int], families: dict[int, int]) -> None:
    ranking = [(key, 1.0 - place / 100) for place, key in enumerate(keys)]
    found = distinct(ranking, families)
    assert found == slow_distinct(ranking, families)
    assert distinct(found, families) == found
    assert distinct(ranking, {}) == ranking
