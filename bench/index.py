"""What an archive costs as it grows: opening, asking, adding and removing, from 10 thousand passages to 1 million.

    python -m bench.index SQUAD.json.gz [--sizes 10000,100000,1000000] [--folder runs/bench-index]

Method: one Library grows from size to size through the product's own writes. The vectors are those of the file's
passages as long as there are any and made ones after them (bench/made.py); the texts are made (bench/made_texts.py),
four passages to an article, in transactions of 64 articles. At each size a process of its own opens the Library
(`opens_s`), asks 400 real questions (`retrieve_*`: embedding, both searches, fusion, reading passages; after a warm-up
of 40) with one caller, compares the dense index with all vectors (`recall@10`), then adds and removes single articles
as `quoth add` and `quoth remove` do, each until it is found or gone. Memory is that of the process at its peak before
the comparison, and what of it is the index's file, mapped and shared. One JSON line a size.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from api.settings import Settings
from api.wiring import Archive, open_archive
from bench.made import stored_vectors
from bench.made_texts import language_of, made_texts
from bench.real import real_vectors
from bench.vector_rows import memory_mb
from eval.datasets import read_dataset
from index.articles import make_article
from index.passages import CharSpan
from index.records import Filters, NewArticle

N_QUESTIONS = 400
_WARM_UP = 40
_SINGLE = 10
_PASSAGES_PER_ARTICLE = 4
_ARTICLES_AT_ONCE = 64
_AT_ONCE = 10_000


def main(
    squad_file: Path,
    sizes: Annotated[str, typer.Option(help="Passages, with commas between.")] = "10000,100000,1000000",
    folder: Annotated[Path, typer.Option(help="Where everything is kept; go on with what is there.")] = Path(
        "runs/bench-index"
    ),
) -> None:
    """Print one JSON line for each size."""
    wanted = [int(size) for size in sizes.split(",")]
    real = real_vectors(squad_file, folder, n_questions=N_QUESTIONS)
    vectors = np.load(stored_vectors(real.passages, max(wanted), folder / "vectors.npy"), mmap_mode="r")
    dataset = read_dataset(squad_file)
    asked = [question.question for question in dataset.questions]
    rows = np.random.default_rng(7).permutation(len(asked))[:N_QUESTIONS]  # those that `real_vectors` took
    (folder / "questions.json").write_text(json.dumps([asked[row] for row in rows]), encoding="utf-8")
    language = language_of([article.text for article in dataset.articles or []])
    texts = (text for chunk in made_texts(language, max(wanted), seed=3) for text in chunk)
    for size in wanted:
        archive = open_archive(Settings(library=folder / "library"), create=True)
        grown_s = grown(archive, size, vectors, texts)
        command = [sys.executable, "-m", "bench.index", "--measure", str(folder)]
        measured = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        print(json.dumps({"passages": size, **grown_s, **json.loads(measured)}), flush=True)


def grown(archive: Archive, size: int, vectors: np.ndarray, texts: Iterator[str]) -> dict[str, float]:
    """Put articles in until there are `size` passages, then bring the indexes up to date: seconds of both."""
    began = time.perf_counter()
    at = archive.library.counts()[1]
    batch: list[NewArticle] = []
    while at < size:
        lines = [next(texts) for _ in range(min(_PASSAGES_PER_ARTICLE, size - at))]
        ends = np.cumsum([len(line) + 1 for line in lines]).tolist()
        spans = [CharSpan(end - len(line) - 1, end) for line, end in zip(lines, ends, strict=True)]
        day = f"{1990 + at % 35}-01-01"
        article = make_article(
            article_id=f"made-{at}", title=" ".join(lines[0].split()[:6]), text="".join(f"{line}\n" for line in lines),
            published=day, source=f"source {at % 7}",
        )  # fmt: skip
        batch.append(NewArticle(article=article, spans=spans, vectors=np.array(vectors[at : at + len(lines)])))
        at += len(lines)
        if len(batch) == _ARTICLES_AT_ONCE or at == size:
            archive.library.put(batch)
            batch = []
    stored = time.perf_counter()
    archive.derived.refresh()
    archive.derived.merge()
    return {"store_s": round(stored - began, 1), "index_s": round(time.perf_counter() - stored, 1)}


def measure(folder: Path) -> dict[str, object]:
    """In a process that does nothing else."""
    began = time.perf_counter()
    archive = open_archive(Settings(library=folder / "library"))
    opened = time.perf_counter()
    questions = json.loads((folder / "questions.json").read_text(encoding="utf-8"))
    for question in questions[:_WARM_UP]:
        archive.retriever.retrieve(question, 10)
    plain = milliseconds(archive, questions, Filters())
    filtered = milliseconds(archive, questions[:100], Filters(source="source 3"))
    own_mb, shared_mb = memory_mb()
    # Not ru_maxrss: that of a child begins with its parent's.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    peak_mb = int(status.split("VmHWM:")[1].split()[0]) / 1024
    return {
        "opens_s": round(opened - began, 2),
        **quantiles("retrieve", plain),
        **quantiles("retrieve_one_source_of_seven", filtered),
        "own_mb": round(own_mb),
        "shared_mb": round(shared_mb),
        "peak_mb": round(peak_mb),
        **singles(archive),
        "recall@10": recall(archive, questions),
        "library_mb": round(archive.library.file.stat().st_size / 1e6),
        "indexes_mb": round(sum(f.stat().st_size for f in folder.glob("library/*ical/*")) / 1e6)
        + round(sum(f.stat().st_size for f in folder.glob("library/dense/*")) / 1e6),
    }


def milliseconds(archive: Archive, questions: list[str], filters: Filters) -> list[float]:
    """Of each question's retrieval."""
    found = []
    for question in questions:
        began = time.perf_counter()
        archive.retriever.retrieve(question, 10, filters)
        found.append((time.perf_counter() - began) * 1000)
    return found


