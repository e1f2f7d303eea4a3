"""Evaluation datasets: what file or folder is read how."""

from pathlib import Path

from eval.beir import read_beir
from eval.data_files import Faults
from eval.json_lines import read_json_lines
from eval.questions import Dataset, Question
from eval.squad import SquadParagraph, SquadQuestion, squad_paragraphs
from index.articles import Article, make_article, normalise
from index.errors import DatasetError


def read_dataset(path: Path, *, skip_bad: bool = False) -> Dataset:
    """The dataset in a BEIR folder or in a file: `.jsonl` and `.jsonl.gz` are JSON lines, all others SQuAD form.

    With `skip_bad`, bad records are left out and named in `Dataset.skipped`.

    Raises:
        DatasetError: it cannot be read, has bad records (the message counts them and names the first ones), or has no
            question.
    """
    faults = Faults()
    dataset = _read(path, faults)
    if not skip_bad:
        faults.refuse(path)
    if not dataset.questions:
        faults.refuse(path)
        raise DatasetError(f"{path}: no questions here")
    return Dataset(
        questions=dataset.questions,
        articles=dataset.articles,
        retrieval_only=dataset.retrieval_only,
        skipped=faults.named,
    )


def _read(path: Path, faults: Faults) -> Dataset:
    if path.is_dir():
        return read_beir(path, faults)
    if path.name.endswith((".jsonl", ".jsonl.gz")):
        return Dataset(questions=read_json_lines(path, faults), articles=None)
    return _from_squad(squad_paragraphs(path, faults))


def _from_squad(paragraphs: list[SquadParagraph]) -> Dataset:
    """Each paragraph becomes an article with its encyclopedia article's title; an exact repetition becomes one."""
    articles: dict[str, Article] = {}
    questions = []
    for paragraph in paragraphs:
        sha256 = make_article(article_id="p", text=paragraph.context).sha256
        article = make_article(article_id=f"squad-{sha256[:16]}", text=paragraph.context, title=paragraph.title)
        articles.setdefault(article.article_id, article)
        questions += [_question(asked, article.article_id) for asked in paragraph.questions]
    return Dataset(questions=questions, articles=list(articles.values()))


def _question(asked: SquadQuestion, article_id: str) -> Question:
    golds = tuple(dict.fromkeys(normalise(answer.text) for answer in asked.answers))
    return Question(
        question_id=asked.question_id,
        question=asked.question,
        answers=golds,
        article_ids=(article_id,) if golds else (),
    )
