"""How often the gate fails a run that is exactly as good as the other: false alarms.

    python -m bench.null_gate A B [--gate em,f1,success@5] [--rounds 200] [--out FILE.jsonl]

Method: A and B are runs of different settings on the same questions, so that their answers really differ. In each round
every question's two outcomes change places or not, by a fair coin: neither side is then better than the other, so that
every alarm is a false one. The comparison is that of `quoth eval compare`, with all its resamples and no tolerance.
Prints one JSON document: the alarms, their share and its 95 % Wilson interval (Wilson 1927).
"""

import json
import math
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from eval.chance import swapped
from eval.compare import Side, read_side
from eval.differences import differences
from eval.gate import Gated, gate
from eval.metrics import metric
from eval.outcomes import Outcomes, outcomes
from eval.pairs import paired


def main(
    a: Path,
    b: Path,
    gated: Annotated[str, typer.Option("--gate", help="Metrics, as in `quoth eval compare`.")] = "em,f1,success@5",
    rounds: Annotated[int, typer.Option(min=1)] = 200,
    seed: int = 7,
    out: Annotated[Path | None, typer.Option(help="Write a JSON line a round.")] = None,
) -> None:
    """Count the alarms."""
    names = gated.split(",")
    of_a, of_b = aligned(read_side(a), read_side(b))
    rng = np.random.default_rng(seed)
    found = [null_round(of_a, of_b, names, rng) for _ in range(rounds)]
    if out is not None:
        out.write_text("".join(json.dumps(record(words)) + "\n" for words in found), encoding="utf-8")
    alarms = sum(any(word.worse for word in words) for words in found)
    low, high = wilson(alarms, rounds)
    shares = {"share": round(alarms / rounds, 4), "low": round(low, 4), "high": round(high, 4)}
    differ = int(np.count_nonzero(of_a["f1"] != of_b["f1"]))
    about = {"n_questions": len(of_a), "f1_differs": differ, "gate": names, "rounds": rounds, "alarms": alarms}
    print(json.dumps(about | shares))


def aligned(a: Side, b: Side) -> tuple[Outcomes, Outcomes]:
    """The outcomes of both, row by row the same question."""
    pairs = paired(a.predicted, b.predicted)
    return (
        outcomes([pair.a for pair in pairs], a.min_confidence),
        outcomes([pair.b for pair in pairs], b.min_confidence),
    )


def null_round(a: Outcomes, b: Outcomes, names: list[str], rng: np.random.Generator) -> list[Gated]:
    """The gate's words on two runs between which every question was dealt out by a coin."""
    dealt = swapped(a, b, rng.random(len(a)) < 0.5)
    return gate(differences(*dealt, [metric(name) for name in names]), names, tolerance=0.0)


def record(words: list[Gated]) -> dict[str, dict[str, float | bool]]:
    """A round as it is kept."""
    return {
        word.difference.metric.name: {
            "difference": word.difference.change.value,
            "least_loss": round(word.least_loss, 6),
            "p": round(word.difference.p, 6),
            "worse": word.worse,
        }
        for word in words
    }


def wilson(hits: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """The interval of a share; it stays inside [0, 1], also for none and for all."""
    centre = (hits + z**2 / 2) / (n + z**2)
    half = z * math.sqrt(hits * (n - hits) / n + z**2 / 4) / (n + z**2)
    return max(0.0, centre - half), min(1.0, centre + half)


if __name__ == "__main__":
    typer.run(main)
