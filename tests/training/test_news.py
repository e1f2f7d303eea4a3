import gzip
import hashlib
import json
from collections import Counter, defaultdict
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from eval.datasets import read_dataset
from eval.squad import read_squad
from index.articles import Article, make_article
from index.errors import ArticleError
from index.intake import PASSAGE_TOKENS
from index.passages import Cl100kCounter
from training import news
from training.data import examples
from training.news import (
    CORPUS,
    NewsQuestion,
    in_squad_form,
    prepare,
    read_articles,
    read_questions,
    read_stories,
)

FILLER = "Nothing else was said that day by anyone who was there. "
TEXT = f"The ferry sank off Bira. {FILLER * 30}Rescuers found 38 bodies. {FILLER * 30}The owner is Anna Bell."
FERRY = make_article(article_id="ferry", text=TEXT, title="Ferry sinks", published="2019-07-19")
UNDATED = make_article(article_id="undated", text="Anna Bell paid $3 million.", title="Bell pays")


def asked(article: Article, question: str, *answers: str, part: str = "train") -> NewsQuestion:
    places = tuple((article.text.index(answer), article.text.index(answer) + len(answer)) for answer in answers)
    return NewsQuestion(article=article.article_id, part=part, question=question, answers=places)  # type: ignore[arg-type]


def squad(tmp_path: Path, articles: list[Article], questions: list[NewsQuestion]) -> Path:
    file = tmp_path / "train.json"
    file.write_text(json.dumps(in_squad_form(articles, questions)), encoding="utf-8")
    return file


def test_each_passage_is_a_paragraph_under_the_title_and_month_with_the_questions_it_answers(tmp_path: Path) -> None:
    questions = [asked(FERRY, "How many died?", "38"), asked(FERRY, "Who owned it?", "Anna Bell")]
    paragraphs = read_squad(squad(tmp_path, [FERRY, UNDATED], questions))
    assert {paragraph.title for paragraph in paragraphs} == {"Ferry sinks, July 2019"}
    assert len(paragraphs) > 3
    assert max(Cl100kCounter().n_tokens([paragraph.context for paragraph in paragraphs])) <= PASSAGE_TOKENS
    assert all(paragraph.context in TEXT for paragraph in paragraphs)
    found = {
        example.question: paragraphs[example.paragraph].context[example.start : example.end]
        for example in examples(paragraphs)
    }
    assert found == {"How many died?": "38", "Who owned it?": "Anna Bell"}


def test_an_undated_article_stands_under_its_title(tmp_path: Path) -> None:
    paragraphs = read_squad(squad(tmp_path, [UNDATED], [asked(UNDATED, "How much?", "$3 million", "3 million")]))
    assert [(one.title, one.context) for one in paragraphs] == [("Bell pays", UNDATED.text)]
    assert [[answer.text for answer in q.answers] for q in paragraphs[0].questions] == [["$3 million"]]


def test_an_answer_that_two_passages_hold_is_asked_of_the_one_with_more_text_around_it(tmp_path: Path) -> None:
    text = "".join(f"Guest {i} of the long evening came from Lima. " for i in range(60))
    article = make_article(article_id="guests", text=text, title="Guests")
    questions = [asked(article, f"Which guest was number {i}?", f"Guest {i} ") for i in range(60)]
    paragraphs = read_squad(squad(tmp_path, [article], questions))
    holding = Counter(i for i in range(60) for one in paragraphs if f"Guest {i} " in one.context)
    assert max(holding.values()) == 2
    assert sum(len(one.questions) for one in paragraphs) == 60
    for one in paragraphs:
        for question in one.questions:
            (answer,) = question.answers
            room = min(answer.start, len(one.context) - answer.start - len(answer.text))
            for other in paragraphs:
                if answer.text in other.context:
                    start = other.context.index(answer.text)
                    assert room >= min(start, len(other.context) - start - len(answer.text))


def test_an_answer_that_no_passage_holds_whole_is_left_out(tmp_path: Path) -> None:
    whole = NewsQuestion(article="ferry", part="train", question="What was said?", answers=((0, len(TEXT)),))
    paragraphs = read_squad(squad(tmp_path, [FERRY], [whole, asked(FERRY, "How many died?", "38")]))
    assert [q.question for one in paragraphs for q in one.questions] == ["How many died?"]


