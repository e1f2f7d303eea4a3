"""The questions of two runs side by side, and those that were won and lost between them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from eval.outcomes import Outcomes
from eval.run_folder import PredictedQuestion
from index.errors import DatasetError

CHANGED_BY = 0.5
"""A question is won or lost where its F1 rises or falls by this much."""
_TOLD_APART_BY: tuple[tuple[str, Callable[[PredictedQuestion], object]], ...] = (
    ("question", lambda p: p.question.question),
    ("answers", lambda p: p.question.answers),
    ("article_ids", lambda p: p.question.article_ids),
    ("grades", lambda p: p.question.grades),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One question as both runs answered it."""

    a: PredictedQuestion
    b: PredictedQuestion


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A question whose answer became right or wrong, with its F1 in both runs."""

    pair: Pair
    f1_a: float
    f1_b: float


def paired(a: Sequence[PredictedQuestion], b: Sequence[PredictedQuestion], *, common: bool = False) -> list[Pair]:
    """The questions of both runs side by side, in A's order; with `common`, those that both have.

    Raises:
        DatasetError: they are not the same questions, or not with the same golds.
    """
    of_b = {p.question.question_id: p for p in b}
    pairs = [Pair(a=p, b=of_b[p.question.question_id]) for p in a if p.question.question_id in of_b]
    if not common and not len(pairs) == len(a) == len(b):
        ids_a = {p.question.question_id for p in a}
        raise DatasetError(
            f"A and B do not answer the same questions: {len(a) - len(pairs)} are only in A, {len(b) - len(pairs)} only"
            f" in B, {min(ids_a ^ of_b.keys())!r} for one; compare those that both have with --common"
        )
    if not pairs:
        raise DatasetError("A and B have no question in common: there is nothing to compare")
    _check_same(pairs)
    return pairs


def _check_same(pairs: Sequence[Pair]) -> None:
    for name, part in _TOLD_APART_BY:
        changed = [pair for pair in pairs if part(pair.a) != part(pair.b)]
        if changed:
            one = changed[0]
            raise DatasetError(
                f"{len(changed)} questions have other {name!r} in B, {one.a.question.question_id!r} for one:"
                f" {part(one.a)!r} became {part(one.b)!r}; run both on the same dataset"
            )


def changes(pairs: Sequence[Pair], a: Outcomes, b: Outcomes) -> tuple[list[Change], list[Change]]:
    """The questions won and lost, those that changed most first."""
    changed = [Change(pair=p, f1_a=x, f1_b=y) for p, x, y in zip(pairs, a["f1"], b["f1"], strict=True)]
    won = [c for c in changed if c.f1_b - c.f1_a >= CHANGED_BY]
    lost = [c for c in changed if c.f1_a - c.f1_b >= CHANGED_BY]
    return sorted(won, key=lambda c: c.f1_a - c.f1_b), sorted(lost, key=lambda c: c.f1_b - c.f1_a)
