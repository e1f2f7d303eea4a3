"""The lexical index: scores are BM25 by hand, filters hold inside the search, and no question is query syntax."""

import math
import re
import string
from datetime import date, timedelta
from pathlib import Path

import pytest
import tantivy
from hypothesis import example, given
from hypothesis import strategies as st

from index.errors import LibraryBusyError
from index.lexical import STOP_WORDS, LexicalIndex, PassageWords, telling_words, words_of
from index.records import Filters, Moment
from tests.index.parts import difficult_texts, moment

K1, B = 1.2, 0.75
DAY = date(2020, 2, 28)
# Words that the stemmer leaves alone, in lower case.
PASSAGES = [
    PassageWords(key=11, title="suez canal", body="ship ship canal east", published=DAY, source="The Herald"),
    PassageWords(key=22, title="ship", body="canal", published=DAY + timedelta(1), source="the herald"),
    PassageWords(key=33, title="idlib", body="air raid raid in idlib east of the canal", published=DAY + timedelta(2)),
    PassageWords(key=44, title="", body="bread", source="The Herald"),
]


def index_of(folder: Path, passages: list[PassageWords] = PASSAGES) -> LexicalIndex:
    found = LexicalIndex.create(folder)
    found.update(removed=[], added=passages, moment=moment(1))
    return found


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> LexicalIndex:
    return index_of(tmp_path_factory.mktemp("lexical") / "index")


def rarity(word: str, texts: list[str]) -> float:
    containing = sum(word in other.split() for other in texts)
    return math.log(1 + (len(texts) - containing + 0.5) / (containing + 0.5))


def bm25(word: str, text: str, texts: list[str]) -> float:
    mean_length = sum(len(other.split()) for other in texts) / len(texts)
    times, length = text.split().count(word), len(text.split())
    return rarity(word, texts) * times * (K1 + 1) / (times + K1 * (1 - B + B * length / mean_length))


def passes(passage: PassageWords, filters: Filters) -> bool:
    day = passage.published
    return (
        (filters.source is None or passage.source == filters.source)
        and (filters.before is None or (day is not None and day < filters.before))
        and (filters.after is None or (day is not None and day >= filters.after))
    )


def by_hand(asked: list[str], filters: Filters) -> dict[int, float]:
    texts = [f"{passage.title} {passage.body}" for passage in PASSAGES]
    telling = {word for word in asked if word not in STOP_WORDS} or set(asked)
    scores = {
        passage.key: sum(bm25(word, text, texts) for word in telling)
        for passage, text in zip(PASSAGES, texts, strict=True)
        if passes(passage, filters)
    }
    return {key: score for key, score in scores.items() if score}


words = st.lists(
    st.sampled_from(["ship", "canal", "idlib", "east", "air", "raid", "suez", "bread", "of", "the", "nothing"]),
    max_size=6,
)
days = st.none() | st.sampled_from([date.min, *(DAY + timedelta(n) for n in range(-1, 4)), date.max])
filters = st.builds(
    Filters, before=days, after=days, source=st.none() | st.sampled_from(["", "The Herald", "the herald", "Herald"])
)


@given(words, filters, st.integers(1, 5))
@example(["ship", "ship", "canal"], Filters(), 4)
@example(["of", "the"], Filters(), 4)
@example(["canal"], Filters(after=date.min), 4)
@example(["canal"], Filters(before=date.max, source=""), 4)
def test_scores_are_bm25_by_hand_of_what_passes(index: LexicalIndex, asked: list[str], chosen: Filters, k: int) -> None:
    wanted = by_hand(asked, chosen)
    found = index.search(" ".join(asked), k, chosen)
    assert [score for _, score in found] == pytest.approx(sorted(wanted.values(), reverse=True)[:k], rel=1e-4)
    assert dict(found) == pytest.approx({key: wanted[key] for key, _ in found}, rel=1e-4)


@pytest.mark.parametrize("word", ["canal", "ship", "bread", "nothing", "of", ""])
def test_rarity_is_that_of_bm25(index: LexicalIndex, word: str) -> None:
    assert index.rarity(word) == pytest.approx(rarity(word, [f"{p.title} {p.body}" for p in PASSAGES]))


@pytest.mark.parametrize(
    ("question", "telling"),
    [
        ("What is the length of the Suez Canal?", ["length", "suez", "canal"]),
        ("Who was it?", ["who", "was", "it"]),
        ("Whose canal's canal?", ["canal"]),
        ("THE CANALS", ["canal"]),
        ("", []),
    ],
)
def test_stop_words_tell_nothing_where_there_are_others(question: str, telling: list[str]) -> None:
    assert telling_words(words_of(question)) == telling


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


def test_a_folder_that_cannot_be_written_is_read_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = LexicalIndex.create(tmp_path / "x")
    index.update(removed=[], added=PASSAGES, moment=moment(1))
    before = sorted(file.name for file in (tmp_path / "x").iterdir())
    monkeypatch.setattr("index.lexical.os.access", lambda *_: False)
    closed = LexicalIndex.load(tmp_path / "x")
    assert (closed.moment, sorted(closed.keys())) == (moment(1), sorted(index.keys()))
    assert closed.search("ship", 4) == index.search("ship", 4)
    assert sorted(file.name for file in (tmp_path / "x").iterdir()) == before