def quantiles(name: str, found: list[float]) -> dict[str, float]:
    """The middle and the slowest of a hundred."""
    p50, p99 = np.quantile(found, [0.5, 0.99])
    return {f"{name}_p50_ms": round(float(p50), 2), f"{name}_p99_ms": round(float(p99), 2)}


def singles(archive: Archive) -> dict[str, float]:
    """Seconds to add one article and find it, and to remove it and find it no more: the median and the worst."""
    added, removed = [], []
    for number in range(_SINGLE):
        words = f"The lighthouse of Quothby{number} was lit again."
        began = time.perf_counter()
        list(archive.intake().take_in([make_article(article_id=f"single-{number}", text=words)]))
        hits = archive.retriever.retrieve(f"When was the lighthouse of Quothby{number} lit?", 1)
        added.append(time.perf_counter() - began)
        began = time.perf_counter()
        archive.library.remove(f"single-{number}")
        left = archive.retriever.retrieve(f"When was the lighthouse of Quothby{number} lit?", 10)
        removed.append(time.perf_counter() - began)
        if hits[0].passage.text != words or any(hit.passage.text == words for hit in left):
            raise SystemExit(f"single-{number} was not found, or was found after it had been removed")
    return {
        "add_one_s": round(float(np.median(added)), 3),
        "add_one_worst_s": round(max(added), 3),
        "remove_one_s": round(float(np.median(removed)), 3),
        "remove_one_worst_s": round(max(removed), 3),
    }


def recall(archive: Archive, questions: list[str]) -> float:
    """The share of the ten nearest of all the Library's vectors that the dense index finds."""
    asked = np.stack([archive.embedder.embed_question(question) for question in questions])
    keys = archive.derived.dense.keys()
    best_keys, best = np.empty((len(asked), 0), dtype=np.int64), np.empty((len(asked), 0), dtype=np.float32)
    for begin in range(0, len(keys), _AT_ONCE):
        some, vectors = archive.library.vectors(keys[begin : begin + _AT_ONCE])
        best = np.concatenate([best, asked @ vectors.T], axis=1)
        best_keys = np.concatenate([best_keys, np.broadcast_to(some, (len(asked), len(some)))], axis=1)
        top = np.argsort(-best, axis=1)[:, :10]
        best, best_keys = np.take_along_axis(best, top, axis=1), np.take_along_axis(best_keys, top, axis=1)
    shares = [
        len({key for key, _ in archive.derived.dense.search(question, 10)} & set(exact.tolist())) / 10
        for question, exact in zip(asked, best_keys, strict=True)
    ]
    return round(float(np.mean(shares)), 4)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        print(json.dumps(measure(Path(sys.argv[2]))))
    else:
        typer.run(main)
