"""What a monitor reads, in Prometheus' form. Counted in each process; `exposition` adds up what the workers counted."""

import os
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from index.library import Library

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""Names the folder where several workers count together. The library reads it when it is first imported."""
REGISTRY = CollectorRegistry()
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1, 2, 5, 10, 30)

REQUESTS = Counter("quoth_requests", "Requests, by route and status.", ("method", "route", "status"), registry=REGISTRY)
REQUEST_SECONDS = Histogram(
    "quoth_request_seconds", "From the request to the end of the response.", ("route",), buckets=_SECONDS,
    registry=REGISTRY,
)  # fmt: skip
STAGE_SECONDS = Histogram(
    "quoth_stage_seconds", "Of a question: wait, retrieve, read, and the total of the work.", ("stage",),
    buckets=_SECONDS, registry=REGISTRY,
)  # fmt: skip
WAITING = Gauge(
    "quoth_queue_waiting", "Work that waits for its turn.", ("queue",), registry=REGISTRY, multiprocess_mode="livesum"
)
RUNNING = Gauge("quoth_queue_running", "Work that runs.", ("queue",), registry=REGISTRY, multiprocess_mode="livesum")
REFUSED = Counter("quoth_queue_refused", "Work not taken, or given up: why.", ("queue", "reason"), registry=REGISTRY)
ANSWERS = Counter(
    "quoth_answers", "Questions answered, and those refused for want of an answer.", ("outcome",), registry=REGISTRY
)
CONFIDENCE = Histogram(
    "quoth_confidence", "The confidence of the best candidate, answered or not.",
    buckets=tuple(tenth / 10 for tenth in range(1, 11)), registry=REGISTRY,
)  # fmt: skip
GENERATION = Gauge(
    "quoth_library_generation", "The number of writes to the Library so far.", registry=REGISTRY,
    multiprocess_mode="mostrecent",
)  # fmt: skip
ARTICLES = Gauge(
    "quoth_library_articles", "Articles in the Library.", registry=REGISTRY, multiprocess_mode="mostrecent"
)
PASSAGES = Gauge(
    "quoth_library_passages", "Passages in the Library.", registry=REGISTRY, multiprocess_mode="mostrecent"
)
LIBRARY_BYTES = Gauge(
    "quoth_library_bytes", "Size of the Library file.", registry=REGISTRY, multiprocess_mode="mostrecent"
)


def _forget_dead_workers(folder: Path) -> None:
    """What a worker that was killed had running and waiting is not running and waiting any more."""
    for pid in {int(file.stem.rpartition("_")[2]) for file in folder.glob("gauge_live*_*.db")}:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            mark_process_dead(pid)  # type: ignore[no-untyped-call]


def exposition(library: Library) -> bytes:
    """All metrics as text, with the Library's as they are now."""
    GENERATION.set(library.generation)
    articles, passages = library.counts()
    ARTICLES.set(articles)
    PASSAGES.set(passages)
    LIBRARY_BYTES.set(library.file.stat().st_size)
    if FOLDER_VARIABLE not in os.environ:
        return generate_latest(REGISTRY)
    _forget_dead_workers(Path(os.environ[FOLDER_VARIABLE]))
    together = CollectorRegistry()
    MultiProcessCollector(together)  # type: ignore[no-untyped-call]
    return generate_latest(together)
