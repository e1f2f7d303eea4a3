"""Find, for every training question, paragraphs that look right and do not hold the answer.

    python -m training.negatives TRAIN.json.gz NEGATIVES.npy

They are what the product itself would read for the question: the first passages of the fused retriever, over an archive
of the file's paragraphs (built once and kept in the cache, as `quoth eval run` does).
"""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import typer
from rich.progress import track

from api.eval_archive import dataset_archive
from api.settings import Settings
from eval.datasets import read_dataset
from eval.squad import SquadParagraph, read_squad
from index.articles import normalise
from index.library import Library
from index.records import Filters
from index.retriever import Retriever
from training.data import Example, examples, training_part

N_NEGATIVES = 8
N_CANDIDATES = 24


def mine(train_file: Path, out_file: Path) -> None:
    """Write `(n_questions, 8)` int32: paragraph indices, best retrieved first, of the training part.

    A paragraph in which the gold answer stands as whole words, in whatever case, is not taken: it may well answer.

    Raises:
        SystemExit: every paragraph holds a question's gold answer.
    """
    settings = Settings()
    paragraphs = training_part(read_squad(train_file))
    pool = examples(paragraphs)
    archive = dataset_archive(read_dataset(train_file), settings)
    place_of = _places(archive.library, paragraphs)
    contexts = [paragraph.context.casefold() for paragraph in paragraphs]
    found = np.zeros((len(pool), N_NEGATIVES), dtype=np.int32)
    for row, example in enumerate(track(pool, description="Searching")):
        gold = paragraphs[example.paragraph].context[example.start : example.end].casefold()
        ranked = _ranked(archive.retriever, example, place_of)
        wrong = [place for place in ranked if not holds(contexts[place], gold)] or [_any_without(gold, contexts, row)]
        found[row] = np.resize(np.array(wrong[:N_NEGATIVES], dtype=np.int32), N_NEGATIVES)  # repeats them
    np.save(out_file, found)


def holds(context: str, gold: str) -> bool:
    """Whether the gold answer stands in the context as whole words; both are in folded case.

    Whole, for "i" is an answer in Amazon's reviews and a letter of each of them.
    """
    return re.search(rf"(?<!\w){re.escape(gold)}(?!\w)", context) is not None


def _places(library: Library, paragraphs: Sequence[SquadParagraph]) -> dict[str, int]:
    """Article id in the archive to paragraph index; the archive also holds the validation part, which has none."""
    by_text = {normalise(paragraph.context): i for i, paragraph in enumerate(paragraphs)}
    ids = [summary.article_id for summary in library.articles()]
    texts = ((article_id, library.get(article_id).text) for article_id in ids)
    return {article_id: by_text[text] for article_id, text in texts if text in by_text}


def _ranked(retriever: Retriever, example: Example, place_of: dict[str, int]) -> list[int]:
    """Paragraph indices, best first, each once."""
    passages = retriever.retrieve(example.question, N_CANDIDATES, Filters())
    found = [place_of.get(p.passage.article_id) for p in passages]
    return list(dict.fromkeys(place for place in found if place is not None))


def _any_without(gold: str, contexts: Sequence[str], seed: int) -> int:
    """A random paragraph that does not hold the gold answer; both are in folded case."""
    for place in np.random.default_rng(seed).permutation(len(contexts)):
        if not holds(contexts[place], gold):
            return int(place)
    raise SystemExit(f"every paragraph holds the answer {gold!r}: there is no negative for its question")


if __name__ == "__main__":
    typer.run(mine)
