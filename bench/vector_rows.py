"""What is measured of a vector index: building it, opening and changing it, and searching it."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from bench.vector_kinds import WAYS, Kind, Vectors, add, set_search, train, untrained
from index.files import sha256_of

K = 50
_N_CHANGED = 10
_N_WARM_UP = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """What building an index cost; `cpu_s` is that of all threads."""

    n: int
    kind: str
    train_s: float
    add_s: float
    cpu_s: float
    save_s: float
    file_mb: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What opening cost, what the process grew by after searching (its own memory; the file's pages, which processes
    share), and what adding and removing ten vectors cost; None where it cannot be done.
    """

    n: int
    kind: str
    way: str
    open_ms: float
    sha256_ms: float
    own_mb: float
    shared_mb: float
    add_ten_ms: float | None
    remove_ten_ms: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """How right and how fast a search is: recall in [0, 1] against comparing all, milliseconds of one question."""

    n: int
    kind: str
    way: str
    setting: str
    threads: int
    questions: int
    recall_10: float
    recall_50: float
    ms_p50: float
    ms_p99: float
    cpu_ms_p50: float
    cpu_ms_p99: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Choice:
    """An index that is open in one way, with one setting."""

    kind: Kind
    way: str
    setting: str
    index: Any


def built(kind: Kind, vectors_file: Path, n: int, file: Path) -> Built:
    """Build an index of the first `n` vectors of a file and save it."""
    vectors = np.load(vectors_file, mmap_mode="r")[:n]
    cpu, began = time.process_time(), time.perf_counter()
    index = untrained(kind, n, vectors.shape[1])
    train(index, vectors)
    trained = time.perf_counter()
    add(index, vectors)
    added, cpu = time.perf_counter(), time.process_time() - cpu
    faiss.write_index(index, str(file))
    return Built(
        n=n,
        kind=kind.name,
        train_s=round(trained - began, 1),
        add_s=round(added - trained, 1),
        cpu_s=round(cpu, 1),
        save_s=round(time.perf_counter() - added, 1),
        file_mb=round(file.stat().st_size / 1e6, 1),
    )


def opened(kind: Kind, file: Path, way: str, questions: Vectors) -> Opened:
    """Open, search a hundred questions, add ten vectors and remove ten."""
    sha256_ms = timed(lambda: sha256_of(file))
    own, shared = memory_mb()
    began = time.perf_counter()
    index = faiss.read_index(str(file), WAYS[way])
    open_ms = 1000 * (time.perf_counter() - began)
    faiss.omp_set_num_threads(1)
    set_search(index, kind.settings[-1])
    for question in questions[:100]:
        index.search(question[None], K)
    own_now, shared_now = memory_mb()
    n, some = index.ntotal, questions[:_N_CHANGED]
    can_change = way == "memory"
    return Opened(
        n=n,
        kind=kind.name,
        way=way,
        open_ms=round(open_ms, 2),
        sha256_ms=round(sha256_ms, 1),
        own_mb=round(own_now - own, 1),
        shared_mb=round(shared_now - shared, 1),
        add_ten_ms=round(timed(lambda: index.add(some)), 2) if can_change else None,
        remove_ten_ms=_removing_ms(index) if can_change else None,
    )


def _removing_ms(index: Any) -> float | None:
    rows = np.linspace(0, index.ntotal - 1, _N_CHANGED).astype(np.int64)
    try:
        return round(timed(lambda: index.remove_ids(rows)), 2)
    except RuntimeError:  # not every kind can
        return None


def timed(work: Callable[[], object]) -> float:
    """Milliseconds of wall time."""
    began = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - began)


def memory_mb() -> tuple[float, float]:
    """Megabytes that the process has in memory: its own, and those of files, which processes share."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    held = dict(line.split(":", 1) for line in status.splitlines())
    return int(held["RssAnon"].split()[0]) / 1000, int(held["RssFile"].split()[0]) / 1000


def choices(indexes: Sequence[tuple[Kind, Path]]) -> list[Choice]:
    """Every index, opened in its ways, with every setting."""
    return [
        Choice(kind=kind, way=way, setting=setting, index=index)
        for kind, file in indexes
        for way in kind.ways
        for index in [faiss.read_index(str(file), WAYS[way])]
        for setting in kind.settings
    ]


def searched(vectors: Vectors, questions: Vectors, these: Sequence[Choice], threads: int) -> Iterator[Searched]:
    """Every choice is asked every question: one choice after the other, each at another place among the questions, so
    that none finds in the processor's cache what the one before has just read.
    """
    exact = nearest_of(vectors, questions)
    faiss.omp_set_num_threads(threads)
    n = len(questions)
    times, right = np.zeros((len(these), n, 2)), np.zeros((len(these), n, 2))
    for turn in range(-_N_WARM_UP, n):  # what comes before 0 is warm-up, and is asked again at the end
        for place, choice in enumerate(these):
            at = (turn + place * n // len(these)) % n
            found, times[place, at] = _asked(choice, questions[at], threads)
            right[place, at] = recall(found, exact[at], 10), recall(found, exact[at], K)
    for place, choice in enumerate(these):
        yield _row(choice, threads, times[place], right[place])


def nearest_of(vectors: Vectors, questions: Vectors) -> NDArray[np.int64]:
    """The exact `K` nearest rows of each question (all, if there are fewer), best first, `(n_questions, _)`."""
    k = min(K, len(vectors))
    _, rows = faiss.knn(questions, np.ascontiguousarray(vectors), k, metric=faiss.METRIC_INNER_PRODUCT)
    return np.asarray(rows, dtype=np.int64)


def _asked(choice: Choice, question: Vectors, threads: int) -> tuple[NDArray[np.int64], tuple[float, float]]:
    """The rows found, and the milliseconds of wall and of processor time."""
    set_search(choice.index, choice.setting)
    if choice.kind.has_lists:  # one question's lists are shared out between the threads
        faiss.extract_index_ivf(choice.index).parallel_mode = 1 if threads > 1 else 0
    cpu, began = time.process_time(), time.perf_counter()
    _, rows = choice.index.search(question[None], K)
    return rows[0], (1000 * (time.perf_counter() - began), 1000 * (time.process_time() - cpu))


def recall(found: NDArray[np.int64], exact: NDArray[np.int64], k: int) -> float:
    """The share of the exact first `k` that is among the first `k` found, in [0, 1]."""
    wanted = set(exact[:k].tolist())
    return len(wanted & set(found[:k].tolist())) / len(wanted)


def _row(choice: Choice, threads: int, times: NDArray[np.float64], right: NDArray[np.float64]) -> Searched:
    wall, cpu = times.T
    recall_10, recall_50 = right.mean(axis=0)
    return Searched(
        n=choice.index.ntotal,
        kind=choice.kind.name,
        way=choice.way,
        setting=choice.setting,
        threads=threads,
        questions=len(times),
        recall_10=round(float(recall_10), 4),
        recall_50=round(float(recall_50), 4),
        ms_p50=round(float(np.percentile(wall, 50)), 3),
        ms_p99=round(float(np.percentile(wall, 99)), 3),
        cpu_ms_p50=round(float(np.percentile(cpu, 50)), 3),
        cpu_ms_p99=round(float(np.percentile(cpu, 99)), 3),
    )
