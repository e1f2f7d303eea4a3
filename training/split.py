"""Write the validation part of a SQuAD-format file as a file of its own, for `quoth eval`.

python -m training.split TRAIN.json.gz OUT.json
"""

import gzip
import json
from pathlib import Path
from typing import Any

import typer

from training.data import is_validation


def split(train_file: Path, out_file: Path) -> None:
    """Keep the articles that no reader was trained on, with all that the file says of them."""
    opener = gzip.open if train_file.suffix == ".gz" else open
    with opener(train_file, "rt", encoding="utf-8") as file:
        document: dict[str, Any] = json.load(file)
    kept = [article for article in document["data"] if is_validation(article["title"].replace("_", " "))]
    out_file.write_text(json.dumps({**document, "data": kept}, ensure_ascii=False), encoding="utf-8")
    n_questions = sum(len(paragraph["qas"]) for article in kept for paragraph in article["paragraphs"])
    print(json.dumps({"articles": len(kept), "questions": n_questions}))


if __name__ == "__main__":
    typer.run(split)
