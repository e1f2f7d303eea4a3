"""The predictions under one threshold as columns of numbers, one row a question: what every metric is computed from."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from eval.answer_metrics import RIGHT_F1, best_over_golds, exact_match, f1
from eval.retrieval_metrics import answer_recall_at, ndcg_at, recall_at, reciprocal_rank_at, success_at
from eval.run_folder import PredictedQuestion

Floats = NDArray[np.float64]
DEPTHS = (1, 5, 10)
NAN = float("nan")


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Columns of equal length, each `(n_questions,)` float64; NaN where a question does not count for a column."""

    columns: Mapping[str, Floats]

    def __len__(self) -> int:
        """The number of questions."""
        return len(next(iter(self.columns.values())))

    def __getitem__(self, column: str) -> Floats:
        return self.columns[column]

    def take(self, rows: NDArray[np.int64]) -> "Outcomes":
        """Those rows, in that order; a row may come several times."""
        return Outcomes(_Taken(self.columns, rows))


class _Taken(Mapping[str, Floats]):
    """Some rows of columns. A metric looks at two or three of forty columns: only those are copied."""

    def __init__(self, columns: Mapping[str, Floats], rows: NDArray[np.int64]) -> None:
        self._columns = columns
        self._rows = rows

    def __getitem__(self, column: str) -> Floats:
        return self._columns[column][self._rows]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)


def outcomes(predicted: Sequence[PredictedQuestion], min_confidence: float) -> Outcomes:
    """The columns of a run, of at least one question, under a threshold.

    - `em`, `f1`: what was given, as in the official SQuAD v2.0 script: abstaining is right where there is no answer;
    - `squad1_em`, `squad1_f1`: the same as in the v1.1 script, where every question of the run has an answer;
    - `has_answer_em`, `has_answer_f1`: the same of answerable questions; `wrongly_refused` of them,
      `rightly_refused` of the others: 1 where nothing was given;
    - `always_em`, `always_f1`: the best candidate whatever its confidence, answerable questions only;
    - `best_em`, `best_f1`: the same for all questions; an unanswerable one with a candidate gives 0;
    - `withheld`: 1 where abstaining is right, else 0;
    - `answerable`, `given` (an answer was given), `right` (the best candidate is right: F1 >= `RIGHT_F1`): 1 or 0;
    - `confidence`: that of the best candidate;
    - of given answers: `precision` (it is right), `citation_valid`, and `citation_correct` where the gold articles are
      known;
    - `success@k`, `recall@k`, `mrr@10`, `ndcg@10`: questions with gold passages (`recall@100`: those without
      answers, where a hundred are ranked); `answer_recall@k`: answerable ones.

    Where a question names relevant articles and no answers, only these last count: all others are NaN.
    """
    rows = [_row(p, min_confidence) for p in predicted]
    if not all(p.question.answers for p in predicted):
        rows = [{**row, "squad1_em": NAN, "squad1_f1": NAN} for row in rows]
    return Outcomes({name: np.array([row[name] for row in rows], dtype=np.float64) for name in rows[0]})


def _row(p: PredictedQuestion, min_confidence: float) -> dict[str, float]:
    answer = _answer_columns(p, min_confidence)
    if p.question.article_ids and not p.question.answers:
        answer = dict.fromkeys(answer, NAN)
    return {**answer, **_retrieval_columns(p)}


def _answer_columns(p: PredictedQuestion, min_confidence: float) -> dict[str, float]:
    answerable, given = p.question.is_answerable, p.given(min_confidence)
    em, f1_ = _score(exact_match, p, given), _score(f1, p, given)
    best_em, best_f1 = _best(exact_match, p), _best(f1, p)
    right = float(answerable and best_f1 >= RIGHT_F1)
    return {
        "em": em,
        "f1": f1_,
        "squad1_em": best_over_golds(exact_match, given, p.question.answers, version=1),
        "squad1_f1": best_over_golds(partial(f1, version=1), given, p.question.answers, version=1),
        "has_answer_em": em if answerable else NAN,
        "has_answer_f1": f1_ if answerable else NAN,
        "rightly_refused": NAN if answerable else float(not given),
        "wrongly_refused": float(not given) if answerable else NAN,
        "always_em": best_em if answerable else NAN,
        "always_f1": best_f1 if answerable else NAN,
        "best_em": best_em,
        "best_f1": best_f1,
        "withheld": float(not answerable),
        "answerable": float(answerable),
        "given": float(bool(given)),
        "right": right,
        "precision": right if given else NAN,
        "confidence": p.confidence,
        "citation_valid": float(bool(p.citation_valid)) if given else NAN,
        "citation_correct": _citation_correct(p) if given else NAN,
    }


def _score(metric: Callable[[str, str], float], p: PredictedQuestion, text: str) -> float:
    return best_over_golds(metric, text, p.question.answers)


def _best(metric: Callable[[str, str], float], p: PredictedQuestion) -> float:
    """The best candidate's score; 0 for an unanswerable question, unless there is no candidate and so no answer.

    So does the official v2.0 script count where it looks for the best threshold.
    """
    if p.question.is_answerable:
        return _score(metric, p, p.best_text)
    return float(not p.best_text)


def _citation_correct(p: PredictedQuestion) -> float:
    """Whether the article is a gold one, or the passage near-identical to a gold one's: that one is cited beside it."""
    if not p.question.article_ids:
        return NAN
    cited = p.candidates[0]
    return float(
        cited.article_id in p.question.article_ids
        or any(passage.grade and passage.place.holds(cited) for passage in p.passages)
    )


def _retrieval_columns(p: PredictedQuestion) -> dict[str, float]:
    grades, n_gold = [passage.grade for passage in p.passages], len(p.gold_grades)
    holds = [passage.holds_answer for passage in p.passages]
    return {
        **{f"success@{k}": success_at(k, grades) if n_gold else NAN for k in DEPTHS},
        **{f"recall@{k}": recall_at(k, grades, n_gold) if n_gold else NAN for k in DEPTHS[1:]},
        "recall@100": recall_at(100, grades, n_gold) if n_gold and not p.question.answers else NAN,
        "mrr@10": reciprocal_rank_at(10, grades) if n_gold else NAN,
        "ndcg@10": ndcg_at(10, grades, p.gold_grades) if n_gold else NAN,
        **{f"answer_recall@{k}": answer_recall_at(k, holds) if p.question.answers else NAN for k in DEPTHS},
    }
