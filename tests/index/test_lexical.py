"""The lexical index: scores are BM25 by hand, and no question is query syntax."""

import math
import re
import string
from pathlib import Path

import pytest
import tantivy
from hypothesis import example, given
from hypothesis import strategies as st

from index.errors import LibraryBusyError
from index.lexical import TITLE_WEIGHT, LexicalIndex, PassageWords
from index.records import Moment
from tests.index.parts import difficult_texts, moment

K1, B = 1.2, 0.75
# Words that the stemmer leaves alone, in lower case.
PASSAGES = [
    PassageWords(key=11, title="suez canal", body="ship ship canal east"),
    PassageWords(key=22, title="ship", body="canal"),
    PassageWords(key=33, title="idlib", body="air raid raid in idlib east of the canal"),
    PassageWords(key=44, title="", body="bread"),
]


def index_of(folder: Path, passages: list[PassageWords] = PASSAGES) -> LexicalIndex:
    found = LexicalIndex.create(folder)
    found.update(removed=[], added=passages, moment=moment(1))
    return found


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> LexicalIndex:
    return index_of(tmp_path_factory.mktemp("lexical") / "index")


def bm25(word: str, text: str, texts: list[str]) -> float:
    containing = sum(word in other.split() for other in texts)
    rarity = math.log(1 + (len(texts) - containing + 0.5) / (containing + 0.5))
    mean_length = sum(len(other.split()) for other in texts) / len(texts)
    times, length = text.split().count(word), len(text.split())
    return rarity * times * (K1 + 1) / (times + K1 * (1 - B + B * length / mean_length))


def by_hand(question: str, among: set[int]) -> dict[int, float]:
    scores = {}
    for passage in PASSAGES:
        score = 0.0
        for word in set(question.split()):
            score += bm25(word, passage.body, [other.body for other in PASSAGES])
            score += TITLE_WEIGHT * bm25(word, passage.title, [other.title for other in PASSAGES])
        if score and passage.key in among:
            scores[passage.key] = score
    return scores


words = st.lists(
    st.sampled_from(["ship", "canal", "idlib", "east", "air", "raid", "suez", "bread", "of", "nothing"]), max_size=6
)


@given(words, st.sets(st.sampled_from([11, 22, 33, 44, 99])) | st.none(), st.integers(1, 5))
@example(["ship", "ship", "canal"], None, 4)
def test_scores_are_bm25_by_hand(index: LexicalIndex, asked: list[str], allowed: set[int] | None, k: int) -> None:
    wanted = by_hand(" ".join(asked), {11, 22, 33, 44} if allowed is None else allowed)
    found = index.search(" ".join(asked), k, None if allowed is None else sorted(allowed))
    assert [score for _, score in found] == pytest.approx(sorted(wanted.values(), reverse=True)[:k], rel=1e-4)
    assert dict(found) == pytest.approx({key: wanted[key] for key, _ in found}, rel=1e-4)


SYNTAX = re.compile(f"[{re.escape(string.punctuation)}]")


@given(difficult_texts(12) | st.text(string.punctuation + "canal ship 12"))
@example('title:"ship" +canal -idlib AND (east OR air)^2 [a TO b] {a TO *} ship~2 sh*p /sh.p/ NOT bread \\')
@example("passage_key:11 IN [11 22] *")
def test_any_question_is_its_plain_words(index: LexicalIndex, question: str) -> None:
    assert index.search(question, 4) == index.search(SYNTAX.sub(" ", question), 4)


@pytest.mark.parametrize("question", ["", "?!", "-", " \n", "🇹🇷", "x" * 500])
def test_a_question_without_words_finds_nothing(index: LexicalIndex, question: str) -> None:
    assert index.search(question, 4) == []


def test_a_very_long_question_is_answered(index: LexicalIndex) -> None:
    assert index.search("".join(f"w{n} " for n in range(5000)) + "bread", 4)[0][0] == 44


def test_nothing_is_found_where_nothing_is_asked(index: LexicalIndex) -> None:
    assert index.search("canal", 0) == []
    assert index.search("canal", 4, []) == []


@pytest.mark.parametrize(
    ("question", "body"),
    [
        ("ERDOGAN", "Erdoğan spoke"),
        ("Zoë", "zoe came"),
        ("soldiers killed", "a soldier kills"),
        ("Straße", "STRASSE"),
        ("Москва", "москва"),
        ("18,300", "about 18,300 containers"),
    ],
)
def test_case_accents_and_endings_do_not_matter(tmp_path: Path, question: str, body: str) -> None:
    index = index_of(tmp_path / "x", [PassageWords(key=1, title="", body=body), *PASSAGES])
    assert [key for key, _ in index.search(question, 4)] == [1]


def test_the_same_update_twice_changes_nothing(tmp_path: Path) -> None:
    index = index_of(tmp_path / "x")
    before = dict(index.search("ship canal", 4))
    index.update(removed=[], added=PASSAGES, moment=moment(1))
    assert dict(index.search("ship canal", 4)) == pytest.approx(before)
    assert sorted(index.keys()) == [11, 22, 33, 44]
    assert len(index) == 4


def test_removed_and_replaced_passages_are_found_no_more(tmp_path: Path) -> None:
    index = index_of(tmp_path / "x")
    index.update(removed=[11, 999], added=[PassageWords(key=22, title="", body="new")], moment=moment(5))
    assert index.search("ship", 4) == []
    assert [key for key, _ in index.search("new", 4)] == [22]
    assert index.moment == LexicalIndex.load(tmp_path / "x").moment == moment(5)
    assert sorted(index.keys()) == [22, 33, 44]


def test_what_another_has_written_is_seen_after_reload(tmp_path: Path) -> None:
    one = index_of(tmp_path / "x")
    other = LexicalIndex.load(tmp_path / "x")
    one.update(removed=[11], added=[PassageWords(key=55, title="", body="late")], moment=moment(2))
    other.reload()
    assert (other.moment, [key for key, _ in other.search("late", 4)]) == (moment(2), [55])
    assert sorted(other.keys()) == [22, 33, 44, 55]


def test_a_second_writer_is_told_to_wait_and_nothing_changes(tmp_path: Path) -> None:
    index = index_of(tmp_path / "x")
    writer = tantivy.Index.open(str(tmp_path / "x")).writer(heap_size=32_000_000, num_threads=1)
    with pytest.raises(LibraryBusyError, match=str(tmp_path / "x")):
        index.update(removed=[11], added=[], moment=moment(2))
    assert (index.moment, len(index)) == (moment(1), 4)
    writer.rollback()


def test_creating_empties_the_folder(tmp_path: Path) -> None:
    index_of(tmp_path / "x")
    (tmp_path / "x" / "other").write_text("x", encoding="utf-8")
    index = LexicalIndex.create(tmp_path / "x")
    assert (len(index), index.moment, index.keys()) == (0, Moment(), [])
    assert not (tmp_path / "x" / "other").exists()
