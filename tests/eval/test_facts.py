import hashlib
import itertools
import json
import platform
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from eval.facts import path_sha256, run_facts
from index.articles import make_article
from index.embedder import Embedder
from index.library import Library
from index.passages import CharSpan
from index.records import NewArticle
from tests.index.parts import new_article, new_library, unit_vectors


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_run_facts_hold_all_that_decides_the_predictions(
    make: Callable[[str, str], Path], tmp_path: Path, embedder: Embedder
) -> None:
    model, dataset = make("model.onnx", "weights"), make("q.jsonl", "{}\n")
    library = new_library(tmp_path / "library", new_article("a"))
    settings = {"seed": 7, "min_confidence": 0.25}

    def facts() -> dict[str, dict[str, object]]:
        found = run_facts(settings=settings, dataset=dataset, library=library, embedder=embedder.info, models=[model])
        return json.loads(json.dumps(found))  # type: ignore[no-any-return]

    inputs = facts()["inputs"]
    assert inputs["settings"] == settings
    assert inputs["dataset"] == {"name": "q.jsonl", "sha256": sha256(b"{}\n")}
    assert inputs["models"] == {"model.onnx": sha256(b"weights")}
    assert inputs["archive"] == {"sha256": library.content_sha256()}
    assert embedder.info.weights_sha256 in json.dumps(inputs["embedder"])
    assert json.loads(json.dumps(inputs["versions"]))["numpy"] == np.__version__
    assert facts()["machine"]["python"] == platform.python_version()
    assert facts()["machine"]["cores"]

    seen = [facts()["inputs"]]
    make("model.onnx", "other weights")
    seen.append(facts()["inputs"])
    make("q.jsonl", "{} \n")
    seen.append(facts()["inputs"])
    library.put([new_article("b")])
    seen.append(facts()["inputs"])
    settings["seed"] = 8
    seen.append(facts()["inputs"])
    assert all(one != other for one, other in itertools.combinations(seen, 2))
    assert facts()["inputs"] == seen[-1]


def test_the_hash_of_a_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    file = tmp_path / "file"
    for data in (b"", b"x\n", bytes(range(256)) * 5000):
        file.write_bytes(data)
        assert path_sha256(file) == sha256(data)


def test_the_hash_of_a_folder_is_that_of_its_names_and_bytes(tmp_path: Path) -> None:
    def folder(name: str, files: dict[str, str]) -> str:
        for path, text in files.items():
            (tmp_path / name / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name / path).write_text(text)
        return path_sha256(tmp_path / name)

    files = {"corpus.jsonl": "{}\n", "qrels/test.tsv": "q\td\t1\n"}
    first = folder("one", files)
    assert first == folder("two", dict(reversed(files.items())))
    others = [
        {**files, "corpus.jsonl": "{}"},
        {"corpus.json": "{}\n", "qrels/test.tsv": "q\td\t1\n"},
        {"corpus.jsonl": "{}\n", "test.tsv": "q\td\t1\n"},
        {**files, "empty": ""},
        {"corpus.jsonl": "q\td\t1\n", "qrels/test.tsv": "{}\n"},
    ]
    hashes = {first, *(folder(f"other {number}", other) for number, other in enumerate(others))}
    assert len(hashes) == 6


A, B = (
    new_article("a", "One line.\nTwo lines.", title="First", seed=1),
    new_article("b", "Other.", title="Second", seed=2),
)


def test_archives_are_equal_by_content_however_they_grew(tmp_path: Path) -> None:
    together = new_library(tmp_path / "together", A, B).content_sha256()
    apart = new_library(tmp_path / "apart", B)
    apart.put([A])
    changed = new_library(tmp_path / "changed", A, new_article("b", "An earlier text."), new_article("c"))
    assert changed.content_sha256() != together
    changed.put([B])
    changed.remove("c")
    assert apart.content_sha256() == changed.content_sha256() == together
    assert Library(tmp_path / "apart").content_sha256() == together
    # Neither vectors nor what is not asked have a say.
    dated = new_article("a", "One line.\nTwo lines.", title="First", seed=9, source="The Test", published="2020-02-28")
    assert new_library(tmp_path / "dated", dated, B).content_sha256() == together


def cut_otherwise() -> NewArticle:
    article = make_article(article_id="a", text="One line.\nTwo lines.", title="First")
    return NewArticle(article=article, spans=[CharSpan(0, len(article.text))], vectors=unit_vectors(1, 1))


@pytest.mark.parametrize(
    "other",
    [
        new_article("a", "One line.\nTwo lines!", title="First"),
        new_article("a", "One line.\nTwo lines.", title="Second"),
        new_article("a", "One line.\nTwo lines."),
        new_article("z", "One line.\nTwo lines.", title="First"),
        cut_otherwise(),
    ],
)
def test_archives_differ_by_id_title_text_and_passages(tmp_path: Path, other: NewArticle) -> None:
    one, two = new_library(tmp_path / "one", A, B), new_library(tmp_path / "two", other, B)
    assert one.content_sha256() != two.content_sha256()
    assert one.content_sha256() != new_library(tmp_path / "fewer", A).content_sha256()
    assert len(new_library(tmp_path / "empty").content_sha256()) == 64
