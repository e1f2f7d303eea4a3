"""The lexical index: the words of passages and titles in tantivy (BM25). The only file that imports tantivy."""

import errno
import json
import mmap
import shutil
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

import tantivy

from index.errors import DamagedIndexError, LibraryBusyError, LibraryError
from index.files import read_sealed, sha256_of, write_sealed
from index.records import Filters, Moment

_ANALYZER = "words"
_FORMAT = 2
_CHECKED = {".idx", ".term", ".store", ".fast", ".fieldnorm", ".pos", ".del"}
_SEGMENT_NAME_CHARS = 32
_HEAP_BYTES = 32_000_000
TITLE_WEIGHT = 0.5
"""A title word counts half a body word. On held-out questions 0, 0.25, 0.5 and 1 are within noise (docs/adr/0003); news
titles say what an article is about where a later passage does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PassageWords:
    """What the lexical index keeps of a passage."""

    key: int
    title: str
    body: str
    published: date | None = None
    source: str = ""


class LexicalIndex:
    """BM25 search over stemmed, accent-folded words; scores are >= 0, higher is better.

    `moment` names the state of the Library that the index covers.
    """

    def __init__(self, folder: Path, index: tantivy.Index, moment: Moment) -> None:
        """Use `create` or `load`."""
        self._folder = folder
        self._index = index
        self._schema = _schema()
        self._analyzer = _analyzer()
        self._index.register_tokenizer(_ANALYZER, self._analyzer)
        self.title_weight = TITLE_WEIGHT
        self.moment = moment

    @classmethod
    def create(cls, folder: Path) -> "LexicalIndex":
        """An empty index in `folder`, whatever was there."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        found = cls(folder, tantivy.Index(_schema(), path=str(folder)), Moment())
        found._save_moment(Moment())
        return found

    @classmethod
    def load(cls, folder: Path) -> "LexicalIndex":
        """Open the index in `folder`.

        Raises:
            DamagedIndexError: it is missing or cannot be read.
        """
        try:
            _verify(folder)
            moment = _saved_moment(folder)  # first: what is committed meanwhile is then only seen again
            found = cls(folder, tantivy.Index.open(str(folder)), moment)
            found.search("a", 1)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DamagedIndexError(f"{folder}: the lexical index cannot be read: {error}") from error
        return found

    def reload(self) -> None:
        """See what another process has written since."""
        try:
            moment = _saved_moment(self._folder)
            self._index.reload()
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DamagedIndexError(f"{self._folder}: the lexical index cannot be read: {error}") from error
        self.moment = moment

    def __len__(self) -> int:
        return int(self._index.searcher().num_docs)

    def update(self, *, removed: Iterable[int], added: Iterable[PassageWords], moment: Moment) -> None:
        """Remove and add passages, then name the moment reached.

        A stop between the two leaves the old moment on record; doing the same update again is harmless, since a
        passage is removed before it is added.

        Raises:
            LibraryBusyError: another program holds tantivy's own lock.
            LibraryError: the disk is full.
            DamagedIndexError: the index cannot be written as it is, and must be made anew.
        """
        try:
            _sweep(self._folder)
            self._save_moment(self.moment, is_writing=True)
            self._write(removed, added)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise self._write_error(error) from error
        self._save_moment(moment)

    def _write_error(self, error: Exception) -> LibraryError:
        kind: type[LibraryError] = DamagedIndexError
        if "LockBusy" in str(error):
            kind = LibraryBusyError
        elif "No space left" in str(error) or getattr(error, "errno", None) == errno.ENOSPC:
            kind = LibraryError
        return kind(f"{self._folder}: the lexical index cannot be written: {error}")

    def _write(self, removed: Iterable[int], added: Iterable[PassageWords]) -> None:
        writer = self._index.writer(heap_size=_HEAP_BYTES, num_threads=1)
        for key in removed:
            writer.delete_documents_by_term("passage_key", key)
        for passage in added:
            writer.delete_documents_by_term("passage_key", passage.key)
            writer.add_document(_document(passage))
        writer.commit()
        writer.wait_merging_threads()
        self._index.reload()

    def search(self, question: str, k: int, filters: Filters = Filters()) -> list[tuple[int, float]]:  # noqa: B008 (frozen)
        """The `k` best passages as (key, BM25), best first, of those that pass the filters.

        Every word of the question is a plain word: nothing in it is query syntax.
        """
        words = list(dict.fromkeys(self._analyzer.analyze(question)))
        if not words or k < 1:
            return []
        query = tantivy.Query.boolean_query(
            [(tantivy.Occur.Should, part) for word in words for part in self._word_queries(word)]
        )
        conditions = self._conditions(filters)
        if conditions:
            query = tantivy.Query.boolean_query([(tantivy.Occur.Must, part) for part in (query, *conditions)])
        searcher = self._index.searcher()
        hits = searcher.search(query, limit=k, count=False).hits
        keys = _keys(searcher, hits)
        return [(key, float(score)) for key, (score, _) in zip(keys, hits, strict=True)]

    def keys(self) -> list[int]:
        """The keys of all passages held, in no particular order."""
        searcher = self._index.searcher()
        hits = searcher.search(tantivy.Query.all_query(), limit=max(searcher.num_docs, 1), count=False).hits
        return _keys(searcher, hits)

    def _save_moment(self, moment: Moment, *, is_writing: bool = False) -> None:
        """With the hash of tantivy's own list of its files, which has no checksum; unless that is about to change."""
        meta = "" if is_writing else sha256_of(self._folder / "meta.json")
        write_sealed(self._folder / "state.json", {"format": _FORMAT, **asdict(moment), "meta": meta})
        self.moment = moment

    def _conditions(self, filters: Filters) -> list[tantivy.Query]:
        """Queries that count nothing to the score and that only what passes the filters fulfils."""
        found = []
        if filters.before is not None or filters.after is not None:
            first = filters.after.toordinal() if filters.after else date.min.toordinal()
            end = filters.before.toordinal() if filters.before else date.max.toordinal() + 1
            found.append(
                tantivy.Query.range_query(
                    self._schema, "published", tantivy.FieldType.Integer, first, end, include_upper=False
                )
            )
        if filters.source is not None:
            found.append(tantivy.Query.term_query(self._schema, "source", filters.source, index_option="basic"))
        return [tantivy.Query.const_score_query(condition, 0.0) for condition in found]

    def _word_queries(self, word: str) -> list[tantivy.Query]:
        body = tantivy.Query.term_query(self._schema, "body", word, index_option="freq")
        title = tantivy.Query.term_query(self._schema, "title", word, index_option="freq")
        return [body, tantivy.Query.boost_query(title, self.title_weight)]


