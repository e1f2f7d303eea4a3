import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from api.settings import Settings
from index.passages import Cl100kCounter
from index.retriever import DENSE_WEIGHT
from qa.confidence import load_confidence
from qa.pipeline import PASSAGES_READ
from tests.api.parts import QUESTIONS, QuothHere, asked, lines_of, values, write_lines, write_squad
from tests.conftest import IDLIB, SUEZ

SHIPPED_THRESHOLD = load_confidence().min_confidence
NOTHING = {"passage-tokens": "", "overlap-tokens": "", "dense-weight": "", "passages": "", "min-confidence": ""}
LONG = " ".join(
    f"In {year} the harbour of town number {year - 1900} took in {year * 7} tonnes of grain."
    for year in range(1950, 1980)
)


def swept(quoth: QuothHere, dataset: Path, out: Path, options: Mapping[str, str], **more: Any) -> CompletedProcess[str]:
    """Sweep over the options that are named, and no other."""
    given = [f"--{name}={value}" for name, value in {**NOTHING, **options}.items()]
    return quoth("eval", "sweep", dataset, "--out", out, *given, **more)


def points_of(out: Path, setting: str) -> dict[float, dict[str, Any]]:
    """The points of a setting by value, from `sweep.json`."""
    document = json.loads((out / "sweep.json").read_text(encoding="utf-8"))
    (sweep,) = [sweep for sweep in document if sweep["setting"] == setting]
    return {point["value"]: point for point in sweep["points"]}


def scores_of(point: Mapping[str, Any]) -> dict[str, float]:
    return {name: estimate["value"] for name, estimate in point["scores"].items()}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_lines(tmp_path_factory.mktemp("dataset") / "questions.jsonl", QUESTIONS)


