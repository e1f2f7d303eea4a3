"""The vectors that measurements start from: those of the paragraphs and of the questions of a SQuAD-format file."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from api.settings import Settings
from eval.datasets import read_dataset
from eval.questions import Dataset
from index.embedder import Embedder
from index.export import exported_embedder
from index.intake import OVERLAP_TOKENS, PASSAGE_TOKENS
from index.passages import Cl100kCounter, Limit, Splitter

_AT_ONCE = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class RealVectors:
    """Vectors of passages `(n_passages, dimension)` and of questions `(n_questions, dimension)`, float32, unit norm."""

    passages: NDArray[np.float32]
    questions: NDArray[np.float32]


def real_vectors(squad_file: Path, folder: Path, *, n_questions: int) -> RealVectors:
    """The passages in a random order and a random sample of the questions; embedded once and kept in `folder`.

    Passages are cut and embedded by the product's own parts.

    Raises:
        DatasetError: the file cannot be read.
        ModelError: the embedder is not on this computer.
    """
    passages, questions = folder / "passages.npy", folder / f"questions-{n_questions}.npy"
    if not passages.exists() or not questions.exists():
        folder.mkdir(parents=True, exist_ok=True)
        settings = Settings()
        embedder = Embedder(exported_embedder(settings.embedder, settings.cache / "embedders"))
        dataset = read_dataset(squad_file)
        asked = [question.question for question in dataset.questions]
        rows = np.random.default_rng(7).permutation(len(asked))[:n_questions]
        np.save(questions, np.stack([embedder.embed_question(asked[row]) for row in rows]))
        np.save(passages, _of_passages(dataset, embedder))
    order = np.random.default_rng(11).permutation(len(held := np.load(passages)))
    return RealVectors(passages=held[order], questions=np.load(questions))


def _of_passages(dataset: Dataset, embedder: Embedder) -> NDArray[np.float32]:
    limits = [
        Limit(counter=Cl100kCounter(), max_tokens=PASSAGE_TOKENS),
        Limit(counter=embedder, max_tokens=embedder.max_passage_tokens),
    ]
    splitter = Splitter(limits, overlap_tokens=OVERLAP_TOKENS)
    cut = [(a.title, span.of(a.text)) for a in dataset.articles or [] for span in splitter.split(a.text)]
    some = [cut[begin : begin + _AT_ONCE] for begin in range(0, len(cut), _AT_ONCE)]
    return np.concatenate([embedder.embed_passages(*map(list, zip(*part, strict=True))) for part in some])