def _keys(searcher: tantivy.Searcher, hits: Sequence[tuple[Any, tantivy.DocAddress]]) -> list[int]:
    values = searcher.fast_field_values("passage_key", [address for _, address in hits])
    return [int(value) for value in values if value is not None]  # every document has one


def _verify(folder: Path) -> None:
    """Compare each file with the CRC-32 in its footer: tantivy itself does not, and panics on some damage."""
    expected = read_sealed(folder / "state.json").get("meta")
    if expected and sha256_of(folder / "meta.json") != expected:
        raise DamagedIndexError(f"{folder / 'meta.json'}: not what was written")
    # Only what has been committed: a writer at work has files of its own that are not finished.
    segments = json.loads((folder / "meta.json").read_bytes())["segments"]
    committed = {segment["segment_id"].replace("-", "") for segment in segments}
    for file in folder.glob("*.*"):
        if file.name.split(".")[0] in committed and file.suffix in _CHECKED and not _is_whole(file):
            raise DamagedIndexError(f"{file}: not what was written")


def _is_whole(file: Path) -> bool:
    try:
        with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as data:
            size = int.from_bytes(data[-8:-4], "little")
            footer = json.loads(data[-8 - size : -8])
            with memoryview(data) as view, view[: -8 - size] as body:
                return bool(footer["crc"] == zlib.crc32(body))
    except (ValueError, KeyError, TypeError):  # an empty file cannot be mapped; a footer is JSON
        return False


def _sweep(folder: Path) -> None:
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


def _saved_moment(folder: Path) -> Moment:
    state = read_sealed(folder / "state.json")
    if state["format"] != _FORMAT:
        raise DamagedIndexError(f"{folder}: format {state['format']}, not {_FORMAT}")
    return Moment(generation=int(state["generation"]), stamp=str(state["stamp"]))


def _document(passage: PassageWords) -> tantivy.Document:
    document = tantivy.Document(passage_key=passage.key, title=passage.title, body=passage.body, source=passage.source)
    if passage.published is not None:
        document.add_integer("published", passage.published.toordinal())
    return document


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    builder.add_integer_field("passage_key", stored=False, indexed=True, fast=True)
    builder.add_integer_field("published", stored=False, indexed=True, fast=True)
    builder.add_text_field("source", stored=False, tokenizer_name="raw", index_option="basic")
    for field in ("title", "body"):
        builder.add_text_field(field, stored=False, tokenizer_name=_ANALYZER, index_option="freq")
    return builder.build()


def _analyzer() -> tantivy.TextAnalyzer:
    """Lower case, accents folded ("Erdoğan" is found by "Erdogan"), English stems."""
    return (
        tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
        .filter(tantivy.Filter.remove_long(100))
        .filter(tantivy.Filter.lowercase())
        .filter(tantivy.Filter.ascii_fold())
        .filter(tantivy.Filter.stemmer("english"))
        .build()
    )
