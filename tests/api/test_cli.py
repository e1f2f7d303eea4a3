import json
import subprocess
import sys
from pathlib import Path

import pytest

from api.settings import Settings
from qa.confidence import load_confidence
from tests.api.parts import Quoth, QuothHere
from tests.conftest import IDLIB

QUESTION = "How many Turkish soldiers were killed in Idlib?"
PERU = "What is the capital of Peru?"


def test_add_ask_replace_and_remove(quoth: Quoth, folder: Path) -> None:
    assert json.loads(quoth("add", folder, "--json").stdout) == {
        "added": ["idlib", "suez"],
        "replaced": [],
        "unchanged": [],
        "failed": [],
    }
    answer = json.loads(quoth("ask", QUESTION, "--json", "--min-confidence", "0").stdout)["answer"]
    assert "33" in answer["text"]
    assert answer["citation"]["quote"] == IDLIB.text[answer["citation"]["start"] : answer["citation"]["end"]]

    (folder / "idlib.md").write_text((folder / "idlib.md").read_text().replace("at least 33", "at least 36"))
    again = json.loads(quoth("add", folder, "--json").stdout)
    assert (again["replaced"], again["unchanged"]) == (["idlib"], ["suez"])
    assert "36" in json.loads(quoth("ask", QUESTION, "--json", "--min-confidence", "0").stdout)["answer"]["text"]

    quoth("remove", "idlib")
    reply = json.loads(quoth("ask", QUESTION, "--json", "--min-confidence", "1", code=3).stdout)
    assert (reply["answer"], reply["min_confidence"]) == (None, 1)
    assert {passage["article_id"] for passage in reply["passages"]} == {"suez"}
    quoth("remove", "idlib", code=1)


def test_ask_shows_the_sentence_with_the_answer_marked(quoth: Quoth, folder: Path) -> None:
    quoth("add", folder)
    shown = quoth("ask", QUESTION, "--min-confidence", "0").stdout

    assert "33" in shown.split("⟦")[1].split("⟧")[0]
    assert "The Test" in shown
    assert "2020-02-28" in shown
    assert "idlib, characters" in shown


def test_ask_answers_from_the_threshold_of_the_asked_precision_on(quoth_here: QuothHere) -> None:
    lowest, *_, highest = load_confidence().thresholds
    given = json.loads(quoth_here("ask", QUESTION, "--precision", str(lowest.precision), "--json").stdout)
    refused = quoth_here("ask", PERU, "--precision", str(highest.precision), "--json", code=3)
    withheld = json.loads(refused.stdout)

    assert "33" in given["answer"]["text"]
    assert given["answer"]["confidence"] >= given["min_confidence"] == lowest.min_confidence
    assert withheld["answer"] is None
    assert withheld["alternatives"][0]["confidence"] < withheld["min_confidence"] == highest.min_confidence


def test_ask_says_how_sure_an_answer_had_to_be(quoth_here: QuothHere) -> None:
    refused = quoth_here("ask", PERU, "--min-confidence", "0.9", code=3).stdout

    assert "An answer must be 90 % sure." in refused
    assert "What came closest:" in refused
    usual = json.loads(quoth_here("ask", QUESTION, "--json").stdout)
    assert usual["min_confidence"] == load_confidence().min_confidence


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--precision", "1"), "no threshold kept a precision of 1 on held-out questions"),
        (("--precision", "0.9", "--min-confidence", "0"), "not for both"),
        (("--precision", "1.5"), "--precision"),
        (("--precision", "high"), "--precision"),
    ],
)
def test_a_precision_that_cannot_be_had_is_wrong_usage(
    quoth_here: QuothHere, options: tuple[str, ...], says: str
) -> None:
    failed = quoth_here("ask", QUESTION, *options, code=2)

    assert says in failed.stderr
    assert failed.stdout == ""


def test_search_list_show_and_check(quoth: Quoth, folder: Path) -> None:
    quoth("add", folder)

    assert json.loads(quoth("search", "ship aground", "--json").stdout)["passages"][0]["article_id"] == "suez"
    assert quoth("list").stdout.index("suez") < quoth("list").stdout.index("idlib")
    assert IDLIB.text in quoth("show", "idlib").stdout
    assert json.loads(quoth("show", "idlib", "--json").stdout)["sha256"] == IDLIB.sha256
    assert json.loads(quoth("check", "--json").stdout) == {"articles": 2, "passages": 2, "faults": []}


def test_check_names_what_is_damaged_and_asking_or_repairing_makes_it_anew(
    quoth: Quoth, folder: Path, settings: Settings
) -> None:
    quoth("add", folder)
    words = max((settings.library / "lexical").glob("*.term"))

    words.write_bytes(words.read_bytes()[:-1])
    assert words.name in quoth("check", code=1).stdout
    rebuilt = quoth("ask", QUESTION, "--min-confidence", "0")
    assert rebuilt.stderr.count("rebuilding the lexical index") == 1
    quoth("check")

    words = max((settings.library / "lexical").glob("*.term"))
    words.unlink()
    assert json.loads(quoth("check", "--repair", "--json").stdout)["faults"] == []


def test_verbose_says_each_article_once_it_is_stored(quoth: Quoth, folder: Path) -> None:
    lines = quoth("add", folder, "--verbose").stdout.splitlines()
    assert sorted(lines[:-1]) == ["added idlib", "added suez"]
    assert sorted(quoth("add", folder, "-v").stdout.splitlines()[:-1]) == ["unchanged idlib", "unchanged suez"]
    assert "choose one" in quoth("add", folder, "--verbose", "--json", code=2).stderr


def test_one_bad_file_does_not_stop_the_rest(quoth: Quoth, folder: Path) -> None:
    (folder / "bad.md").write_text("---\ntitle: a: b\n---\ntext")
    done = quoth("add", folder, code=1)

    assert "bad.md" in done.stderr
    assert "2 added" in done.stdout
    assert "1 failed" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("ask", QUESTION), 1, "quoth add PATH"),
        (("ask", "  ?  "), 2, "question is empty"),
        (("ask", QUESTION, "--passages", "0"), 2, "--passages"),
        (("add", "nowhere.txt"), 1, "nowhere.txt: no such file"),
        (("--library", "/proc/nowhere", "list"), 1, "/proc/nowhere"),
        (("frobnicate",), 2, "frobnicate"),
    ],
)
def test_errors_say_what_to_do(quoth: Quoth, arguments: tuple[str, ...], code: int, says: str) -> None:
    assert says in quoth(*arguments, code=code).stderr


def test_a_wrong_setting_is_named(quoth: Quoth) -> None:
    quoth.environment["QUOTH_THREADS"] = "many"

    assert "QUOTH_THREADS" in quoth("list", code=2).stderr


def test_asking_imports_no_torch_and_no_web_framework(quoth: Quoth, folder: Path, settings: Settings) -> None:
    quoth("add", folder)
    program = (
        "import sys\n"
        "import api.cli\n"
        "from api.settings import Settings\n"
        "from api.wiring import open_archive, open_pipeline\n"
        "settings = Settings()\n"
        f"reply = open_pipeline(open_archive(settings), settings).ask({QUESTION!r}, min_confidence=0)\n"
        "assert reply.answer is not None\n"
        "unwanted = ('torch', 'transformers', 'sentence_transformers', 'fastapi')\n"
        "print([name for name in unwanted if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=quoth.environment, capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "[]"
    assert settings.library.is_dir()
