"""Questions as people type them."""

import re

import numpy as np

_EMPTY_WORDS = frozenset(
    re.findall(
        r"\w+",
        "a an the of in on at to for from by with and or is are was were be been being do does did has have had what"
        " which who whom whose when where why how that this these those there it its as",
    )
)


def terse(question: str) -> str:
    """The words that carry meaning, as in a search box; "how many" becomes "number", "how much" "amount".

    The question itself where fewer than two words would be left.
    """
    words = re.findall(r"[\w'’.,$%-]+", question.rstrip("? "))
    kept = [word for word in words if word.lower() not in _EMPTY_WORDS]
    if question.lower().startswith(("how many", "how much")):
        kept = ["number" if question.lower().startswith("how many") else "amount", *kept[1:]]
    return " ".join(kept) if len(kept) > 1 else question


def mistyped(question: str, rng: np.random.Generator) -> str:
    """One letter of one longer word lost, doubled, or swapped with the next; never a word's first letter.

    The question itself where it has no five ASCII letters side by side, or where two equal letters were swapped.
    """
    places = list(re.finditer(r"[A-Za-z]{5,}", question))
    if not places:
        return question
    word = places[int(rng.integers(len(places)))]
    at = word.start() + 1 + int(rng.integers(len(word.group()) - 2))
    kind = int(rng.integers(3))
    if kind == 0:
        return question[:at] + question[at + 1 :]
    if kind == 1:
        return question[:at] + question[at] + question[at:]
    return question[:at] + question[at + 1] + question[at] + question[at + 2 :]
