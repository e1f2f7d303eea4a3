"""EM and F1 of an exported reader, float32 and int8, with the gold paragraph given.

On the validation part of a SQuAD-format file, or on all of it.

python -m training.validate SQUAD.json.gz READER_DIR [--whole]
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from api.settings import Settings
from eval.answer_metrics import best_over_golds, exact_match, f1
from eval.bootstrap import estimate_mean
from eval.squad import SquadParagraph, read_squad
from index.passages import CharSpan
from qa.reader import Reader
from qa.tidy import tidy_span
from qa.windows import PassageText
from training.data import validation_part

FLOAT32, INT8 = "reader-float32.onnx", "reader.onnx"
MAX_LOST_F1 = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """EM and F1 in [0, 1] of each question, `(n,)`."""

    em: NDArray[np.float64]
    f1: NDArray[np.float64]

    def document(self) -> dict[str, int | list[float]]:
        """The means in % with 95 % bootstrap intervals: value, low, high."""
        estimates = {name: estimate_mean(column) for name, column in (("em", self.em), ("f1", self.f1))}
        return {
            "n": len(self.em),
            **{
                name: [round(100 * number, 2) for number in (found.value, found.low, found.high)]
                for name, found in estimates.items()
                if found is not None
            },
        }


def scores(reader: Reader, paragraphs: Sequence[SquadParagraph], *, with_title: bool) -> Scores:
    """EM and F1 of the reader's best span, for all answerable questions in order."""
    exact, overlap = [], []
    for paragraph in paragraphs:
        passage = PassageText(title=paragraph.title if with_title else "", text=paragraph.context)
        for question in paragraph.questions:
            if question.answers:
                given = best_text(reader, question.question, passage)
                golds = [answer.text for answer in question.answers]
                exact.append(best_over_golds(exact_match, given, golds))
                overlap.append(best_over_golds(f1, given, golds))
    return Scores(em=np.array(exact, dtype=np.float64), f1=np.array(overlap, dtype=np.float64))


def best_text(reader: Reader, question: str, passage: PassageText) -> str:
    """The tidied text of the best span, empty if there is none."""
    for read in reader.read(question, [passage])[0]:
        tidy: CharSpan | None = tidy_span(passage.text, read.span)
        if tidy is not None:
            return tidy.of(passage.text)
    return ""


def validate(
    squad_file: Path,
    reader_dir: Path,
    whole: Annotated[bool, typer.Option(help="Score the whole file, not its validation part.")] = False,
    limit: Annotated[int, typer.Option(help="Score only the first N paragraphs.")] = 0,
) -> None:
    """Print one JSON line for each graph, with and without the title in front.

    Fails if int8 loses half a point of F1 or more.
    """
    paragraphs = read_squad(squad_file)
    paragraphs = paragraphs if whole else validation_part(paragraphs)
    f1_of: dict[tuple[str, bool], float] = {}
    for with_title in (False, True):
        for graph in (FLOAT32, INT8):
            reader = Reader(reader_dir, graph=graph, threads=Settings().threads)
            found = scores(reader, paragraphs[: limit or None], with_title=with_title)
            f1_of[graph, with_title] = 100 * float(found.f1.mean())
            print(json.dumps({"graph": graph, "with_title": with_title, **found.document()}), flush=True)
    lost = max(f1_of[FLOAT32, with_title] - f1_of[INT8, with_title] for with_title in (False, True))
    if lost >= MAX_LOST_F1:
        raise SystemExit(f"int8 loses {lost:.2f} points of F1 against float32")


if __name__ == "__main__":
    typer.run(validate)
