"""Fusion equals a slow oracle."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.retriever import fuse

Ranking = list[tuple[int, float]]
scores = st.floats(-1e6, 1e6) | st.integers(-3, 3).map(float)
rankings = st.dictionaries(st.integers(0, 20), scores, max_size=15).map(
    lambda found: sorted(found.items(), key=lambda item: -item[1])
)
weighted = st.lists(st.tuples(rankings, st.floats(0.01, 5)), min_size=1, max_size=3)


def slow(parts: list[tuple[Ranking, float]]) -> dict[int, float]:
    fused = {}
    for key in {key for ranking, _ in parts for key, _ in ranking}:
        score = 0.0
        for ranking, weight in parts:
            values = [value for _, value in ranking]
            for other, value in ranking:
                if other == key and max(values) == min(values):
                    score += weight
                elif other == key:
                    score += weight * (value - min(values)) / (max(values) - min(values))
        fused[key] = score / sum(weight for _, weight in parts)
    return fused


@given(weighted)
def test_fused_scores_are_the_weighted_means_of_normalised_scores(parts: list[tuple[Ranking, float]]) -> None:
    found = fuse([ranking for ranking, _ in parts], [weight for _, weight in parts])
    assert dict(found) == pytest.approx(slow(parts), abs=1e-9)
    assert len(found) == len(dict(found))
    assert all(0 <= score <= 1 + 1e-9 for _, score in found)
    assert found == sorted(found, key=lambda item: (-item[1], item[0]))


@given(rankings, st.floats(0.1, 10))
def test_one_ranking_keeps_its_order_whatever_its_scale(ranking: Ranking, scale: float) -> None:
    distinct = [(key, float(-place)) for place, (key, _) in enumerate(ranking)]
    found = fuse([[(key, score * scale + 7) for key, score in distinct]], [1])
    assert [key for key, _ in found] == [key for key, _ in distinct]


def test_known_scores() -> None:
    dense, lexical = [(1, 0.9), (2, 0.5), (3, 0.1)], [(3, 12.0), (4, 3.0), (2, 6.0)]
    wanted = [(1, 0.75), (2, 0.375 + 0.25 / 3), (3, 0.25), (4, 0.0)]
    assert dict(fuse([dense, lexical], [0.75, 0.25])) == pytest.approx(dict(wanted))
    assert [key for key, _ in fuse([dense, lexical], [0.75, 0.25])] == [1, 2, 3, 4]


def test_equal_scores_are_ordered_by_key_and_all_equal_is_one() -> None:
    assert fuse([[(9, 2.0), (3, 2.0)]], [5]) == [(3, 1.0), (9, 1.0)]
    assert fuse([[(9, 1.0)], [(3, 5.0)]], [1, 1]) == [(3, 0.5), (9, 0.5)]


def test_nothing_fused_is_nothing() -> None:
    assert fuse([[], []], [0.5, 0.5]) == []
    assert fuse([[], [(1, 3.0)]], [1, 0]) == [(1, 0.0)]


def test_rankings_without_their_weights_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        fuse([[(1, 1.0)], [(2, 1.0)]], [1])
