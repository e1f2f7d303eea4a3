import gzip
import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.beir import article_id_of
from eval.datasets import read_dataset
from eval.questions import Dataset, Question
from index.articles import MAX_ID_CHARS, make_article
from index.errors import DatasetError

CORPUS = [
    {"_id": "MED-10", "title": "Suez", "text": "The ship is in Suez.", "metadata": {"url": "x"}},
    {"_id": 7, "title": "", "text": "It left Suez."},
    {"_id": "a/b c", "text": "Cairo."},
    {"_id": "empty", "title": "A title that says it all", "text": ""},
]
QUERIES = [
    {"_id": "q2", "text": " where is the ship ", "metadata": {}},
    {"_id": "unjudged", "text": "who"},
    {"_id": "1", "text": "what is there"},
    {"_id": "nothing", "text": "what is nowhere"},
]
HEADER = "query-id\tcorpus-id\tscore\n"
QRELS = "1\t7\t1\n1\ta/b c\t0\nq2\tMED-10\t2\nq2\tempty\t1\nq2\ta/b c\t-1\nnothing\t7\t0\n"


def folder(
    path: Path,
    corpus: list[Any] = CORPUS,
    queries: list[Any] = QUERIES,
    qrels: str = HEADER + QRELS,
) -> Path:
    (path / "qrels").mkdir()
    for name, records in (("corpus", corpus), ("queries", queries)):
        text = "\n".join(json.dumps(record) for record in records)
        (path / f"{name}.jsonl").write_text(text, encoding="utf-8")
    (path / "qrels" / "test.tsv").write_text(qrels, encoding="utf-8")
    return path


EXPECTED = Dataset(
    questions=[
        Question(
            question_id="q2",
            question="where is the ship",
            answers=(),
            article_ids=("MED-10", "empty"),
            grades=(2, 1),
        ),
        Question(question_id="1", question="what is there", answers=(), article_ids=("7",), grades=(1,)),
    ],
    articles=[
        make_article(article_id="MED-10", title="Suez", text="The ship is in Suez."),
        make_article(article_id="7", text="It left Suez."),
        make_article(article_id="a/b c", text="Cairo."),
        make_article(article_id="empty", text="A title that says it all"),
    ],
    retrieval_only=True,
)


def test_a_folder_gives_the_corpus_and_the_judged_questions(tmp_path: Path) -> None:
    assert read_dataset(folder(tmp_path)) == EXPECTED


def test_gzipped_files_are_read_alike(tmp_path: Path) -> None:
    folder(tmp_path)
    for name in ("corpus", "queries"):
        plain = tmp_path / f"{name}.jsonl"
        (tmp_path / f"{name}.jsonl.gz").write_bytes(gzip.compress(plain.read_bytes(), mtime=0))
        plain.unlink()
    assert read_dataset(tmp_path) == EXPECTED


def test_the_test_judgements_are_taken_before_others(tmp_path: Path) -> None:
    folder(tmp_path)
    (tmp_path / "qrels" / "dev.tsv").write_text(HEADER + "1\t7\t1\n", encoding="utf-8")
    assert read_dataset(tmp_path) == EXPECTED


def test_the_only_judgements_are_taken_whatever_their_name(tmp_path: Path) -> None:
    qrels = folder(tmp_path) / "qrels"
    (qrels / "test.tsv").rename(qrels / "dev.tsv")
    assert read_dataset(tmp_path) == EXPECTED


def test_several_other_judgements_are_not_chosen_from(tmp_path: Path) -> None:
    qrels = folder(tmp_path) / "qrels"
    (qrels / "test.tsv").rename(qrels / "dev.tsv")
    (qrels / "train.tsv").write_text(HEADER, encoding="utf-8")
    with pytest.raises(
        DatasetError, match=r"qrels: holds dev\.tsv, train\.tsv: keep the judgements to score by as test"
    ):
        read_dataset(tmp_path)


@pytest.mark.parametrize("name", ["corpus", "queries"])
def test_a_missing_or_doubled_file_is_named(tmp_path: Path, name: str) -> None:
    plain = folder(tmp_path) / f"{name}.jsonl"
    (tmp_path / f"{name}.jsonl.gz").write_bytes(gzip.compress(plain.read_bytes(), mtime=0))
    with pytest.raises(DatasetError, match=rf"holds {name}\.jsonl or {name}\.jsonl\.gz; both exist"):
        read_dataset(tmp_path)
    plain.unlink()
    (tmp_path / f"{name}.jsonl.gz").unlink()
    with pytest.raises(DatasetError, match=rf"holds {name}\.jsonl or {name}\.jsonl\.gz; neither exists"):
        read_dataset(tmp_path)


