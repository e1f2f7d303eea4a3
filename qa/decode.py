"""Logits to spans, in pure NumPy. A slow oracle in the tests holds it right."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MAX_ANSWER_TOKENS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSpan:
    """Tokens `first` to `last`, both included, of one window's passage.

    `logit` is the sum of the start and end logits; `log_probability` (<= 0) is that of this start and this end, each by
    a softmax over the window's passage tokens and [CLS]. Higher is better in both.
    """

    first: int
    last: int
    logit: float
    log_probability: float


def top_spans(
    start: NDArray[np.float32],
    end: NDArray[np.float32],
    null: tuple[float, float],
    *,
    k: int,
    max_tokens: int = MAX_ANSWER_TOKENS,
) -> list[TokenSpan]:
    """The `k` spans of highest logit, best first; equal ones in order of first and last token.

    Args:
        start: start logits of the passage's tokens, `(n,)`.
        end: end logits of the same tokens, `(n,)`.
        null: start and end logit of [CLS], which stand for "no answer here".
        k: how many spans at most.
        max_tokens: the longest answer.
    """
    n_tokens = len(start)
    width = min(max_tokens, n_tokens)
    if width == 0 or k < 1:
        return []
    # Row i holds start[i] + end[i + j] for the lengths j = 0 ... width - 1; past the passage's end it is -inf.
    padded = np.concatenate([end.astype(np.float64), np.full(width - 1, -np.inf)])
    sums = start.astype(np.float64)[:, None] + np.lib.stride_tricks.sliding_window_view(padded, width)
    flat = sums.ravel()
    n_best = min(k, int(np.isfinite(flat).sum()))
    # Everything at least as good as the n-th best, so that ties are broken by position and not by the partition.
    threshold = np.partition(flat, len(flat) - n_best)[len(flat) - n_best]
    places = np.flatnonzero(flat >= threshold)
    best = places[np.argsort(-flat[places], kind="stable")][:n_best]
    normaliser = _log_sum_exp(start, null[0]) + _log_sum_exp(end, null[1])
    return [
        TokenSpan(
            first=int(place // width),
            last=int(place // width + place % width),
            logit=float(flat[place]),
            log_probability=float(flat[place] - normaliser),
        )
        for place in best
    ]


def _log_sum_exp(logits: NDArray[np.float32], null: float) -> float:
    values = np.append(logits.astype(np.float64), null)
    highest = values.max()
    return float(highest + np.log(np.exp(values - highest).sum()))
