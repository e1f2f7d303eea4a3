"""The lexical index: the words of passages and titles in tantivy (BM25). The only file that imports tantivy."""

import errno
import math
import os
import shutil
import tempfile
import weakref
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

import tantivy

from index.errors import DamagedIndexError, LibraryBusyError, LibraryError
from index.files import read_sealed, sha256_of, write_sealed
from index.records import Filters, Moment
from index.segments import sweep, verify

_ANALYZER = "words"
_FORMAT = 3
_HEAP_BYTES = 128_000_000
"""The most that a writer gathers before it writes a segment; it takes only what it needs."""
_STOP_WORDS = (
    "a an the of in on at to for from by with and or is are was were be been being do does did has have had what which"
    " who whom whose when where why how that this these those there it its as s"
)
STOP_WORDS = frozenset(_STOP_WORDS.split())
"""Words that a question is not searched by if it has others: 1.1 points of success@1 on held-out questions, and at
300,000 passages a fifth of the time. Lists of 73 and 91 words did worse (docs/adr/0010)."""


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
        self._index.register_tokenizer(_ANALYZER, _analyzer())
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
            verify(folder)
            moment = _saved_moment(folder)  # first: what is committed meanwhile is then only seen again
            if not os.access(folder, os.W_OK):
                return cls._linked(folder, moment)
            found = cls(folder, tantivy.Index.open(str(folder)), moment)
            found.search("a", 1)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DamagedIndexError(f"{folder}: the lexical index cannot be read: {error}") from error
        return found

    @classmethod
    def _linked(cls, folder: Path, moment: Moment) -> "LexicalIndex":
        """By way of a temporary folder: tantivy puts a lock beside what it opens, even to read."""
        beside = Path(tempfile.mkdtemp(prefix="quoth-"))
        for file in folder.iterdir():
            if not file.name.endswith(".lock"):
                (beside / file.name).symlink_to(file.resolve())
        found = cls(beside, tantivy.Index.open(str(beside)), moment)
        weakref.finalize(found, shutil.rmtree, beside, ignore_errors=True)
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
            sweep(self._folder)
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

    def rarity(self, word: str) -> float:
        """How rare a word as `words_of` gives it is, > 0: BM25's inverse document frequency."""
        searcher = self._index.searcher()
        n_with = searcher.doc_freq("words", word)
        return math.log1p((max(searcher.num_docs - n_with, 0) + 0.5) / (n_with + 0.5))

    def search(self, question: str, k: int, filters: Filters = Filters()) -> list[tuple[int, float]]:  # noqa: B008 (frozen)
        """The `k` best passages as (key, BM25), best first, of those that pass the filters.

        Every word of the question is a plain word: nothing in it is query syntax.
        """
        words = telling_words(words_of(question))
        if not words or k < 1:
            return []
        # Terms alone, and of one field: only then does tantivy skip what cannot come among the first k.
        terms = [tantivy.Query.term_query(self._schema, "words", word, index_option="freq") for word in words]
        query = tantivy.Query.boolean_query([(tantivy.Occur.Should, term) for term in terms])
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


def words_of(text: str) -> list[str]:
    """The words of a text in order, as they are indexed: lower case, accents folded, English stems."""
    return list(_words.analyze(text))


def telling_words(words: Iterable[str]) -> list[str]:
    """Those of a question's words that it is searched by, each once: no stop words, if there are others."""
    distinct = dict.fromkeys(words)
    return [word for word in distinct if word not in _STOP_STEMS] or list(distinct)


def _keys(searcher: tantivy.Searcher, hits: Sequence[tuple[Any, tantivy.DocAddress]]) -> list[int]:
    values = searcher.fast_field_values("passage_key", [address for _, address in hits])
    return [int(value) for value in values if value is not None]  # every document has one


def _saved_moment(folder: Path) -> Moment:
    state = read_sealed(folder / "state.json")
    if state["format"] != _FORMAT:
        raise DamagedIndexError(f"{folder}: format {state['format']}, not {_FORMAT}")
    return Moment(generation=int(state["generation"]), stamp=str(state["stamp"]))


def _document(passage: PassageWords) -> tantivy.Document:
    # One field: on held-out questions 1.2 points of success@1 above two with a weight of the title's own, and faster.
    words = f"{passage.title}\n{passage.body}"
    document = tantivy.Document(passage_key=passage.key, words=words, source=passage.source)
    if passage.published is not None:
        document.add_integer("published", passage.published.toordinal())
    return document


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    builder.add_integer_field("passage_key", stored=False, indexed=True, fast=True)
    builder.add_integer_field("published", stored=False, indexed=True, fast=True)
    builder.add_text_field("source", stored=False, tokenizer_name="raw", index_option="basic")
    builder.add_text_field("words", stored=False, tokenizer_name=_ANALYZER, index_option="freq")
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


_words = _analyzer()
_STOP_STEMS = frozenset(stem for word in STOP_WORDS for stem in words_of(word))
