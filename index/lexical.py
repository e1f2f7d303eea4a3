"""The lexical index: the words of passages and titles in tantivy (BM25). The only file that imports tantivy."""

import json
import shutil
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tantivy

from index.errors import LibraryBusyError, LibraryError
from index.vectors import DamagedIndexError, write_synced

_ANALYZER = "words"
_FORMAT = 1
_CHECKED = {".idx", ".term", ".store", ".fast", ".fieldnorm", ".pos"}
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


class LexicalIndex:
    """BM25 search over stemmed, accent-folded words; scores are >= 0, higher is better.

    `generation` names the state of the Library that the index covers.
    """

    def __init__(self, folder: Path, index: tantivy.Index, generation: int) -> None:
        """Use `create` or `load`."""
        self._folder = folder
        self._index = index
        self._schema = _schema()
        self._analyzer = _analyzer()
        self._index.register_tokenizer(_ANALYZER, self._analyzer)
        self.title_weight = TITLE_WEIGHT
        self.generation = generation

    @classmethod
    def create(cls, folder: Path) -> "LexicalIndex":
        """An empty index in `folder`, whatever was there."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        found = cls(folder, tantivy.Index(_schema(), path=str(folder)), generation=0)
        found._save_generation(0)
        return found

    @classmethod
    def load(cls, folder: Path) -> "LexicalIndex":
        """Open the index in `folder`.

        Raises:
            DamagedIndexError: it is missing or cannot be read.
        """
        try:
            _verify(folder)
            generation = _saved_generation(folder)  # first: what is committed meanwhile is then only seen again
            found = cls(folder, tantivy.Index.open(str(folder)), generation=generation)
            found.search("a", 1)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DamagedIndexError(f"{folder}: the lexical index cannot be read: {error}") from error
        return found

    def reload(self) -> None:
        """See what another process has written since."""
        try:
            generation = _saved_generation(self._folder)
            self._index.reload()
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DamagedIndexError(f"{self._folder}: the lexical index cannot be read: {error}") from error
        self.generation = generation

    def __len__(self) -> int:
        return int(self._index.searcher().num_docs)

    def update(self, *, removed: Iterable[int], added: Iterable[PassageWords], generation: int) -> None:
        """Remove and add passages, then name the generation reached.

        A stop between the two leaves the old generation on record; doing the same update again is harmless, since a
        passage is removed before it is added.

        Raises:
            LibraryBusyError: another program holds tantivy's own lock.
            LibraryError: the index cannot be written; the message says why.
        """
        try:
            self._write(removed, added)
        except (OSError, ValueError) as error:
            kind = LibraryBusyError if "LockBusy" in str(error) else LibraryError
            raise kind(f"{self._folder}: the lexical index cannot be written: {error}") from error
        self._save_generation(generation)

    def _write(self, removed: Iterable[int], added: Iterable[PassageWords]) -> None:
        writer = self._index.writer(heap_size=_HEAP_BYTES, num_threads=1)
        for key in removed:
            writer.delete_documents_by_term("passage_key", key)
        for passage in added:
            writer.delete_documents_by_term("passage_key", passage.key)
            writer.add_document(tantivy.Document(passage_key=passage.key, title=passage.title, body=passage.body))
        writer.commit()
        writer.wait_merging_threads()
        self._index.reload()

    def search(self, question: str, k: int, allowed: Sequence[int] | None = None) -> list[tuple[int, float]]:
        """The `k` best passages as (key, BM25), best first; only among `allowed` keys if given.

        Every word of the question is a plain word: nothing in it is query syntax.
        """
        words = list(dict.fromkeys(self._analyzer.analyze(question)))
        if not words or k < 1 or (allowed is not None and not len(allowed)):
            return []
        query = tantivy.Query.boolean_query(
            [(tantivy.Occur.Should, part) for word in words for part in self._word_queries(word)]
        )
        if allowed is not None:
            among = tantivy.Query.term_set_query(self._schema, "passage_key", [int(key) for key in allowed])
            among = tantivy.Query.const_score_query(among, 0.0)
            query = tantivy.Query.boolean_query([(tantivy.Occur.Must, query), (tantivy.Occur.Must, among)])
        searcher = self._index.searcher()
        hits = searcher.search(query, limit=k, count=False).hits
        keys = _keys(searcher, hits)
        return [(key, float(score)) for key, (score, _) in zip(keys, hits, strict=True)]

    def keys(self) -> list[int]:
        """The keys of all passages held, in no particular order."""
        searcher = self._index.searcher()
        hits = searcher.search(tantivy.Query.all_query(), limit=max(searcher.num_docs, 1), count=False).hits
        return _keys(searcher, hits)

    def _save_generation(self, generation: int) -> None:
        write_synced(self._folder / "state.json", json.dumps({"format": _FORMAT, "generation": generation}).encode())
        self.generation = generation

    def _word_queries(self, word: str) -> list[tantivy.Query]:
        body = tantivy.Query.term_query(self._schema, "body", word, index_option="freq")
        title = tantivy.Query.term_query(self._schema, "title", word, index_option="freq")
        return [body, tantivy.Query.boost_query(title, self.title_weight)]


def _keys(searcher: tantivy.Searcher, hits: Sequence[tuple[Any, tantivy.DocAddress]]) -> list[int]:
    values = searcher.fast_field_values("passage_key", [address for _, address in hits])
    return [int(value) for value in values if value is not None]  # every document has one


def _verify(folder: Path) -> None:
    """Compare each file with the CRC-32 in its footer: tantivy itself does not, and panics on some damage."""
    # Only what has been committed: a writer at work has files of its own that are not finished.
    segments = json.loads((folder / "meta.json").read_bytes())["segments"]
    committed = {segment["segment_id"].replace("-", "") for segment in segments}
    for file in folder.glob("*.*"):
        if file.name.split(".")[0] in committed and file.suffix in _CHECKED:
            data = file.read_bytes()
            size = int.from_bytes(data[-8:-4], "little")
            body, footer = data[: -8 - size], data[-8 - size : -8]
            if not footer or json.loads(footer)["crc"] != zlib.crc32(body):
                raise DamagedIndexError(f"{file}: not what was written")


def _saved_generation(folder: Path) -> int:
    state = json.loads((folder / "state.json").read_bytes())
    if state["format"] != _FORMAT:
        raise DamagedIndexError(f"{folder}: format {state['format']}, not {_FORMAT}")
    return int(state["generation"])


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    builder.add_integer_field("passage_key", stored=False, indexed=True, fast=True)
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
