"""What the official SQuAD scripts compute, slowly and from the papers' definitions: nothing here is our code.

A file's golds are `{question id: texts}`, none for an unanswerable question; predictions are `{question id: text}`.
"""

import string
from collections.abc import Mapping, Sequence


def words(text: str) -> list[str]:
    """Lower-case words without ASCII punctuation and without articles, found character by character."""
    kept = [char for char in text.lower() if char not in string.punctuation]
    found, word = [], ""
    for char in [*kept, " "]:  # runs of letters, digits and underscores are what a word boundary bounds
        if char.isalnum() or char == "_":
            word += char
        else:
            found += [" " if word in {"a", "an", "the"} else word, char]
            word = ""
    return "".join(found).split()


def exact_of(given: str, gold: str) -> float:
    """1 if the words are the same."""
    return 1.0 if words(given) == words(gold) else 0.0


def f1_of(given: str, gold: str, version: int) -> float:
    """The harmonic mean of precision and recall of the words; version 2 knows that nothing equals nothing."""
    given_words, gold_words = words(given), words(gold)
    if version == 2 and not (given_words and gold_words):
        return 1.0 if given_words == gold_words else 0.0
    left, common = list(gold_words), 0
    for word in given_words:
        if word in left:
            left.remove(word)
            common += 1
    return 2 * common / (len(given_words) + len(gold_words)) if common else 0.0


def official_v1(golds: Mapping[str, Sequence[str]], predictions: Mapping[str, str]) -> dict[str, float]:
    """In %; every gold counts, and a question without a prediction scores 0."""
    exact = f1 = 0.0
    for question_id, texts in golds.items():
        if question_id in predictions:
            exact += max(exact_of(predictions[question_id], text) for text in texts)
            f1 += max(f1_of(predictions[question_id], text, 1) for text in texts)
    return {"exact_match": 100 * exact / len(golds), "f1": 100 * f1 / len(golds)}


def official_v2(
    golds: Mapping[str, Sequence[str]], predictions: Mapping[str, str], no_answer: Mapping[str, float]
) -> dict[str, float]:
    """In %; all questions have a prediction, no two the same no-answer probability."""
    exact, f1 = {}, {}
    for question_id, texts in golds.items():
        counting = [text for text in texts if words(text)] or [""]
        exact[question_id] = max(exact_of(predictions[question_id], text) for text in counting)
        f1[question_id] = max(f1_of(predictions[question_id], text, 2) for text in counting)
    parts = {"": list(golds), "HasAns_": [q for q in golds if golds[q]], "NoAns_": [q for q in golds if not golds[q]]}
    scores = {}
    for name, part in parts.items():
        scores[f"{name}exact"] = 100 * sum(exact[q] for q in part) / len(part)
        scores[f"{name}f1"] = 100 * sum(f1[q] for q in part) / len(part)
    for name, of in (("best_exact", exact), ("best_f1", f1)):
        scores[name] = 100 * max(
            _at_threshold(threshold, of, golds, predictions, no_answer) for threshold in [-1.0, *no_answer.values()]
        )
    return scores


def _at_threshold(
    threshold: float,
    scores: Mapping[str, float],
    golds: Mapping[str, Sequence[str]],
    predictions: Mapping[str, str],
    no_answer: Mapping[str, float],
) -> float:
    """The mean score where questions of a higher no-answer probability are not answered."""
    total = 0.0
    for question_id, texts in golds.items():
        if no_answer[question_id] > threshold:
            total += 0.0 if texts else 1.0
        elif texts:
            total += scores[question_id]
        else:
            total += 0.0 if predictions[question_id] else 1.0
    return total / len(golds)