def test_every_file_is_written_for_what_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = {"doc_id": "w-1", "url": "https://w.org/1", "title": "Ferry sinks", "date": "2020-07-19", "text": TEXT}
    news_file, corpus = tmp_path / "news.jsonl.gz", tmp_path / "corpus"
    news_file.write_bytes(gzip.compress(json.dumps(record).encode()))
    corpus.mkdir()
    at = TEXT.index("38")
    lines: dict[str, list[dict[str, Any]]] = {
        "wikinews.jsonl": [{"id": "w-1", "url": record["url"], "sha256": hashlib.sha256(TEXT.encode()).hexdigest()}],
        "wikinews-questions.jsonl": [
            {"article": "w-1", "part": "report", "question": "How many died?", "answers": [[at, at + 2], [at, at + 9]]},
            {"article": "w-1", "part": "tune", "question": "Who was the captain?", "answers": []},
        ],
        "stories.jsonl": [{"id": "s-1", "title": "Bell pays", "published": "2012-01-03", "text": "Bell paid $3."}],
        "stories-questions.jsonl": [
            {"article": "s-1", "part": "train", "question": "How much did Bell pay?", "answers": [[10, 12]]}
        ],
    }
    for name, records in lines.items():
        (corpus / name).write_text("".join(json.dumps(one) + "\n" for one in records), encoding="utf-8")
    monkeypatch.setattr(news, "CORPUS", corpus)
    prepare(news_file, tmp_path / "out")
    (article,) = read_stories(tmp_path / "out" / "articles.jsonl")
    assert (article.article_id, article.text, article.published) == ("w-1", TEXT, date(2020, 7, 19))
    first, second = read_dataset(tmp_path / "out" / "questions.jsonl").questions
    assert (first.answers, first.article_ids, first.split) == (("38", "38 bodies"), ("w-1",), "report")
    assert (second.answers, second.article_ids, second.split) == ((), (), "tune")
    (paragraph,) = read_squad(tmp_path / "out" / "train.json")
    assert (paragraph.title, paragraph.questions[0].answers[0].text) == ("Bell pays, January 2012", "$3")


@pytest.mark.parametrize(
    "found", [[], [{"doc_id": "w-1", "text": "Another text.", "title": "", "url": "", "date": None}]]
)
def test_articles_that_the_questions_are_not_about_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: list[dict[str, Any]]
) -> None:
    known = {"id": "w-1", "url": "https://w.org/1", "sha256": hashlib.sha256(TEXT.encode()).hexdigest()}
    (tmp_path / "wikinews.jsonl").write_text(json.dumps(known) + "\n", encoding="utf-8")
    monkeypatch.setattr(news, "CORPUS", tmp_path)
    file = tmp_path / "news.jsonl.gz"
    file.write_bytes(gzip.compress("".join(json.dumps(one) + "\n" for one in found).encode()))
    with pytest.raises(SystemExit, match=r"news\.jsonl\.gz: w-1 \(https://w\.org/1\) is missing or has another text"):
        read_articles(file)


def test_a_bad_story_is_named(tmp_path: Path) -> None:
    file = tmp_path / "stories.jsonl"
    file.write_text('{"id": "s-1", "text": ""}\n', encoding="utf-8")
    with pytest.raises(ArticleError, match=r"stories\.jsonl"):
        read_stories(file)


def test_of_the_stories_every_question_is_answered_in_some_passage() -> None:
    stories, questions = read_stories(CORPUS / "stories.jsonl"), read_questions(CORPUS / "stories-questions.jsonl")
    document = in_squad_form(stories, questions)
    kept = sum(len(paragraph["qas"]) for one in document["data"] for paragraph in one["paragraphs"])
    assert kept == len(questions)
    texts = {story.article_id: story.text for story in stories}
    assert len(texts) == len(stories)
    for one in questions:
        ((start, end),) = one.answers
        answer = texts[one.article][start:end]
        assert answer
        assert answer == answer.strip()
    assert max(Counter((one.article, one.question.lower()) for one in questions).values()) == 1


def test_no_two_stories_share_a_title_for_it_decides_what_is_validated_on() -> None:
    assert max(Counter(story.title.lower() for story in read_stories(CORPUS / "stories.jsonl")).values()) == 1


def test_no_question_stands_twice_and_no_wikinews_article_is_in_two_parts() -> None:
    questions = read_questions(CORPUS / "wikinews-questions.jsonl")
    parts = defaultdict(set)
    for one in questions:
        parts[one.article].add(one.part)
        assert one.part != "train" or one.answers
        assert all(start < end for start, end in one.answers)
    assert max(map(len, parts.values())) == 1
    assert max(Counter((one.article, one.question) for one in questions).values()) == 1
    assert min(Counter(one.part for one in questions).values()) > 400
