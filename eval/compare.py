"""Two runs on the same questions: what was set differently, what came of it, and whether the gate lets B pass."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.differences import Difference, differences, unmeasured
from eval.gate import Gated, gate, reason
from eval.outcomes import outcomes
from eval.pairs import Change, changes, paired
from eval.run_folder import PredictedQuestion, read_predictions, read_run


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two runs, under one threshold; `facts` is its `run.json`."""

    name: str
    predicted: Sequence[PredictedQuestion]
    min_confidence: float
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Something that `run.json` says otherwise in B than in A; empty where one says nothing."""

    name: str
    a: str
    b: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What there is to say about B beside A; `only_in_a` and `only_in_b` count the questions left out.

    `unmeasured` names the metrics that only one of the runs has.
    """

    a: Side
    b: Side
    n_questions: int
    only_in_a: int
    only_in_b: int
    facts: tuple[Fact, ...]
    differences: tuple[Difference, ...]
    unmeasured: tuple[str, ...]
    won: tuple[Change, ...]
    lost: tuple[Change, ...]
    gated: tuple[Gated, ...]

    @property
    def fails(self) -> bool:
        """Whether the gate holds B back."""
        return any(gated.worse for gated in self.gated)


def read_side(run_folder: Path, min_confidence: float | None = None) -> Side:
    """A finished run, under its own threshold or the given one.

    Raises:
        DatasetError: the folder holds no finished run.
    """
    run = read_run(run_folder)
    return Side(
        name=str(run_folder),
        predicted=read_predictions(run_folder),
        min_confidence=run.min_confidence if min_confidence is None else min_confidence,
        facts=run.document,
    )


def compare(a: Side, b: Side, *, gated: Sequence[str] = (), tolerance: float = 0.0, common: bool = False) -> Comparison:
    """B beside A, which came before it; `gated` names metrics, `tolerance` is in [0, 1].

    Raises:
        DatasetError: they cannot be compared, or a gated metric has no value in one of them.
    """
    pairs = paired(a.predicted, b.predicted, common=common)
    of_a = outcomes([pair.a for pair in pairs], a.min_confidence)
    of_b = outcomes([pair.b for pair in pairs], b.min_confidence)
    found = differences(of_a, of_b)
    won, lost = changes(pairs, of_a, of_b)
    return Comparison(
        a=a,
        b=b,
        n_questions=len(pairs),
        only_in_a=len(a.predicted) - len(pairs),
        only_in_b=len(b.predicted) - len(pairs),
        facts=tuple(_differing(a.facts, b.facts)),
        differences=tuple(found),
        unmeasured=tuple(unmeasured(of_a, of_b)),
        won=tuple(won),
        lost=tuple(lost),
        gated=tuple(gate(found, gated, tolerance)),
    )


def comparison_document(comparison: Comparison) -> dict[str, Any]:
    """The comparison as JSON: fractions rounded to 6 digits."""
    return {
        "a": {"run": comparison.a.name, "min_confidence": comparison.a.min_confidence},
        "b": {"run": comparison.b.name, "min_confidence": comparison.b.min_confidence},
        "n_questions": comparison.n_questions,
        "only_in_a": comparison.only_in_a,
        "only_in_b": comparison.only_in_b,
        "facts": [{"name": fact.name, "a": fact.a, "b": fact.b} for fact in comparison.facts],
        "metrics": {found.metric.name: _difference_document(found) for found in comparison.differences},
        "unmeasured": list(comparison.unmeasured),
        "won": [_change_document(change, comparison) for change in comparison.won],
        "lost": [_change_document(change, comparison) for change in comparison.lost],
        "gate": _gate_document(comparison) if comparison.gated else None,
    }


def _difference_document(found: Difference) -> dict[str, Any]:
    return {
        "a": round(found.a, 6),
        "b": round(found.b, 6),
        "difference": found.change.value,
        "low": found.change.low,
        "high": found.change.high,
        "n": found.change.n,
        "p": round(found.p, 6),
        "only_a": found.only_a,
        "only_b": found.only_b,
        "verdict": found.verdict.value,
    }


def _change_document(change: Change, comparison: Comparison) -> dict[str, Any]:
    return {
        "question_id": change.pair.a.question.question_id,
        "question": change.pair.a.question.question,
        "answers": list(change.pair.a.question.answers),
        "a": change.pair.a.given(comparison.a.min_confidence),
        "b": change.pair.b.given(comparison.b.min_confidence),
        "f1_a": round(change.f1_a, 6),
        "f1_b": round(change.f1_b, 6),
    }


def _gate_document(comparison: Comparison) -> dict[str, Any]:
    return {
        "passed": not comparison.fails,
        "metrics": [
            {
                "name": gated.difference.metric.name,
                "worse": gated.worse,
                "least_loss": round(gated.least_loss, 6),
                "tolerance": gated.tolerance,
                "reason": reason(gated),
            }
            for gated in comparison.gated
        ],
    }


def _differing(a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[Fact]:
    of_a, of_b = dict(_flat(a)), dict(_flat(b))
    for name in dict.fromkeys((*of_a, *of_b)):
        if of_a.get(name) != of_b.get(name):
            yield Fact(name=name.removeprefix("inputs."), a=_shown(of_a.get(name)), b=_shown(of_b.get(name)))


def _flat(document: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, object]]:
    for name, value in document.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _shown(value: object) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
