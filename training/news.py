"""News to learn from and to measure on.

    python -m training.news NEWS.jsonl.gz OUT_DIR

NEWS has 294 articles of Wikinews from 2019 and 2020 (CC BY 2.5), one a line, with `doc_id`, `url`, `title`, `date` and
`text`. Our questions about them are `training/corpus/wikinews-questions.jsonl`. An answer there is `[start, end)`,
characters of the article's text, so nothing of the articles is in this repository; `wikinews.jsonl` says which text is
meant and where it is from. Of three parts, by the article's date, `train` (before 7 March 2020) is learnt from, `tune`
(before 22 June 2020) is chosen on, and `report` is for reporting only.

`training/corpus/stories.jsonl` has invented articles, two or three to a story, in which later ones change what earlier
ones said; `stories-questions.jsonl` asks about them. All of it is learnt from. (`training.data` keeps one title in
twenty of what is learnt from for validation.)

Writes `train.json`, what is learnt from, in SQuAD form: a paragraph is a passage, cut and titled as it will be read
when answering. And every Wikinews article with the questions of the other two parts, for
`quoth --library NEWS add OUT_DIR/articles.jsonl` and `quoth --library NEWS eval run OUT_DIR/questions.jsonl`.
"""

import gzip
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import typer
from pydantic import TypeAdapter

from index.articles import Article, make_article, read_file
from index.errors import ArticleError
from index.intake import OVERLAP_TOKENS, PASSAGE_TOKENS
from index.passages import CharSpan, Cl100kCounter, Limit, Splitter
from index.records import StoredPassage
from qa.windows import passage_text

CORPUS = Path(__file__).parent / "corpus"

Record = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewsQuestion:
    """A question about an article; its answers are `[start, end)` of the article's text, the best first, or none."""

    article: str
    part: Literal["train", "tune", "report"]
    question: str
    answers: tuple[tuple[int, int], ...]


_FORM = TypeAdapter(NewsQuestion)


def prepare(news_file: Path, out_dir: Path) -> None:
    """Write the three files.

    Raises:
        SystemExit: the articles are not those that the answers count the characters of.
    """
    articles, questions = read_articles(news_file), read_questions(CORPUS / "wikinews-questions.jsonl")
    stories, about_stories = read_stories(CORPUS / "stories.jsonl"), read_questions(CORPUS / "stories-questions.jsonl")
    learnt = [asked for asked in questions if asked.part == "train"] + about_stories
    others = [asked for asked in questions if asked.part != "train"]
    out_dir.mkdir(parents=True, exist_ok=True)
    document = in_squad_form([*articles, *stories], learnt)
    (out_dir / "train.json").write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")
    _write_lines(out_dir / "articles.jsonl", map(_article_record, articles))
    by_id = {article.article_id: article for article in articles}
    asked_of = [_question_record(f"news-{n}", asked, by_id[asked.article]) for n, asked in enumerate(others, start=1)]
    _write_lines(out_dir / "questions.jsonl", asked_of)
    print(json.dumps({"to learn from": len(learnt), "to ask": len(others)}))


def read_articles(news_file: Path) -> list[Article]:
    """The Wikinews articles, in file order.

    Raises:
        SystemExit: one is missing, or its text is not the one that the answers count the characters of.
    """
    articles = [
        make_article(
            article_id=record["doc_id"],
            text=record["text"],
            title=record["title"],
            source="Wikinews",
            url=record["url"],
            published=record["date"],
        )
        for record in map(json.loads, gzip.decompress(news_file.read_bytes()).splitlines())
    ]
    sha256_of = {article.article_id: article.sha256 for article in articles}
    for known in map(json.loads, (CORPUS / "wikinews.jsonl").read_bytes().splitlines()):
        if sha256_of.get(known["id"]) != known["sha256"]:
            raise SystemExit(f"{news_file}: {known['id']} ({known['url']}) is missing or has another text")
    return articles


def read_stories(file: Path) -> list[Article]:
    """Articles in Quoth's own form, in file order.

    Raises:
        ArticleError: one is bad.
    """
    found = []
    for article in read_file(file):
        if isinstance(article, ArticleError):
            raise article
        found.append(article)
    return found


def read_questions(file: Path) -> list[NewsQuestion]:
    """Every question, in file order."""
    return [_FORM.validate_json(line) for line in file.read_bytes().splitlines()]


def in_squad_form(articles: Sequence[Article], questions: Sequence[NewsQuestion]) -> Record:
    """The articles that are asked about, each passage a paragraph, under the title and month that the reader sees.

    An answer that two passages hold, for they overlap, is asked of the one where more text stands around it; one that
    no passage holds whole is left out.
    """
    splitter = Splitter([Limit(counter=Cl100kCounter(), max_tokens=PASSAGE_TOKENS)], overlap_tokens=OVERLAP_TOKENS)
    asked_about: dict[str, list[tuple[str, NewsQuestion]]] = {}
    for number, asked in enumerate(questions, start=1):
        asked_about.setdefault(asked.article, []).append((f"news-train-{number}", asked))
    return {
        "data": [
            _squad_article(article, splitter.split(article.text), asked_about[article.article_id])
            for article in articles
            if article.article_id in asked_about
        ]
    }


def _squad_article(article: Article, spans: Sequence[CharSpan], asked: Iterable[tuple[str, NewsQuestion]]) -> Record:
    first = StoredPassage(
        key=0,
        article_id=article.article_id,
        title=article.title,
        span=spans[0],
        text=spans[0].of(article.text),
        published=article.published,
    )
    read = passage_text(first)
    paragraphs: list[Record] = [{"context": span.of(article.text), "qas": []} for span in spans]
    for question_id, one in asked:
        answer = CharSpan(*one.answers[0])
        place = _place(answer, spans)
        if place is not None:
            gold = {"text": answer.of(article.text), "answer_start": answer.start - spans[place].start}
            paragraphs[place]["qas"].append({"id": question_id, "question": one.question, "answers": [gold]})
    return {"title": read.title + read.dateline, "paragraphs": paragraphs}


def _place(answer: CharSpan, spans: Sequence[CharSpan]) -> int | None:
    """The passage that holds the answer farthest from its own ends."""
    room = {
        place: min(answer.start - span.start, span.end - answer.end)
        for place, span in enumerate(spans)
        if span.start <= answer.start and answer.end <= span.end
    }
    return max(room, key=lambda place: room[place], default=None)


def _article_record(article: Article) -> Record:
    return {
        "id": article.article_id,
        "title": article.title,
        "text": article.text,
        "url": article.url,
        "published": article.published.isoformat() if article.published else None,
        "source": article.source,
    }


def _question_record(question_id: str, asked: NewsQuestion, article: Article) -> Record:
    return {
        "question_id": question_id,
        "question": asked.question,
        "answers": list(dict.fromkeys(article.text[start:end] for start, end in asked.answers)),
        "article_ids": [asked.article] if asked.answers else [],
        "is_answerable": bool(asked.answers),
        "split": asked.part,
    }


def _write_lines(file: Path, records: Iterable[Record]) -> None:
    file.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in records), encoding="utf-8")


if __name__ == "__main__":
    typer.run(prepare)