@pytest.fixture(scope="module")
def done(quoth_here: QuothHere, dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished sweep of the Library; to be looked at, not changed."""
    out = tmp_path_factory.mktemp("sweeps") / "done"
    swept(quoth_here, dataset, out, {"passages": "1", "dense-weight": "0", "min-confidence": "0,0.5,1,0.50"})
    return out


@pytest.fixture
def copied(done: Path, tmp_path: Path) -> Path:
    """The sweep, to be changed."""
    return Path(shutil.copytree(done, tmp_path / "copied"))


def made_at(out: Path) -> dict[str, int]:
    """When the predictions of each run folder were written."""
    return {file.parent.name: file.stat().st_mtime_ns for file in out.glob("*/predictions.jsonl")}


def test_every_setting_has_its_values_and_the_shipped_one(done: Path) -> None:
    assert {file.name for file in done.iterdir()} == {
        "shipped", "passages-1", "dense_weight-0", "sweep.json", "sweep.html",
    }  # fmt: skip
    shipped = {"passages": PASSAGES_READ, "dense_weight": DENSE_WEIGHT, "min_confidence": SHIPPED_THRESHOLD}
    expected: dict[str, list[float]] = {"passages": [1, PASSAGES_READ], "dense_weight": [0, DENSE_WEIGHT]}
    expected["min_confidence"] = sorted({0, 0.5, 1, SHIPPED_THRESHOLD})
    document = json.loads((done / "sweep.json").read_text(encoding="utf-8"))
    assert [sweep["setting"] for sweep in document] == ["dense_weight", "passages", "min_confidence"]
    assert [sweep["decides"] for sweep in document] == ["best_f1", "best_f1", "f1"]
    for sweep in document:
        assert [point["value"] for point in sweep["points"]] == expected[sweep["setting"]]
        marked = [point for point in sweep["points"] if point["is_shipped"]]
        assert [point["value"] for point in marked] == [shipped[sweep["setting"]]]
        assert (marked[0]["change"], marked[0]["verdict"]) == (None, None)
        assert sweep["winner"] in expected[sweep["setting"]]


def test_points_equal_runs_with_the_same_setting(
    quoth_here: QuothHere, dataset: Path, done: Path, tmp_path: Path
) -> None:
    for passages in (1, PASSAGES_READ):
        out = tmp_path / f"passages-{passages}"
        quoth_here("eval", "run", dataset, "--out", out, "--passages", str(passages))
        point = points_of(done, "passages")[passages]
        assert scores_of(point) == {name: values(out)[name] for name in point["scores"]}
        swept_into = done / ("passages-1" if passages == 1 else "shipped")
        assert (swept_into / "predictions.jsonl").read_bytes() == (out / "predictions.jsonl").read_bytes()
    lines = lines_of(done / "passages-1" / "predictions.jsonl")
    assert {len(line["passages"]) for line in lines} == {1}


def test_thresholds_equal_scoring_again(quoth_here: QuothHere, done: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(done / "shipped", tmp_path / "run"))
    for threshold, point in points_of(done, "min_confidence").items():
        quoth_here("eval", "score", run, "--min-confidence", str(threshold), "--json")
        assert {"f1", "em", "answered", "rightly_refused", "wrongly_refused"} <= set(point["scores"])
        assert scores_of(point) == {name: values(run)[name] for name in point["scores"]}
    shipped, zero = (points_of(done, "min_confidence")[value] for value in (SHIPPED_THRESHOLD, 0))
    assert zero["scores"]["answered"]["value"] == 1.0
    difference = zero["scores"]["f1"]["value"] - shipped["scores"]["f1"]["value"]
    assert zero["change"]["value"] == pytest.approx(difference, abs=2e-6)


def test_a_sweep_goes_on_without_asking_again(quoth_here: QuothHere, dataset: Path, copied: Path) -> None:
    before, pages = made_at(copied), (copied / "sweep.json").read_bytes()
    lost = (copied / "passages-1" / "predictions.jsonl").read_bytes()
    shutil.rmtree(copied / "passages-1")
    (copied / "sweep.json").unlink()
    swept(quoth_here, dataset, copied, {"passages": "1", "dense-weight": "0"})

    after = made_at(copied)
    assert {name: after[name] for name in ("shipped", "dense_weight-0")} == {
        name: before[name] for name in ("shipped", "dense_weight-0")
    }
    assert (copied / "passages-1" / "predictions.jsonl").read_bytes() == lost
    old, new = (json.loads(document) for document in (pages, (copied / "sweep.json").read_bytes()))
    for sweep in (*old, *new):
        for point in sweep["points"]:
            del point["total_ms"]
    assert new == old[:2]  # the thresholds were left out


def test_a_changed_dataset_is_asked_anew(quoth_here: QuothHere, copied: Path, tmp_path: Path) -> None:
    more = asked("length", "How long is the Ever Given?", ["400 metres"], ["suez"])
    longer = write_lines(tmp_path / "questions.jsonl", [*QUESTIONS, more])
    before = made_at(copied)
    swept(quoth_here, longer, copied, {"passages": "1"})

    after = made_at(copied)
    assert all(after[name] > before[name] for name in ("shipped", "passages-1"))
    assert after["dense_weight-0"] == before["dense_weight-0"]
    assert len(lines_of(copied / "shipped" / "predictions.jsonl")) == 5
    assert all(point["scores"]["f1"]["n"] == 5 for point in points_of(copied, "passages").values())


def test_splitting_is_swept_over_archives_of_their_own(quoth_here: QuothHere, filled: Settings, tmp_path: Path) -> None:
    pairs = [("How many tonnes of grain did town number 61 take in?", str(1961 * 7)), ("Who wrote it?", "")]
    squad = write_squad(tmp_path / "v2.json", [(LONG, pairs), (SUEZ.text, [])], version="v2.0")
    out = tmp_path / "sweep"
    options = {"passage-tokens": "100", "overlap-tokens": "0,75", "passages": "1"}
    swept(quoth_here, squad, out, options)
    quoth_here("eval", "run", squad, "--out", tmp_path / "one", "--passages", "1")

    one = points_of(out, "passages")[1]
    assert scores_of(one) == {name: values(tmp_path / "one")[name] for name in one["scores"]}
    assert sorted(points_of(out, "passage_tokens")) == [100, 150]
    assert sorted(points_of(out, "overlap_tokens")) == [0, 40, 75]
    tokens = {
        folder: Cl100kCounter().n_tokens([passage["text"] for passage in lines_of(out / folder / "passages.jsonl")])
        for folder in ("passage_tokens-100", "shipped", "overlap_tokens-0", "overlap_tokens-75")
    }
    assert max(tokens["passage_tokens-100"]) <= 100 < max(tokens["shipped"]) <= 150
    assert sum(tokens["overlap_tokens-0"]) < sum(tokens["shipped"]) < sum(tokens["overlap_tokens-75"])

    built = {folder: folder.stat().st_mtime_ns for folder in (filled.cache / "eval").glob("*/library.sqlite3")}
    assert len(built) >= 4
    again = swept(quoth_here, squad, out, options)
    assert "Building" not in again.stderr
    assert {folder: folder.stat().st_mtime_ns for folder in (filled.cache / "eval").glob("*/library.sqlite3")} == built


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"passages": "1,many"}, ("--passages", "'many' is not a whole number")),
        ({"passages": "1.5"}, ("--passages", "'1.5' is not a whole number")),
        ({"passages": "0"}, ("--passages", "from 1 to 100")),
        ({"passages": "1,,2"}, ("--passages", "'' is not a whole number")),
        ({"dense-weight": "1.1"}, ("--dense-weight", "1.1 is not a number from 0 to 1")),
        ({"dense-weight": "nan"}, ("--dense-weight", "from 0 to 1")),
        ({"min-confidence": "-0.1"}, ("--min-confidence", "from 0 to 1")),
        ({"passage-tokens": "79"}, ("--passage-tokens", "79 is not a whole number from 80 to")),
        ({"overlap-tokens": "76"}, ("--overlap-tokens", "76 is not a whole number from 0 to 75")),
        ({"overlap-tokens": "200"}, ("--overlap-tokens", "from 0 to 75")),
        ({}, ("every setting is left out",)),
    ],
)
def test_wrong_values_are_refused_before_anything_runs(
    quoth_here: QuothHere, dataset: Path, tmp_path: Path, options: dict[str, str], says: tuple[str, ...]
) -> None:
    given = [f"--{name}={value}" for name, value in {**NOTHING, **options}.items()]
    said = quoth_here("eval", "sweep", dataset, "--out", tmp_path / "sweep", *given, code=2).stderr
    assert all(words in said for words in says), said
    assert not (tmp_path / "sweep").exists()


def test_what_cannot_be_swept_is_refused(quoth_here: QuothHere, dataset: Path, tmp_path: Path) -> None:
    beir = tmp_path / "beir"
    (beir / "qrels").mkdir(parents=True)
    write_lines(beir / "corpus.jsonl", [{"_id": "d", "text": IDLIB.text}])
    write_lines(beir / "queries.jsonl", [{"_id": "q", "text": "air raid"}])
    (beir / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq\td\t1\n")
    mars = write_lines(tmp_path / "mars.jsonl", [asked("x", "Who landed on Mars?", ["Ann"], ["mars"])])

    def said(*arguments: str | Path, code: int = 1) -> str:
        return str(quoth_here("eval", "sweep", "--out", tmp_path / "sweep", *arguments, code=code).stderr)

    assert "a sweep needs questions with answers" in said(beir)
    assert "'mars'" in said(mars)
    assert "'reports'; there are: report, tune" in said(dataset, "--split", "reports")
    (tmp_path / "taken").write_text("mine")
    assert "taken" in said(dataset, "--out", tmp_path / "taken", code=2)
    assert not (tmp_path / "sweep").exists()


def test_json_alone_on_stdout_and_a_sample(quoth_here: QuothHere, dataset: Path, tmp_path: Path) -> None:
    told = quoth_here("eval", "sweep", dataset, "--out", tmp_path / "sweep", "--limit", "2", "--seed", "5", "--json",
                      *[f"--{name}={value}" for name, value in {**NOTHING, "min-confidence": "0"}.items()])  # fmt: skip

    assert told.stdout == (tmp_path / "sweep" / "sweep.json").read_text(encoding="utf-8")
    (sweep,) = json.loads(told.stdout)
    assert [point["value"] for point in sweep["points"]] == [0, SHIPPED_THRESHOLD]
    assert all(point["scores"]["f1"]["n"] == 2 for point in sweep["points"])


@pytest.mark.parametrize("columns", [80, 120])
def test_the_tables_fit_the_terminal(quoth_here: QuothHere, dataset: Path, copied: Path, columns: int) -> None:
    shown = swept(quoth_here, dataset, copied, {"passages": "1", "min-confidence": "0,1"}, columns=columns).stdout

    assert "…" not in shown
    assert max(map(len, shown.splitlines())) <= columns
    by_value = {line.split()[0]: line.split() for line in shown.splitlines() if line.split()}
    one = points_of(copied, "passages")[1]
    assert by_value["10"][-1] == "shipped"
    assert by_value[f"{SHIPPED_THRESHOLD:g}"][-1] == "shipped"
    assert f"{100 * one['scores']['best_f1']['value']:.1f}" == next(
        line.split()[1] for line in shown.split("passages, judged by F1*")[1].splitlines() if line.split()[:1] == ["1"]
    )
    assert "prec." in shown
