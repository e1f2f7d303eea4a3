import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from qa.decode import MAX_ANSWER_TOKENS, TokenSpan, top_spans

Logits = NDArray[np.float32]
Pair = tuple[float, float]
LIMIT = 30.0
FLOATS = st.floats(-LIMIT, LIMIT, width=32)
TIED = st.sampled_from([-1.0, 0.0, 1.0])


@st.composite
def logits(draw: st.DrawFn, numbers: st.SearchStrategy[float], max_tokens: int = 45) -> tuple[Logits, Logits, Pair]:
    n = draw(st.integers(0, max_tokens))
    start, end = (draw(st.lists(numbers, min_size=n, max_size=n)) for _ in range(2))
    null = (draw(numbers), draw(numbers))
    return np.array(start, dtype=np.float32), np.array(end, dtype=np.float32), null


def every_span(start: Logits, end: Logits, max_tokens: int) -> list[tuple[float, int, int]]:
    """All spans, best first; equal ones by first and last token."""
    spans = [
        (-(float(start[first]) + float(end[last])), first, last)
        for first in range(len(start))
        for last in range(first, len(end))
        if last - first + 1 <= max_tokens
    ]
    return [(-cost, first, last) for cost, first, last in sorted(spans)]


def softmax(values: Logits, null: float) -> NDArray[np.float64]:
    """Probabilities of the tokens, in a distribution that [CLS] shares."""
    powers = np.exp(np.array([*values.tolist(), null], dtype=np.float64))
    return np.asarray((powers / powers.sum())[:-1])


def places(spans: list[TokenSpan]) -> list[tuple[float, int, int]]:
    return [(span.logit, span.first, span.last) for span in spans]


@settings(max_examples=200, deadline=None)
@given(logits(FLOATS), st.integers(1, 60), st.integers(1, 50))
def test_the_best_spans_are_those_of_brute_force(made: tuple[Logits, Logits, Pair], k: int, max_tokens: int) -> None:
    start, end, null = made
    assert places(top_spans(start, end, null, k=k, max_tokens=max_tokens)) == every_span(start, end, max_tokens)[:k]


@settings(max_examples=200, deadline=None)
@given(logits(TIED, max_tokens=12), st.integers(1, 20), st.integers(1, 13))
def test_equal_spans_come_in_order_of_place(made: tuple[Logits, Logits, Pair], k: int, max_tokens: int) -> None:
    start, end, null = made
    assert places(top_spans(start, end, null, k=k, max_tokens=max_tokens)) == every_span(start, end, max_tokens)[:k]


@settings(max_examples=100, deadline=None)
@given(logits(FLOATS, max_tokens=15))
def test_log_probability_is_that_of_two_softmaxes_with_cls(made: tuple[Logits, Logits, Pair]) -> None:
    start, end, null = made
    starts, ends = softmax(start, null[0]), softmax(end, null[1])
    for span in top_spans(start, end, null, k=20):
        expected = np.log(starts[span.first]) + np.log(ends[span.last])
        assert span.log_probability == pytest.approx(expected, abs=1e-9)


@settings(max_examples=100, deadline=None)
@given(logits(st.floats(width=32, allow_nan=False, allow_infinity=False), max_tokens=10))
def test_extreme_logits_do_not_overflow(made: tuple[Logits, Logits, Pair]) -> None:
    start, end, null = made
    for span in top_spans(start, end, null, k=100):
        assert np.isfinite(span.logit)
        assert np.isfinite(span.log_probability)
        assert span.log_probability <= 0


def test_a_span_is_at_most_thirty_tokens_by_default() -> None:
    n = MAX_ANSWER_TOKENS + 5
    start, end = np.zeros(n, dtype=np.float32), np.zeros(n, dtype=np.float32)
    start[0], end[MAX_ANSWER_TOKENS] = 9.0, 9.0  # together they would be one token too long
    found = top_spans(start, end, (0.0, 0.0), k=1)[0]
    assert (found.first, found.last, found.logit) == (0, 0, 9.0)
    end[MAX_ANSWER_TOKENS - 1] = 8.0
    found = top_spans(start, end, (0.0, 0.0), k=1)[0]
    assert (found.first, found.last, found.logit) == (0, MAX_ANSWER_TOKENS - 1, 17.0)


def test_no_span_ends_before_it_starts() -> None:
    start = np.array([0, 0, 9], dtype=np.float32)
    end = np.array([9, 0, 0], dtype=np.float32)
    spans = top_spans(start, end, (0.0, 0.0), k=100)
    assert sorted((s.first, s.last) for s in spans) == [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)]


def test_a_strong_null_lowers_every_log_probability_and_no_logit() -> None:
    start, end = np.array([1, 2], dtype=np.float32), np.array([2, 1], dtype=np.float32)
    weak, strong = (top_spans(start, end, (null, null), k=3) for null in (-20.0, 20.0))
    assert places(weak) == places(strong)
    for one, other in zip(weak, strong, strict=True):
        assert one.log_probability - other.log_probability > 30


@pytest.mark.parametrize(("n", "k", "max_tokens"), [(0, 5, 30), (3, 0, 30), (3, 5, 0)])
def test_nothing_asked_or_nothing_there_is_no_span(n: int, k: int, max_tokens: int) -> None:
    zeros = np.zeros(n, dtype=np.float32)
    assert top_spans(zeros, zeros, (0.0, 0.0), k=k, max_tokens=max_tokens) == []


def test_one_token_against_an_equal_null_has_one_chance_in_four() -> None:
    one = np.array([3.0], dtype=np.float32)
    (found,) = top_spans(one, one, (3.0, 3.0), k=5)
    assert np.exp(found.log_probability) == pytest.approx(0.25)
