from pathlib import Path

import numpy as np
import pytest

from tests.api.parts import write_squad
from training.negatives import N_NEGATIVES, _any_without, holds, mine

SHIP = (
    "The Ever Given ran aground in the Suez Canal.",
    [("Where did the ship run aground?", "Suez Canal")],
)
DUG = ("The SUEZ CANAL was dug in ten years.", [("How long was the canal dug?", "ten years")])
PERU = ("Peru's capital is Lima.", [("What is Peru's capital?", "Lima")])


@pytest.fixture(autouse=True)
def _offline(cache_dir: Path, exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The embedder of the other tests is there."""
    assert exported.is_dir()
    monkeypatch.setenv("QUOTH_CACHE", str(cache_dir))


def mined(folder: Path, *paragraphs: tuple[str, list[tuple[str, str]]]) -> list[list[int]]:
    """The paragraphs taken for each question, each once, in order."""
    mine(write_squad(folder / "squad.json", paragraphs, version="1.1"), folder / "negatives.npy")
    found = np.load(folder / "negatives.npy")
    assert (found.dtype, found.shape[1]) == (np.int32, N_NEGATIVES)
    return [list(dict.fromkeys(row)) for row in found.tolist()]


def test_what_is_retrieved_and_lacks_the_gold_answer_in_any_case_is_taken_best_first(tmp_path: Path) -> None:
    of_ship, of_dug, of_peru = mined(tmp_path, SHIP, DUG, PERU)
    assert of_ship == [2]  # not its own, nor the one that has the answer in capitals
    assert set(of_dug) == {0, 2}
    assert set(of_peru) == {0, 1}


def test_where_none_was_retrieved_any_paragraph_without_the_answer_is_taken() -> None:
    contexts = ["in lima", "in oslo", "in lima too", "in cairo"]
    assert {_any_without("lima", contexts, seed) for seed in range(50)} == {1, 3}


@pytest.mark.parametrize(
    ("context", "gold", "there"),
    [
        ("i like it", "i", True),
        ("it is fine", "i", False),
        ("(i)", "i", True),
        ("it's $3.6 a day", "$3.6", True),
        ("it's $3.65 a day", "$3.6", False),
    ],
)
def test_an_answer_is_there_as_whole_words(context: str, gold: str, *, there: bool) -> None:
    assert holds(context, gold) is there


def test_a_letter_of_every_paragraph_is_no_answer_of_it(tmp_path: Path) -> None:
    letter = ("Give i, it said.", [("What is the letter?", "i")])
    assert sorted(mined(tmp_path, letter, SHIP, PERU)[0]) == [1, 2]


def test_where_every_paragraph_has_the_answer_there_is_no_negative(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="every paragraph holds the answer 'suez canal'"):
        mined(tmp_path, SHIP, (DUG[0], []))
