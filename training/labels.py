"""What the teacher says of the windows of a coming run, for that run to learn from.

    python -m training.labels OUT_DIR TEACHER.pt --data TRAIN.json.gz --negatives NEGATIVES.npy
        [--recipe taught] [--compiled]

TEACHER.pt is what `training.teach` wrote. A run's windows follow from its recipe, seed and files, so give those that
`training.train --labels OUT_DIR` will be given, its steps among them: the first of its passes alone is labelled, for
the others repeat it. Writes a shard for every hundred batches; run it again after a stop and it goes on with the first
one that is missing. On a machine with a GPU it runs there.
"""

import json
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer

from eval.facts import path_sha256
from training.encoder import SpanReader
from training.recipe import RECIPES, Recipe
from training.shards import DESCRIPTION, SHARD_BATCHES, Said, digest, shard_file, write_shard
from training.teacher import CompiledOption, teacher_of
from training.train import (
    Course,
    DataOption,
    NegativesOption,
    RecipeOption,
    SeedOption,
    Sources,
    StepsOption,
    chosen,
    contents,
    course,
)
from training.trainer import DEVICE, Batch


def label(
    out_dir: Path,
    teacher_file: Annotated[Path, typer.Argument(help="The teacher's weights, of training.teach.")],
    data: DataOption,
    negatives: NegativesOption,
    recipe_name: RecipeOption = "taught",
    steps: StepsOption = None,
    seed: SeedOption = None,
    compiled: CompiledOption = False,
) -> None:
    """Write the shards that are missing. The last one is written whole, beyond the last batch if need be.

    Raises:
        SystemExit: the folder holds labels of another teacher or another run.
    """
    recipe = chosen(RECIPES[recipe_name], steps, seed)
    n_shards = -(-recipe.n_batches // SHARD_BATCHES)
    recipe = replace(recipe, n_steps=n_shards * SHARD_BATCHES, passes=1)
    out_dir.mkdir(parents=True, exist_ok=True)
    _describe(out_dir / DESCRIPTION, recipe, {"teacher": path_sha256(teacher_file), **contents(data, negatives)})
    teacher = teacher_of(torch.load(teacher_file, weights_only=True)).to(DEVICE).in_bfloat16().eval()
    if compiled:
        teacher.compile_layers()
    the_course = course(recipe, data, negatives)
    for shard in range(n_shards):
        file = shard_file(out_dir, shard)
        if not file.exists():
            write_shard(file, shard_of(teacher, the_course, shard))
            print(json.dumps({"shard": shard + 1, "of": n_shards}), flush=True)


def shard_of(teacher: SpanReader, the_course: Course, shard: int) -> list[Said]:
    """What the teacher says of the windows of the shard's batches."""
    todo = the_course.batches(skip=shard * SHARD_BATCHES)
    return [said(teacher, batch) for batch in islice(todo, SHARD_BATCHES)]


@torch.no_grad()
def said(teacher: SpanReader, batch: Batch) -> Said:
    """What the teacher says of one batch; it is in evaluation mode, on `DEVICE`."""
    ids, types, mask, _ = (tensor.to(DEVICE) for tensor in batch)
    logits = torch.stack(teacher(ids, types, mask)).cpu().numpy().astype(np.float16)
    return Said(digest=digest(batch), logits=logits)


def _describe(file: Path, recipe: Recipe, sources: Sources) -> None:
    """Write down, or compare with what is written, all that the labels follow from."""
    sizes = {name: getattr(recipe, name) for name in ("n_questions", "n_negatives", "longest", "seed")}
    written = json.dumps({**sources, **sizes, "rates": asdict(recipe.rates)}, indent=2) + "\n"
    if file.exists() and file.read_text(encoding="utf-8") != written:
        raise SystemExit(f"{file} is of another teacher or another run: name a new folder")
    file.write_text(written, encoding="utf-8")


if __name__ == "__main__":
    typer.run(label)
