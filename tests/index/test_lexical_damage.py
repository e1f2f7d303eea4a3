"""A damaged lexical index is refused when it is opened, so that it is rebuilt: never searched, and never a panic."""

from pathlib import Path

import pytest

from index.errors import DamagedIndexError
from index.lexical import LexicalIndex, PassageWords
from tests.index.parts import flip_byte, moment


def written(folder: Path) -> Path:
    passages = [PassageWords(key=n, title="suez canal", body=f"ship {n} in the canal") for n in range(20)]
    LexicalIndex.create(folder).update(removed=[], added=passages, moment=moment(1))
    return folder


@pytest.mark.parametrize("name", ["state.json", "meta.json"])
@pytest.mark.parametrize("kind", ["missing", "cut", "flipped", "another format"])
def test_a_damaged_index_is_refused_with_its_folder(tmp_path: Path, name: str, kind: str) -> None:
    file = written(tmp_path / "x") / name
    if kind == "missing":
        file.unlink()
    elif kind == "cut":
        file.write_bytes(file.read_bytes()[:-4])
    elif kind == "flipped":
        flip_byte(file, 1)
    else:
        file.write_text('{"format": 9, "generation": 1}', encoding="utf-8")
    with pytest.raises(DamagedIndexError, match=str(tmp_path / "x")):
        LexicalIndex.load(tmp_path / "x")


@pytest.mark.parametrize("suffix", [".idx", ".term", ".store", ".fast", ".fieldnorm", ".pos"])
@pytest.mark.parametrize("kind", ["missing", "empty", "cut", "flipped"])
def test_damaged_words_are_refused_with_their_folder(tmp_path: Path, suffix: str, kind: str) -> None:
    (file,) = written(tmp_path / "x").glob(f"*{suffix}")
    data = file.read_bytes()
    if kind == "missing":
        file.unlink()
    elif kind == "empty":
        file.write_bytes(b"")
    elif kind == "cut":
        file.write_bytes(data[: len(data) // 2])
    else:
        flip_byte(file, len(data) // 4)
    with pytest.raises(DamagedIndexError, match=str(tmp_path / "x")):
        LexicalIndex.load(tmp_path / "x")
