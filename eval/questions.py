"""What a dataset is made of: questions with their golds, and the archive that it may bring."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from index.articles import Article


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question with its gold.

    `answers` holds every acceptable text: empty exactly when the archive holds no answer (or, in a retrieval-only
    dataset, always). `article_ids` names the articles that give one: empty too where there is none, and where the
    dataset does not say. `grades` says how relevant each of them is (whole numbers above 0, as in BEIR); empty means 1
    for all. `type`, `hard` and `split` group the scores, `near` names articles that an unanswerable question is near;
    all are empty where the dataset says nothing.
    """

    question_id: str
    question: str
    answers: tuple[str, ...]
    article_ids: tuple[str, ...]
    asked_on: date | None = None
    type: str = ""
    hard: tuple[str, ...] = ()
    split: str = ""
    near: tuple[str, ...] = ()
    grades: tuple[int, ...] = ()

    @property
    def is_answerable(self) -> bool:
        """Whether the archive holds an answer; False throughout a retrieval-only dataset."""
        return bool(self.answers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Questions, and the archive to ask where the dataset brings one.

    `articles` is None where the questions are asked of a Library. `retrieval_only` marks a dataset without answers,
    whose questions name relevant articles alone. `skipped` names the bad records that were left out, where the reader
    was told to leave them out.
    """

    questions: Sequence[Question]
    articles: Sequence[Article] | None
    retrieval_only: bool = False
    skipped: tuple[str, ...] = ()
