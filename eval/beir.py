"""BEIR folders, for retrieval alone: a corpus that becomes the archive, queries, and judgements (qrels) of relevance.

`corpus.jsonl` holds `_id`, `title` and `text`; `queries.jsonl` holds `_id` and `text`; `qrels/*.tsv` a header line and
then query id, corpus id and a grade, with tabs between. The two JSON files may be gzipped and may have other fields.
A document without text whose title says it all is stored with the title as its text; one with neither is a bad record.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from eval.data_files import Faults, Record, id_in, json_of, lines, text_in
from eval.questions import Dataset, Question
from index.articles import MAX_ID_CHARS, Article, make_article
from index.errors import DatasetError

_HEADER = ["query-id", "corpus-id", "score"]
_Grades = dict[str, dict[str, int]]  # of each query: the grade of each document


def read_beir(folder: Path, faults: Faults) -> Dataset:
    """The corpus, and the queries that have a relevant document, in file order.

    Relevant is what is graded above 0. A query that is not judged, or for which nothing relevant was found when it was,
    cannot be scored and is no question here.

    Raises:
        DatasetError: a file is missing or cannot be read, or it is unclear which judgements are meant.
    """
    corpus, queries, qrels = _files(folder)
    articles = _articles(corpus, faults)
    texts = _queries(queries, faults)
    grades = _grades(qrels, texts, articles, faults)
    questions = [_question(query_id, text, grades.get(query_id, {})) for query_id, text in texts.items()]
    return Dataset(
        questions=[question for question in questions if question.article_ids],
        articles=list(articles.values()),
        retrieval_only=True,
    )


def _files(folder: Path) -> tuple[Path, Path, Path]:
    """The corpus, the queries and the judgements: `qrels/test.tsv`, or the only file in `qrels`.

    Raises:
        DatasetError: one is missing, or it is unclear which judgements are meant.
    """
    corpus, queries = _json_file(folder, "corpus"), _json_file(folder, "queries")
    qrels = sorted((folder / "qrels").glob("*.tsv"))
    chosen = [file for file in qrels if file.name == "test.tsv"] or qrels
    if len(chosen) != 1:
        names = ", ".join(file.name for file in qrels) or "no .tsv file"
        raise DatasetError(f"{folder / 'qrels'}: holds {names}: keep the judgements to score by as test.tsv")
    return corpus, queries, chosen[0]


def article_id_of(document_id: str) -> str:
    """The article id of a document: another for every document, and its own id wherever that can be one.

    Blanks at either end, control characters, `%`, and the dots of a `.` or `..` between slashes are percent-encoded
    (`urllib.parse.unquote` undoes it); an id that is then too long keeps its beginning and gets its SHA-256.
    """
    first = len(document_id) - len(document_id.lstrip())
    end = len(document_id.rstrip())
    article_id = "".join(
        char
        if char.isprintable() and char != "%" and first <= i < end
        else quote(char, safe="", errors="surrogatepass")
        for i, char in enumerate(document_id)
    )
    parts = (part.replace(".", "%2E") if part in {".", ".."} else part for part in article_id.split("/"))
    article_id = "/".join(parts)
    if len(article_id) <= MAX_ID_CHARS:
        return article_id
    digest = hashlib.sha256(document_id.encode(errors="surrogatepass")).hexdigest()
    return f"{article_id[: MAX_ID_CHARS - len(digest) - 1]}%{digest}"


def _json_file(folder: Path, name: str) -> Path:
    files = [file for file in (folder / f"{name}.jsonl", folder / f"{name}.jsonl.gz") if file.is_file()]
    if len(files) != 1:
        both = "both exist" if files else "neither exists"
        raise DatasetError(f"{folder}: a BEIR folder holds {name}.jsonl or {name}.jsonl.gz; {both}")
    return files[0]


def _articles(corpus: Path, faults: Faults) -> dict[str, Article]:
    articles: dict[str, Article] = {}
    for line in lines(corpus, faults):
        with faults.at(line.place):
            article = _article(json_of(line.text))
            if article.article_id in articles:
                raise DatasetError(f"_id {article.article_id!r} was used before")
            articles[article.article_id] = article
    return articles


def _article(record: Record) -> Article:
    article_id = article_id_of(id_in(record, "_id"))
    title, text = text_in(record, "title", ""), text_in(record, "text", "")
    if not text.strip():
        title, text = "", title
    return make_article(article_id=article_id, title=title, text=text)


def _queries(queries: Path, faults: Faults) -> dict[str, str]:
    texts: dict[str, str] = {}
    for line in lines(queries, faults):
        with faults.at(line.place):
            record = json_of(line.text)
            query_id, text = id_in(record, "_id"), text_in(record, "text").strip()
            if not text:
                raise DatasetError("the question is empty")
            if query_id in texts:
                raise DatasetError(f"_id {query_id!r} was used before")
            texts[query_id] = text
    return texts


def _grades(qrels: Path, queries: dict[str, str], articles: dict[str, Article], faults: Faults) -> _Grades:
    grades: _Grades = {}
    for place, query_id, document_id, grade in _judgements(qrels, faults):
        with faults.at(place):
            article_id = article_id_of(document_id)
            if query_id not in queries:
                raise DatasetError(f"query-id {query_id!r} is not in the queries")
            if article_id not in articles:
                raise DatasetError(f"corpus-id {document_id!r} is not in the corpus")
            if article_id in grades.setdefault(query_id, {}):
                raise DatasetError(f"corpus-id {document_id!r} was judged before for query-id {query_id!r}")
            grades[query_id][article_id] = grade
    return grades


def _judgements(qrels: Path, faults: Faults) -> Iterator[tuple[str, str, str, int]]:
    for line in lines(qrels, faults):
        with faults.at(line.place):
            fields = line.text.rstrip("\r\n").split("\t")
            if line.number == 1:
                if fields != _HEADER:
                    raise DatasetError(f"the first line must be the header {' '.join(_HEADER)}, with tabs between")
                continue
            if len(fields) != len(_HEADER):
                raise DatasetError(f"{len(fields)} fields: give query-id, corpus-id and score, with tabs between")
            yield line.place, fields[0], fields[1], _grade(fields[2])


def _grade(field: str) -> int:
    try:
        return int(field)
    except ValueError:
        raise DatasetError(f"score {field!r} is not a whole number") from None


def _question(query_id: str, text: str, grades: dict[str, int]) -> Question:
    relevant = {article_id: grade for article_id, grade in grades.items() if grade > 0}
    return Question(
        question_id=query_id,
        question=text,
        answers=(),
        article_ids=tuple(relevant),
        grades=tuple(relevant.values()),
    )
