"""A server's indexes follow what others write, within a second, and questions do not wait for it."""

import logging
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from index.derived import DerivedIndexes
from index.follower import Follower
from index.library import Library
from index.records import Filters
from index.vectors import MOST_BESIDE
from tests.index.parts import agree, damage, new_article, new_library

FIRST = new_article("a", "Suez canal.\nA ship.", seed=1)


def eventually(is_so: Callable[[], bool], *, within_s: float = 30) -> bool:
    """Whether it comes to be so: the follower looks five times a second, and machines are slow at times."""
    for _ in range(round(within_s / 0.05)):
        if is_so():
            return True
        time.sleep(0.05)
    return False


def test_what_another_process_adds_and_removes_is_followed(tmp_path: Path) -> None:
    library = new_library(tmp_path, FIRST)
    derived, other = DerivedIndexes(library), Library(tmp_path)
    with Follower(derived):
        assert derived.is_followed
        other.put([new_article("b", "Idlib raid.", seed=2)])
        assert eventually(lambda: derived.lexical.moment == derived.dense.moment == other.moment)
        other.remove("a")
        assert eventually(lambda: derived.lexical.moment == derived.dense.moment == other.moment)
        agree(library, derived)
    assert not derived.is_followed


def test_much_that_gathers_is_merged_while_it_is_searched(tmp_path: Path) -> None:
    library = new_library(tmp_path, FIRST)
    derived = DerivedIndexes(library)
    with Follower(derived):
        Library(tmp_path).put([new_article("b", "".join(f"Raid {n}.\n" for n in range(MOST_BESIDE)), seed=2)])
        searched = [derived.search("Suez", FIRST.vectors[0], 1, Filters()) for _ in range(50)]
        assert eventually(lambda: derived.dense.base is not None)
    assert {dense[0][0] for dense, _ in searched} == {1}
    agree(library, derived)


def test_trouble_is_said_once_and_tried_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    library = new_library(tmp_path, FIRST)
    derived = DerivedIndexes(library)
    caplog.clear()
    with caplog.at_level(logging.WARNING), Follower(derived):
        damage(tmp_path, "ALTER TABLE moments RENAME TO gone")
        assert eventually(lambda: bool(caplog.messages))
        time.sleep(0.5)
        assert [message for message in caplog.messages if "cannot catch up" in message] == caplog.messages[:1]
        damage(tmp_path, "ALTER TABLE gone RENAME TO moments")
        Library(tmp_path).put([new_article("b", "Idlib raid.", seed=2)])
        assert eventually(lambda: derived.lexical.moment == derived.dense.moment == library.moment)
    agree(library, derived)


def test_an_index_deleted_under_a_server_is_made_anew(tmp_path: Path) -> None:
    library = new_library(tmp_path, FIRST)
    derived = DerivedIndexes(library)
    with Follower(derived):
        shutil.rmtree(tmp_path / "lexical")
        library.put([new_article("b", "Idlib raid.", seed=2)])
        assert eventually(lambda: derived.lexical.moment == library.moment)
    agree(library, derived)
