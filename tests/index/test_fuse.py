"""Fusion equals a slow oracle."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.fusion import best_first, fuse, normalised, weight

Ranking = list[tuple[int, float]]
scores = st.floats(-1e6, 1e6) | st.integers(-3, 3).map(float)
rankings = st.dictionaries(st.integers(0, 20), scores, max_size=15).map(
    lambda found: sorted(found.items(), key=lambda item: -item[1])
)
shares = st.floats(0, 1)


def slow(parts: list[Ranking]) -> dict[int, float]:
    fused = {}
    for key in {key for ranking in parts for key, _ in ranking}:
        score = 0.0
        for ranking in parts:
            values = [value for _, value in ranking]
            for other, value in ranking:
                if other == key and max(values) == min(values):
                    score += 1
                elif other == key:
                    score += (value - min(values)) / (max(values) - min(values))
        fused[key] = score / len(parts)
    return fused


@given(st.lists(rankings, min_size=1, max_size=3))
def test_fused_scores_are_the_means_of_normalised_scores(parts: list[Ranking]) -> None:
    found = fuse(parts)
    assert dict(found) == pytest.approx(slow(parts), abs=1e-9)
    assert len(found) == len(dict(found))
    assert all(0 <= score <= 1 + 1e-9 for _, score in found)
    assert found == sorted(found, key=lambda item: (-item[1], item[0]))


@given(rankings, st.floats(0.1, 10))
def test_one_ranking_keeps_its_order_whatever_its_scale(ranking: Ranking, scale: float) -> None:
    distinct = [(key, float(-place)) for place, (key, _) in enumerate(ranking)]
    found = fuse([[(key, score * scale + 7) for key, score in distinct]])
    assert [key for key, _ in found] == [key for key, _ in distinct]


def test_known_scores() -> None:
    dense, lexical = [(1, 0.9), (2, 0.5), (3, 0.1)], [(3, 12.0), (4, 3.0), (2, 6.0)]
    wanted = [(1, 0.5), (3, 0.5), (2, 0.25 + 0.5 / 3), (4, 0.0)]
    assert dict(fuse([dense, lexical])) == pytest.approx(dict(wanted))
    assert [key for key, _ in fuse([dense, lexical])] == [1, 3, 2, 4]


def test_equal_scores_are_ordered_by_key_and_all_equal_is_one() -> None:
    assert fuse([[(9, 2.0), (3, 2.0)]]) == [(3, 1.0), (9, 1.0)]
    assert fuse([[(9, 1.0)], [(3, 5.0)]]) == [(3, 0.5), (9, 0.5)]


def test_nothing_fused_is_nothing() -> None:
    assert fuse([[], []]) == []
    assert fuse([[], [(1, 3.0)]]) == [(1, 0.5)]


@given(st.floats(-1.001, 1.001), shares, shares)
def test_a_weight_is_a_weighted_mean_within_bounds(cosine: float, words: float, dense_weight: float) -> None:
    found = weight(cosine, words, dense_weight)
    assert found == pytest.approx(dense_weight * max(0.0, min(1.0, cosine)) + (1 - dense_weight) * words)
    assert 0 <= found <= 1 + 1e-12


@given(st.dictionaries(st.integers(0, 20), scores))
def test_normalising_keeps_the_order_between_nought_and_one(found: dict[int, float]) -> None:
    mapped = normalised(found)
    assert mapped.keys() == found.keys()
    assert max(mapped.values(), default=1.0) == 1.0
    assert len(set(found.values())) < 2 or min(mapped.values()) == 0.0
    assert all(mapped[a] <= mapped[b] for a in found for b in found if found[a] <= found[b])


def test_best_first_is_by_score_and_then_by_key() -> None:
    assert best_first({5: 1.0, 2: 3.0, 1: 1.0, 9: 2.0}) == [(2, 3.0), (9, 2.0), (1, 1.0), (5, 1.0)]
