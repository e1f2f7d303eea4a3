"""Two rankings become one: by their scores, to choose what is weighed; then by what the passages themselves say."""

from collections.abc import Mapping, Sequence


def fuse(rankings: Sequence[Sequence[tuple[int, float]]]) -> list[tuple[int, float]]:
    """The mean of the rankings' scores, each first mapped to [0, 1]; best first, equal scores by key.

    What a ranking lacks counts 0. Bruch et al., "An Analysis of Fusion Functions for Hybrid Retrieval", 2023: such a
    combination beats reciprocal rank fusion; ours agrees (docs/adr/0010). It only chooses what is weighed.
    """
    fused: dict[int, float] = {}
    for ranking in rankings:
        for key, score in normalised(dict(ranking)).items():
            fused[key] = fused.get(key, 0.0) + score / len(rankings)
    return best_first(fused)


def weight(cosine: float, words: float, dense_weight: float) -> float:
    """What a passage weighs, in [0, 1], higher is better.

    Args:
        cosine: of question and passage; below 0 counts as 0.
        words: `Overlap.score`, in [0, 1].
        dense_weight: in [0, 1]; 0 is words alone, 1 is the cosine alone.
    """
    return dense_weight * min(max(cosine, 0.0), 1.0) + (1 - dense_weight) * words


def normalised(scores: Mapping[int, float]) -> dict[int, float]:
    """The scores mapped to [0, 1]: the best becomes 1 and the worst 0 (all equal: 1)."""
    if not scores:
        return {}
    low, high = min(scores.values()), max(scores.values())
    if high == low:
        return dict.fromkeys(scores, 1.0)
    return {key: (score - low) / (high - low) for key, score in scores.items()}


def best_first(scores: Mapping[int, float]) -> list[tuple[int, float]]:
    """Keys and scores, highest score first, equal scores by key."""
    return sorted(scores.items(), key=lambda item: (-item[1], item[0]))