def test_a_folder_without_judgements_is_refused(tmp_path: Path) -> None:
    (folder(tmp_path) / "qrels" / "test.tsv").unlink()
    with pytest.raises(DatasetError, match=r"qrels: holds no \.tsv file"):
        read_dataset(tmp_path)


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ({"title": "T", "text": "X"}, "field '_id' is missing"),
        ({"_id": "", "text": "X"}, "field '_id' must be an id, not ''"),
        ({"_id": "MED-10", "text": "X"}, "_id 'MED-10' was used before"),
        ({"_id": "x", "title": " ", "text": ""}, "field 'text' is empty"),
        ({"_id": "x", "text": ["X"]}, "field 'text' must be text"),
        ({"_id": "x", "text": "X\x00"}, "field 'text' holds a NUL character"),
        (["x"], "a JSON object is needed"),
    ],
    ids=str,
)
def test_a_bad_document_is_named(tmp_path: Path, document: Any, problem: str) -> None:
    with pytest.raises(DatasetError, match=rf": 1 bad record:\n  corpus\.jsonl, line 5: {problem}"):
        read_dataset(folder(tmp_path, corpus=[*CORPUS, document]))


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ({"text": "X"}, "field '_id' is missing"),
        ({"_id": "x"}, "field 'text' is missing"),
        ({"_id": "x", "text": " "}, "the question is empty"),
        ({"_id": "q2", "text": "X"}, "_id 'q2' was used before"),
    ],
    ids=str,
)
def test_a_bad_query_is_named(tmp_path: Path, query: Any, problem: str) -> None:
    with pytest.raises(DatasetError, match=rf": 1 bad record:\n  queries\.jsonl, line 5: {problem}"):
        read_dataset(folder(tmp_path, queries=[*QUERIES, query]))


@pytest.mark.parametrize(
    ("judgement", "problem"),
    [
        ("q9\t7\t1", "query-id 'q9' is not in the queries"),
        ("1\tMED-11\t1", "corpus-id 'MED-11' is not in the corpus"),
        ("1\t7\t2", "corpus-id '7' was judged before for query-id '1'"),
        ("1\t7", "2 fields: give query-id, corpus-id and score"),
        ("1 0 7 1", "1 fields"),
        ("1\tempty\thigh", "score 'high' is not a whole number"),
        ("1\tempty\t1.5", "score '1.5' is not a whole number"),
    ],
)
def test_a_bad_judgement_is_named(tmp_path: Path, judgement: str, problem: str) -> None:
    with pytest.raises(DatasetError, match=rf": 1 bad record:\n  test\.tsv, line 8: {problem}"):
        read_dataset(folder(tmp_path, qrels=f"{HEADER}{QRELS}{judgement}\n"))


def test_judgements_without_their_header_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"test\.tsv, line 1: the first line must be the header query-id"):
        read_dataset(folder(tmp_path, qrels=QRELS))


@pytest.mark.parametrize(
    ("document_id", "article_id"),
    [
        ("MED-10", "MED-10"),
        ("<dbpedia:Animalia_(book)>", "<dbpedia:Animalia_(book)>"),
        ("a/b c", "a/b c"),
        ("Zoë 東京", "Zoë 東京"),
        ("100%", "100%25"),
        ("a%20b", "a%2520b"),
        (" x y\t", "%20x y%09"),
        ("  ", "%20%20"),
        ("a\x00b\u00a0c", "a%00b%C2%A0c"),
        ("x" * 200, "x" * 200),
        (".", "%2E"),
        ("../a.b/...", "%2E%2E/a.b/..."),
    ],
)
def test_article_ids_are_the_documents_own_where_they_can_be(document_id: str, article_id: str) -> None:
    assert article_id_of(document_id) == article_id
    assert unquote(article_id) == document_id


ODD_IDS = st.text(st.sampled_from(" \t%2059aé\x00\u00a0\ud800/.E"), min_size=1, max_size=8) | st.text(
    st.sampled_from("x%"), min_size=195, max_size=205
)


@given(ODD_IDS, ODD_IDS)
def test_every_document_id_gets_an_article_id_of_its_own(one: str, other: str) -> None:
    ids = [make_article(article_id=article_id_of(document_id), text="X").article_id for document_id in (one, other)]
    assert (ids[0] == ids[1]) == (one == other)
    assert max(map(len, ids)) <= MAX_ID_CHARS


def test_odd_ids_still_match_their_judgements(tmp_path: Path) -> None:
    corpus = [{"_id": " x%", "text": "One."}, {"_id": "y" * 300, "text": "Two."}]
    qrels = HEADER + f"1\t x%\t1\n1\t{'y' * 300}\t1\n"
    found = read_dataset(folder(tmp_path, corpus=corpus, qrels=qrels))
    assert found.articles is not None
    assert found.questions[0].article_ids == tuple(article.article_id for article in found.articles)
    assert found.questions[0].article_ids[0] == "%20x%25"
