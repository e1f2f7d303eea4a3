"""Plot what an archive costs against its size, from the lines that `bench.index` prints.

python -m bench.growth BENCH_INDEX.jsonl OUT.svg
"""

import json
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import typer

_PANELS = (
    ("Retrieval, ms", {"retrieve_p50_ms": "p50", "retrieve_p99_ms": "p99"}),
    ("Memory of the process, MB", {"own_mb": "its own", "peak_mb": "peak, with mapped files"}),
    ("Opening, s", {"opens_s": "open"}),
    ("One article, s", {"add_one_s": "add and find", "remove_one_s": "remove"}),
    ("On the disk, MB", {"library_mb": "Library", "indexes_mb": "indexes"}),
    ("Found by the dense index", {"recall@10": "recall@10"}),
)


def main(results: Path, out: Path) -> None:
    """Write the plot."""
    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "quoth"  # the same file for the same figures
    rows = [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()]
    sizes = [row["passages"] for row in rows]
    figure, axes = plt.subplots(2, 3, figsize=(10, 5.2), layout="constrained")
    for axis, (title, lines) in zip(axes.flat, _PANELS, strict=True):
        for name, label in lines.items():
            axis.plot(sizes, [row[name] for row in rows], marker="o", label=label)
        axis.set(title=title, xscale="log", xlabel="passages", ylim=(0, None))
        axis.legend(frameon=False)
    figure.savefig(out, metadata={"Date": None})


if __name__ == "__main__":
    typer.run(main)
