"""Chance, where two runs A and B answered the same questions: differences are B - A, question by question.

Three answers to one question, "could chance alone do this?". The paired bootstrap draws questions with replacement, the
same ones for both runs, and gives the difference its interval. McNemar's exact test looks only at the questions that
one run has right and the other wrong: were both equally good, each would fall to either like a coin. The swap test is
the same idea for any metric: A and B of each question change places at random.
Pitfall: where few questions differ, the bootstrap alone is too sure. With four questions lost and none won, 98 % of the
resamples show a loss, but a fair coin falls on the same side four times in 12.5 % of cases: hence the tests beside it.
Sources: Efron & Tibshirani 1993, ch. 13 and 15; McNemar 1947; Noreen 1989.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from eval.bootstrap import resamples
from eval.metrics import Metric
from eval.outcomes import Outcomes

_N_SWAPS = 999
_SEED = 11
_DIGITS = 12
"""Differences are rounded to these: sums in another order must not make a difference out of none."""


def mcnemar(only_a: int, only_b: int) -> float:
    """The two-sided exact p of McNemar's test, from the numbers of questions that only A, and only B, has right."""
    n = only_a + only_b
    ways, term = 0, 1
    for i in range(min(only_a, only_b) + 1):
        ways += term
        term = term * (n - i) // (i + 1)
    return min(1.0, 2 * ways / (1 << n))


def swapped(a: Outcomes, b: Outcomes, swap: NDArray[np.bool_]) -> tuple[Outcomes, Outcomes]:
    """A and B with the questions exchanged where `swap`, (n_questions,), is true."""
    columns = a.columns.keys() & b.columns.keys()
    return (
        Outcomes({column: np.where(swap, b[column], a[column]) for column in sorted(columns)}),
        Outcomes({column: np.where(swap, a[column], b[column]) for column in sorted(columns)}),
    )


def resampled_differences(
    a: Outcomes, b: Outcomes, metrics: Sequence[Metric], n_resamples: int
) -> dict[str, NDArray[np.float64]]:
    """For each metric its difference in each paired resample, (n_resamples,); NaN where nothing counts."""
    means, others = _by_kind(metrics)
    a_table, b_table = _table(a, means), _table(b, means)
    of_means, of_others = [], []
    for rows in resamples(len(a), n_resamples):
        counts = np.bincount(rows, minlength=len(a)).astype(np.float64)
        of_means.append(_means(counts @ b_table) - _means(counts @ a_table))
        if others:
            of_others.append(_differences(a.take(rows), b.take(rows), others))
    return _by_name(means, of_means) | _by_name(others, of_others)


def swap_p(a: Outcomes, b: Outcomes, metrics: Sequence[Metric]) -> dict[str, float]:
    """For each metric the two-sided p of the swap test: how often chance makes at least this difference."""
    means, others = _by_kind(metrics)
    a_table, b_table = _table(a, means), _table(b, means)
    gains = b_table - a_table
    a_sums, b_sums = a_table.sum(axis=0), b_table.sum(axis=0)
    of_means, of_others = [], []
    for swap in _swaps(len(a)):
        moved = swap.astype(np.float64) @ gains
        of_means.append(_means(b_sums - moved) - _means(a_sums + moved))
        if others:
            of_others.append(_differences(*swapped(a, b, swap), others))
    by_chance = _by_name(means, of_means) | _by_name(others, of_others)
    observed = {m.name: abs(round(m.of(b) - m.of(a), _DIGITS)) for m in metrics}
    return {
        name: float(1 + np.count_nonzero(~(np.abs(chance) < observed[name]))) / (1 + _N_SWAPS)
        for name, chance in by_chance.items()
    }


def _table(outcomes: Outcomes, means: Sequence[Metric]) -> NDArray[np.float64]:
    """(n_questions, 2 x n_metrics): the values, 0 where a question does not count, then 1 where it does.

    A resample's means are then one product of matrices.
    """
    columns = [outcomes[m.column] for m in means if m.column is not None]
    values = np.column_stack(columns) if columns else np.empty((len(outcomes), 0))
    counts = ~np.isnan(values)
    return np.hstack([np.where(counts, values, 0.0), counts])


def _means(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    values, counts = np.split(sums, 2)
    return np.divide(values, counts, out=np.full_like(values, np.nan), where=counts > 0)


def _by_kind(metrics: Sequence[Metric]) -> tuple[list[Metric], list[Metric]]:
    return [m for m in metrics if m.column is not None], [m for m in metrics if m.column is None]


def _differences(a: Outcomes, b: Outcomes, metrics: Sequence[Metric]) -> NDArray[np.float64]:
    return np.array([m.of(b) - m.of(a) for m in metrics])


def _by_name(metrics: Sequence[Metric], rows: list[NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
    if not metrics:
        return {}
    return dict(zip((m.name for m in metrics), np.round(np.vstack(rows), _DIGITS).T, strict=True))


def _swaps(n: int) -> Iterator[NDArray[np.bool_]]:
    rng = np.random.default_rng(_SEED)
    for _ in range(_N_SWAPS):
        yield rng.random(n) < 0.5
