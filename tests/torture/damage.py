"""Ways to break one file of a Library: cut short, a bit turned over, gone."""

import random
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Way = Literal["truncated", "bit flipped", "missing"]
_FRACTIONS = {"first quarter": 0.25, "middle": 0.5, "third quarter": 0.75}
_HEADER_BYTES = 16
_FIELDS = ("article_id", "title", "source", "published", "text", "sha256")


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """One thing done to one file: cut to `at` bytes, or bit `bit` of byte `at` flipped, or the file removed."""

    file: str
    way: Way
    where: str
    at: int = 0
    bit: int = 0

    @property
    def name(self) -> str:
        """A line for people: what was done where."""
        return f"{self.file}: {self.way}" + (f" ({self.where})" if self.where else "")

    def do(self, folder: Path) -> None:
        """Break the file in a Library that is a copy."""
        path = folder / self.file
        if self.way == "missing":
            path.unlink()
            return
        data = bytearray(path.read_bytes())
        if self.way == "truncated":
            del data[self.at :]
        else:
            data[self.at] ^= 1 << self.bit
        path.write_bytes(data)


def files_of(folder: Path) -> list[str]:
    """Every file of a Library, by its path in the folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def damages(folder: Path, file: str, rng: random.Random, *, n_flips: int) -> Iterator[Damage]:
    """What is tried on a file: cut to nothing, to half and by a byte; bits in set and in random places; removal."""
    yield Damage(file=file, way="missing", where="")
    size = (folder / file).stat().st_size
    if not size:
        return  # a lock file: there is nothing in it to damage
    for where, at in {"to nothing": 0, "to half": size // 2, "by its last byte": size - 1}.items():
        yield Damage(file=file, way="truncated", where=where, at=at)
    places = {"header": rng.randrange(min(_HEADER_BYTES, size)), "last byte": size - 1}
    places |= {where: int(size * fraction) for where, fraction in _FRACTIONS.items()}
    places |= {f"byte {at}": at for at in rng.sample(range(size), min(n_flips, size))}
    for where, at in places.items():
        yield Damage(file=file, way="bit flipped", where=where, at=at, bit=rng.randrange(8))


def damages_of_fields(folder: Path, file: str, article_id: str, rng: random.Random) -> Iterator[Damage]:
    """Bits of one article's row, where SQLite sees nothing amiss: letters in each field, and its first vector.

    A letter stays a letter (bit 0 is flipped), so that nothing fails by itself: only a hash can tell.
    """
    data = (folder / file).read_bytes()
    with sqlite3.connect(f"file:{folder / file}?mode=ro&immutable=1", uri=True) as connection:
        columns = ", ".join(_FIELDS)
        row = connection.execute(
            f"SELECT {columns} FROM articles WHERE article_id = ?",  # noqa: S608 (constants)
            (article_id,),
        ).fetchone()
        (vector,) = connection.execute(
            "SELECT vector FROM passages JOIN articles USING (article_key) WHERE article_id = ? ORDER BY passage_key",
            (article_id,),
        ).fetchone()
    connection.close()
    begin = data.index(str(row[_FIELDS.index("text")])[:40].encode())  # the fields of a row stand close together
    for name, value in zip(_FIELDS, row, strict=True):
        encoded = str(value).encode()[:40]
        at = data.rindex(encoded, 0, begin + len(encoded)) if name != "sha256" else data.index(encoded, begin)
        at += rng.choice([i for i, byte in enumerate(encoded) if chr(byte).isalnum()])
        yield Damage(file=file, way="bit flipped", where=f"{name} of an article", at=at, bit=0)
    at = data.index(vector[:64]) + 4 * rng.randrange(16)
    for where, bit, offset in (("low", 0, 1), ("middle", 4, 2), ("sign", 7, 3)):
        yield Damage(file=file, way="bit flipped", where=f"vector, {where} bit", at=at + offset, bit=bit)
