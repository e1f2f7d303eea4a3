"""What the dense index rests on, measured at one size: filters, removed passages, new ones beside, and re-ranking.

    python -m bench.vector_design SQUAD.json.gz [--n 1000000] [--out FILE.jsonl]

The index is `IVF,SQ8`, mapped into memory, as `bench.vector_indexes` leaves it in --folder; vectors and questions are
as described there. Each search is asked all questions in turn, by one thread: where other work goes on, see `cpu_ms`.

`filter`: a share of the passages passes an IDSelectorBitmap, once a random share, once the share nearest to one
passage (as when a source writes about one field); recall is against the exact nearest that pass. The lists searched
are as many as without a filter, as many more as fewer pass (`scaled`), the root of that (`rooted`), or all. `removed`:
passages are shut out by IDSelectorNot, of a batch or of a bitmap. `beside`: as many vectors are compared one by one.
`reranked`: the hundred best are put in order by their own vectors, which are read from a mapped file.
"""

import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import faiss
import numpy as np
import typer
from numpy.typing import NDArray

from bench.made import stored_vectors
from bench.real import real_vectors
from bench.vector_kinds import WAYS, Vectors
from bench.vector_rows import K, nearest_of, recall

PROBES = 64
SHARES = (1.0, 0.3, 0.1, 0.03, 0.01, 0.001)
REMOVED = (0, 1_000, 20_000)
BESIDE = (4_096, 10_000, 20_000, 30_000, 50_000)
_N_RERANKED = 100
Rows = NDArray[np.int64]
Search = Callable[[Vectors], Rows]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One search asked of all questions; `found_least` is the fewest results of a question, of 50 asked for."""

    n: int
    part: str
    setting: str
    found_least: int
    recall_10: float
    recall_50: float
    ms_p50: float
    ms_p99: float
    cpu_ms_p50: float
    cpu_ms_p99: float


def main(
    squad_file: Path,
    n: int = 1_000_000,
    out: Annotated[Path, typer.Option(help="Rows are added to this file.")] = Path("runs/vector_design.jsonl"),
    folder: Annotated[Path, typer.Option(help="Where vectors and the index lie.")] = Path("runs/bench-vectors"),
    n_questions: int = 400,
    limit: Annotated[int, typer.Option(help="Questions of those that are asked.")] = 200,
) -> None:
    """Write one JSON line for each search."""
    real = real_vectors(squad_file, folder, n_questions=n_questions)
    vectors = np.load(stored_vectors(real.passages, n, folder / "vectors.npy"), mmap_mode="r")[:n]
    index: Any = faiss.read_index(str(folder / f"IVF,SQ8-{n}.faiss"), WAYS["mapped"])
    faiss.omp_set_num_threads(1)
    questions = real.questions[:limit]
    probing(index, index.nlist, None)(questions[0])  # the whole file is read once
    with out.open("a", encoding="utf-8") as file:
        for parts in (removed, filtered, reranked, beside):
            for part in parts(index, vectors, questions):
                print(json.dumps({"row": "part", **asdict(part)}), file=file, flush=True)
                print(part, flush=True)


def removed(index: Any, vectors: Vectors, questions: Vectors) -> Iterator[Part]:
    """Searches that shut some passages out."""
    for n_dead in REMOVED:
        dead = np.sort(np.random.default_rng(1).choice(len(vectors), size=n_dead, replace=False)).astype(np.int64)
        alive = np.ones(len(vectors), dtype=bool)
        alive[dead] = False
        exact = nearest_among(vectors, questions, np.flatnonzero(alive))
        batch, bits = faiss.IDSelectorBatch(dead), bitmap(~alive)
        for name, held in (("batch", batch), ("bitmap", bits)):
            search = probing(index, PROBES, faiss.IDSelectorNot(held))
            yield part_of(len(vectors), "removed", f"{n_dead}, {name}", search, questions, exact)


def filtered(index: Any, vectors: Vectors, questions: Vectors) -> Iterator[Part]:
    """Searches among those that pass, by chance or because they are about one thing."""
    close = np.argsort(-np.concatenate([vectors[b : b + 50_000] @ vectors[0] for b in range(0, len(vectors), 50_000)]))
    chance = np.random.default_rng(2).permutation(len(vectors))
    for order, name in ((chance, "by chance"), (close, "about one thing")):
        for share in SHARES:
            allowed = np.sort(order[: round(share * len(vectors))])
            passes = np.zeros(len(vectors), dtype=bool)
            passes[allowed] = True
            exact, bits = nearest_among(vectors, questions, allowed), bitmap(passes)
            ways = {"as ever": 1.0, "rooted": 1 / math.sqrt(share), "scaled": 1 / share, "all": math.inf}
            for way, more in ways.items():
                probes = min(index.nlist, math.ceil(min(PROBES * more, index.nlist)))
                setting = f"{share:.1%} {name}, {way}: {probes} lists"
                yield part_of(len(vectors), "filter", setting, probing(index, probes, bits), questions, exact)


def reranked(index: Any, vectors: Vectors, questions: Vectors) -> Iterator[Part]:
    """Searches whose best are put in order by their own vectors, and the same without."""
    exact = nearest_of(vectors, questions)
    for probes in (64, 96, 128):
        plain = probing(index, probes, None, k=_N_RERANKED)
        yield part_of(len(vectors), "reranked", f"{probes} lists, not", plain, questions, exact)

        def ordered(question: Vectors, plain: Search = plain) -> Rows:
            rows = plain(question)
            return rows[np.argsort(-(vectors[rows] @ question), kind="stable")]

        yield part_of(len(vectors), "reranked", f"{probes} lists, yes", ordered, questions, exact)


def beside(index: Any, vectors: Vectors, questions: Vectors) -> Iterator[Part]:
    """Searches that compare all of some vectors."""
    for n in BESIDE:
        flat = faiss.IndexFlatIP(index.d)
        flat.add(np.ascontiguousarray(vectors[:n]))
        yield part_of(n, "beside", f"{n}", partial(found, flat), questions, nearest_of(vectors[:n], questions))


def probing(index: Any, probes: int, selector: Any, k: int = K) -> Search:
    """A search of the nearest `probes` lists, among what the selector lets pass."""
    parameters: Any = faiss.SearchParametersIVF()
    parameters.nprobe, parameters.sel = probes, selector

    def search(question: Vectors) -> Rows:
        return found(index, question, k, parameters)

    return search


def found(index: Any, question: Vectors, k: int = K, parameters: Any = None) -> Rows:
    """The rows found, best first; fewer than `k` where there are no more."""
    _, rows = index.search(question[None], k, params=parameters)
    hits: Rows = rows[0][rows[0] >= 0]
    return hits


def bitmap(passes: NDArray[np.bool_]) -> Any:
    """A selector of the rows that are true."""
    selector: Any = faiss.IDSelectorBitmap
    return selector(np.packbits(passes, bitorder="little"))


def nearest_among(vectors: Vectors, questions: Vectors, allowed: Rows) -> Rows:
    """The exact nearest of the allowed rows, `(n_questions, K)`."""
    chosen: Rows = allowed[nearest_of(vectors[allowed], questions)]
    return chosen


def part_of(n: int, part: str, setting: str, search: Search, questions: Vectors, exact: Rows) -> Part:
    """The search asked of every question."""
    times, hits = [], []
    for question in questions:
        cpu, began = time.process_time(), time.perf_counter()
        hits.append(search(question))
        times.append((1000 * (time.perf_counter() - began), 1000 * (time.process_time() - cpu)))
    wall, processor = np.array(times).T
    right = np.array([(recall(h, e, 10), recall(h, e, K)) for h, e in zip(hits, exact, strict=True)]).mean(axis=0)
    return Part(
        n=n,
        part=part,
        setting=setting,
        found_least=min(len(rows) for rows in hits),
        recall_10=round(float(right[0]), 4),
        recall_50=round(float(right[1]), 4),
        ms_p50=round(float(np.percentile(wall, 50)), 3),
        ms_p99=round(float(np.percentile(wall, 99)), 3),
        cpu_ms_p50=round(float(np.percentile(processor, 50)), 3),
        cpu_ms_p99=round(float(np.percentile(processor, 99)), 3),
    )


if __name__ == "__main__":
    typer.run(main)
