"""Write a SQuAD-format file of questions that no reader was trained on, for `quoth eval` and `training.asked`.

    python -m training.split FILE OUT.json [--part fit|test] [--lacking 3]

Without options it is the whole validation part. `fit` and `test` are halves of it, by article: what the confidence is
fitted on, and what it is tested on. `--whole` takes every article, of a file that nothing was trained on. With
`--lacking N` about every N-th paragraph is left out, and its questions become impossible ones of a paragraph of the
same article (SQuAD v2.0 form): the archive is about the right thing and lacks the answer.
"""

import gzip
import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from training.data import is_validation

Record = dict[str, Any]
Part = Literal["fit", "test"]


def split(
    file: Path,
    out_file: Path,
    part: Annotated[Part | None, typer.Option(help="Half of the articles.")] = None,
    whole: Annotated[bool, typer.Option(help="Articles of the training part too.")] = False,
    lacking: Annotated[int, typer.Option(help="Leave out about every N-th paragraph.", min=0)] = 0,
) -> None:
    """Keep the articles chosen, with all that the file says of them."""
    opener = gzip.open if file.suffix == ".gz" else open
    with opener(file, "rt", encoding="utf-8") as opened:
        document: Record = json.load(opened)
    kept = [article for article in document["data"] if is_chosen(article["title"].replace("_", " "), part, whole=whole)]
    if lacking:
        kept = [article_without(article, lacking) for article in kept]
    out_file.write_text(json.dumps({**document, "data": kept}, ensure_ascii=False), encoding="utf-8")
    questions = [asked for article in kept for paragraph in article["paragraphs"] for asked in paragraph["qas"]]
    n_impossible = sum(bool(asked.get("is_impossible")) for asked in questions)
    print(json.dumps({"articles": len(kept), "questions": len(questions), "impossible": n_impossible}))


def is_chosen(title: str, part: Part | None, *, whole: bool) -> bool:
    """Whether the article so titled is written."""
    if not whole and not is_validation(title):
        return False
    return part is None or (hashlib.sha256(title.encode()).digest()[6] % 2 == 0) == (part == "fit")


def article_without(article: Record, lacking: int) -> Record:
    """The article less the paragraphs whose text hashes so; one paragraph stays in any case."""
    gone = [is_left_out(paragraph["context"], lacking) for paragraph in article["paragraphs"]]
    if all(gone):
        gone[0] = False
    kept = [dict(paragraph) for paragraph, left_out in zip(article["paragraphs"], gone, strict=True) if not left_out]
    homeless = [
        {**asked, "answers": [], "is_impossible": True}
        for paragraph, left_out in zip(article["paragraphs"], gone, strict=True)
        for asked in paragraph["qas"]
        if left_out
    ]
    kept[0]["qas"] = [*kept[0]["qas"], *homeless]
    return {**article, "paragraphs": kept}


def is_left_out(text: str, lacking: int) -> bool:
    """Whether a paragraph is kept out of the archive."""
    return hashlib.sha256(text.encode()).digest()[1] % lacking == 0


if __name__ == "__main__":
    typer.run(split)
