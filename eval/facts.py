"""What a run is made with: versions, hashes of models and data, settings and the machine."""

import hashlib
import importlib.metadata
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from index.embedder import EmbedderInfo
from index.library import Library

_PACKAGES = ("quoth", "faiss-cpu", "numpy", "onnxruntime", "sentencex", "tantivy", "tiktoken", "tokenizers")
_CPU_FACTS = Path("/proc/cpuinfo")


def run_facts(
    *, settings: Mapping[str, Any], dataset: Path, library: Library, embedder: EmbedderInfo, models: Sequence[Path]
) -> dict[str, Any]:
    """What `run.json` holds; `inputs` is all that decides the predictions, besides the code."""
    return {
        "inputs": {
            "dataset": {"name": dataset.name, "sha256": path_sha256(dataset)},
            "archive": {"sha256": library.content_sha256()},
            "embedder": asdict(embedder),
            "models": {file.name: path_sha256(file) for file in models},
            "versions": {name: importlib.metadata.version(name) for name in _PACKAGES},
            "settings": dict(settings),
        },
        "machine": {
            "python": platform.python_version(),
            "system": platform.system(),
            "architecture": platform.machine(),
            "cpu": _cpu(),
            "cores": os.cpu_count(),
        },
    }


def path_sha256(path: Path) -> str:
    """SHA-256, in hexadecimal, of a file's bytes, or of the names and bytes of all files in a folder."""
    if not path.is_dir():
        return _file_digest(path).hex()
    digest = hashlib.sha256()
    for file in sorted(file for file in path.rglob("*") if file.is_file()):
        digest.update(file.relative_to(path).as_posix().encode() + b"\0")
        digest.update(_file_digest(file))
    return digest.hexdigest()


def _file_digest(file: Path) -> bytes:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()


def _cpu() -> str:
    """The processor's name where the system tells it."""
    if _CPU_FACTS.exists():
        for line in _CPU_FACTS.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()
