"""Dataset files, plain or gzipped: their lines, their fields, and the bad records among them.

A bad record is named by its place and counted. Readers go on after one, so that a person sees all that is to be mended;
whoever reads a dataset then refuses it, unless they asked for the good records alone.
"""

import gzip
import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias, cast

from index.errors import DatasetError, InputError
from qa.pipeline import checked_question

N_NAMED = 5
"""At most this many bad records are written out in an error."""

Record: TypeAlias = dict[str, Any]


class Faults:
    """The bad records of a dataset, each as `place: what is wrong`, in the order they were met."""

    def __init__(self) -> None:
        self._named: list[str] = []

    @contextmanager
    def at(self, place: str) -> Iterator[None]:
        """Take note of what is wrong with the record that is read inside this block, and go on after it."""
        try:
            yield
        except InputError as error:
            self._named.append(f"{place}: {error}")

    @property
    def named(self) -> tuple[str, ...]:
        """All of them."""
        return tuple(self._named)

    def refuse(self, path: Path) -> None:
        """Do nothing if there are none.

        Raises:
            DatasetError: it says how many there are and names the first ones.
        """
        if self._named:
            first = f" (the first {N_NAMED}):" if len(self._named) > N_NAMED else ":"
            records = "1 bad record" if len(self._named) == 1 else f"{len(self._named)} bad records"
            raise DatasetError("\n  ".join([f"{path}: {records}{first}", *self._named[:N_NAMED]]))


@dataclass(frozen=True, slots=True)
class Line:
    """A line that is not blank; `place` names it for people."""

    number: int
    place: str
    text: str


def open_file(path: Path) -> BinaryIO:
    """The bytes of a file, unpacked if its name ends in `.gz`."""
    return cast("BinaryIO", gzip.open(path, "rb")) if path.suffix == ".gz" else path.open("rb")


def lines(path: Path, faults: Faults) -> Iterator[Line]:
    r"""The lines of a UTF-8 file that are not blank; only `\n` ends one, and one that is not UTF-8 is a fault.

    Raises:
        DatasetError: the file cannot be read.
    """
    try:
        with open_file(path) as file:
            for number, raw in enumerate(file, start=1):
                place = f"{path.name}, line {number}"
                with faults.at(place):
                    text = _decoded(raw, first=number == 1)
                    if text.strip():
                        yield Line(number, place, text)
    except (OSError, EOFError, zlib.error) as error:
        raise DatasetError(f"{path}: cannot be read: {error}") from error


def json_of(text: str) -> Record:
    """The JSON object in a line.

    Raises:
        DatasetError: it holds none.
    """
    try:
        return record_of(json.loads(text))
    except (ValueError, RecursionError) as error:  # also a number of thousands of digits, brackets in brackets
        raise DatasetError(f"not JSON: {error}") from error


def record_of(value: object) -> Record:
    """The value, which must be a JSON object."""
    if not isinstance(value, dict):
        raise DatasetError(f"a JSON object is needed, not {_short(value)}")
    return value


def text_in(record: Record, name: str, default: str | None = None) -> str:
    """A field that holds text; `default` where the record lacks it or holds null."""
    value = _value(record, name, default)
    if not isinstance(value, str):
        raise DatasetError(f"field {name!r} must be text, not {_short(value)}")
    return _whole(name, value)


def id_in(record: Record, name: str) -> str:
    """A field that holds an id: text, or a whole number, which is written out."""
    value = _value(record, name, None)
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise DatasetError(f"field {name!r} must be an id, not {_short(value)}")
    return _whole(name, str(value))


def list_in(record: Record, name: str, default: list[Any] | None = None) -> list[Any]:
    """A field that holds a list; `default` where the record lacks it or holds null."""
    value = _value(record, name, default)
    if not isinstance(value, list):
        raise DatasetError(f"field {name!r} must be a list, not {_short(value)}")
    return value


def texts_in(record: Record, name: str, default: list[Any] | None = None) -> tuple[str, ...]:
    """A field that holds a list of texts, none of them blank."""
    values = list_in(record, name, default)
    for value in values:
        if not isinstance(value, str) or not value.strip():
            raise DatasetError(f"field {name!r} must be a list of texts, and holds {_short(value)}")
        _whole(name, value)
    return tuple(values)


def question_in(record: Record, name: str = "question") -> str:
    """A question that Quoth can be asked, without surrounding blanks.

    Raises:
        DatasetError: the field is missing or holds no text.
        QuestionError: the question is empty or too long.
    """
    return checked_question(text_in(record, name))


def refuse_unknown(record: Record, known: tuple[str, ...]) -> None:
    """Check that a record of a form that is wholly known has no other fields: one may be a misspelt one."""
    unknown = sorted(set(record) - set(known))
    if unknown:
        raise DatasetError(f"unknown field {unknown[0]!r}: the fields are {', '.join(known)}")


def _value(record: Record, name: str, default: object) -> object:
    value = record.get(name)
    if value is not None:
        return value
    if default is not None:
        return default
    raise DatasetError(f"field {name!r} is {'null' if name in record else 'missing'}")


def _whole(name: str, text: str) -> str:
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise DatasetError(f"field {name!r} holds half of a surrogate pair: it was damaged before it came here")
    return text


def _decoded(raw: bytes, *, first: bool) -> str:
    try:
        return raw.decode("utf-8-sig" if first else "utf-8")
    except UnicodeDecodeError as error:
        raise DatasetError(f"not UTF-8 text (byte {error.start + 1} of the line)") from error


def _short(value: object) -> str:
    return repr(value) if len(repr(value)) <= 60 else f"{repr(value)[:60]}…"
