import re
from collections import Counter
from pathlib import Path

import pytest

from eval.datasets import read_dataset
from eval.questions import Question
from index.articles import Article, find_files, read_file

SEEDS = Path(__file__).parent.parent / "seeds"


@pytest.fixture(scope="module")
def articles() -> dict[str, Article]:
    read = [article for file in find_files([SEEDS / "articles"])[0] for article in read_file(file)]
    assert all(isinstance(article, Article) for article in read), [r for r in read if not isinstance(r, Article)]
    return {article.article_id: article for article in read if isinstance(article, Article)}


@pytest.fixture(scope="module")
def questions() -> list[Question]:
    return list(read_dataset(SEEDS / "questions.jsonl").questions)


def test_articles_are_dated_titled_and_of_news_length(articles: dict[str, Article]) -> None:
    assert len(articles) >= 60
    for article in articles.values():
        assert article.title
        assert article.source == "Quoth seeds"
        assert article.published is not None
        assert 250 <= len(article.text.split()) <= 800, article.article_id


def test_every_gold_stands_in_one_of_its_articles_at_word_boundaries(
    articles: dict[str, Article], questions: list[Question]
) -> None:
    for question in questions:
        texts = [articles[article_id].text for article_id in question.article_ids]
        for gold in question.answers:
            pattern = re.compile(rf"(?<!\w){re.escape(gold)}(?!\w)")
            assert any(pattern.search(text) for text in texts), (question.question_id, gold)


def test_every_gold_article_holds_a_gold(articles: dict[str, Article], questions: list[Question]) -> None:
    for question in questions:
        for article_id in question.article_ids:
            assert any(gold in articles[article_id].text for gold in question.answers), question.question_id


def test_there_are_enough_questions_of_each_kind(questions: list[Question]) -> None:
    answerable = [question for question in questions if question.is_answerable]

    assert len(questions) >= 400
    assert len(questions) - len(answerable) >= 100
    assert {"tune", "report"} == {question.split for question in questions}
    assert min(Counter(question.type for question in questions).values()) >= 20


def test_unanswerable_questions_have_neither_gold_nor_article(questions: list[Question]) -> None:
    assert all(not question.article_ids for question in questions if not question.is_answerable)


def test_no_article_serves_both_splits(questions: list[Question]) -> None:
    splits: dict[str, set[str]] = {}
    for question in questions:
        for article_id in (*question.article_ids, *question.near):
            splits.setdefault(article_id, set()).add(question.split)

    assert not [article_id for article_id, found in splits.items() if len(found) > 1]


def test_questions_are_asked_after_their_articles_appeared(
    articles: dict[str, Article], questions: list[Question]
) -> None:
    for question in questions:
        assert question.asked_on is not None
        for article_id in question.article_ids:
            published = articles[article_id].published
            assert published is not None
            assert published <= question.asked_on, question.question_id
