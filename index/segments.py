"""The files of the lexical index on the disk: whether they are whole, and which of them nobody needs."""

import json
import zlib
from pathlib import Path

from index.errors import DamagedIndexError
from index.files import read_sealed, sha256_of

_CHECKED = {".idx", ".term", ".store", ".fast", ".fieldnorm", ".pos", ".del"}
_SEGMENT_NAME_CHARS = 32
_CHUNK_BYTES = 1 << 20


def verify(folder: Path) -> None:
    """Compare each file with the CRC-32 in its footer: tantivy itself does not, and panics on some damage.

    Raises:
        DamagedIndexError: a file is not what was written; the message names it.
        OSError, ValueError, KeyError, TypeError: a list of files is missing, or is none.
    """
    expected = read_sealed(folder / "state.json").get("meta")
    if expected and sha256_of(folder / "meta.json") != expected:
        raise DamagedIndexError(f"{folder / 'meta.json'}: not what was written")
    # Only what has been committed: a writer at work has files of its own that are not finished.
    segments = json.loads((folder / "meta.json").read_bytes())["segments"]
    committed = {segment["segment_id"].replace("-", "") for segment in segments}
    for file in folder.glob("*.*"):
        if file.name.split(".")[0] in committed and file.suffix in _CHECKED and not _is_whole(file):
            raise DamagedIndexError(f"{file}: not what was written")


def _is_whole(path: Path) -> bool:
    """By its footer: JSON with the CRC-32 of all before it, the JSON's length (4 bytes, little-endian), 4 bytes."""
    n_bytes = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(n_bytes - 8, 0))
        n_footer = int.from_bytes(file.read(4), "little")
        n_body = n_bytes - 8 - n_footer
        if n_body < 0:
            return False
        file.seek(n_body)
        try:
            expected = json.loads(file.read(n_footer))["crc"]
        except (ValueError, KeyError, TypeError):
            return False
        file.seek(0)
        found = 0
        for begin in range(0, n_body, _CHUNK_BYTES):  # an index can be larger than the memory
            found = zlib.crc32(file.read(min(_CHUNK_BYTES, n_body - begin)), found)
    return bool(found == expected)


def sweep(folder: Path) -> None:
    """Delete what no commit names: a process that was killed has left it, and tantivy stumbles over some of it."""
    segments = json.loads((folder / "meta.json").read_bytes())["segments"]
    named = {segment["segment_id"].replace("-", ""): segment["deletes"] for segment in segments}
    for file in folder.iterdir():
        segment, *rest = file.name.split(".")
        if not segment:
            is_left = file.name.startswith(".tmp")
        elif len(segment) == _SEGMENT_NAME_CHARS:
            deletes = named.get(segment)
            is_left = segment not in named or (
                rest[-1:] == ["del"] and (deletes is None or rest[0] != str(deletes["opstamp"]))
            )
        else:
            is_left = False
        if is_left:
            file.unlink(missing_ok=True)
