"""The Library: articles, passages and vectors in one SQLite file, the one truth. Everything else is derived from it.

Each write is one transaction and one generation. A derived index that knows its generation asks for what came since.
"""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from index.articles import Article
from index.errors import LibraryBusyError, LibraryError, NotFoundError
from index.passages import CharSpan

FORMAT_VERSION = 1
FILE_NAME = "library.sqlite3"
_BUSY_MS = 10_000
_SCHEMA = """
CREATE TABLE state (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE articles (
    article_key INTEGER PRIMARY KEY AUTOINCREMENT,
    article_id TEXT NOT NULL UNIQUE,
    title TEXT NOT NULL,
    source TEXT NOT NULL,
    url TEXT NOT NULL,
    published TEXT,
    text TEXT NOT NULL,
    sha256 TEXT NOT NULL
);
CREATE TABLE passages (
    passage_key INTEGER PRIMARY KEY AUTOINCREMENT,
    article_key INTEGER NOT NULL REFERENCES articles ON DELETE CASCADE,
    start INTEGER NOT NULL,
    "end" INTEGER NOT NULL,
    vector BLOB NOT NULL,
    generation INTEGER NOT NULL
);
CREATE INDEX passages_by_article ON passages (article_key);
CREATE INDEX passages_by_generation ON passages (generation);
CREATE TABLE removed_passages (passage_key INTEGER PRIMARY KEY, generation INTEGER NOT NULL);
CREATE INDEX removed_by_generation ON removed_passages (generation);
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorSpace:
    """Which embedder made the vectors, by the SHA-256 of its weights, and how long they are."""

    embedder_sha256: str
    dimension: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Which articles to search: published before / on or after a date, of one source. The default keeps all."""

    before: date | None = None
    after: date | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPassage:
    """A passage as the Library holds it; `text == article.text[span.start:span.end]`."""

    key: int
    article_id: str
    title: str
    span: CharSpan
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ArticleSummary:
    """A line of the list of articles."""

    article_id: str
    title: str
    source: str
    url: str
    published: date | None
    n_chars: int
    n_passages: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NewArticle:
    """An article with its passages and their vectors, `(n_passages, dimension)` float32."""

    article: Article
    spans: Sequence[CharSpan]
    vectors: NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What came after a generation: keys removed, and keys and vectors added, up to `generation`."""

    generation: int
    removed: NDArray[np.int64]
    added: NDArray[np.int64]
    vectors: NDArray[np.float32]


class Library:
    """Reads and writes one Library. Safe to share between threads: each has a connection of its own."""

    def __init__(self, folder: Path, create: VectorSpace | None = None) -> None:
        """Open the Library in `folder`.

        Args:
            folder: where it lives; its indexes are beside it.
            create: the vectors that are going to be put in. The Library is created for them if there is none; one that
                holds vectors of another embedder is refused. Without it the Library must exist.

        Raises:
            LibraryError: there is none, it cannot be opened, was written by a newer Quoth, or holds vectors of
                another embedder.
        """
        self.folder = folder
        self._local = threading.local()
        if create is None and not (folder / FILE_NAME).is_file():
            raise LibraryError(f"{folder}: no Library here yet; add articles first: quoth add PATH")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if create is not None and not self._is_prepared():
                with self._write() as connection:
                    self._prepare(connection, create)
            self.space = self._verified_space(create)
            self._state(self._connection(), "generation")
        except (OSError, ValueError, sqlite3.DatabaseError) as error:
            raise LibraryError(f"{folder}: the Library cannot be opened: {error}") from error

    @property
    def dimension(self) -> int:
        """The length of every vector."""
        return self.space.dimension

    @property
    def generation(self) -> int:
        """The number of writes so far."""
        return int(self._state(self._connection(), "generation"))

    def put(self, batch: Sequence[NewArticle]) -> None:
        """Add articles, replacing those of the same id, in one transaction: all of them or none."""
        with self._write() as connection:
            generation = self._next_generation(connection)
            for new in batch:
                self._delete(connection, new.article.article_id, generation)
                self._insert(connection, new, generation)

    def remove(self, article_id: str) -> None:
        """Remove an article; from here on no answer can cite it.

        Raises:
            NotFoundError: no article has that id.
        """
        with self._write() as connection:
            if not self._delete(connection, article_id, self._next_generation(connection)):
                raise NotFoundError(f"no article has the id {article_id!r}; `quoth list` shows the ids")

    def get(self, article_id: str) -> Article:
        """The article of that id.

        Raises:
            NotFoundError: no article has that id.
        """
        row = (
            self._connection()
            .execute(
                "SELECT article_id, text, title, source, url, published FROM articles WHERE article_id = ?",
                (article_id,),
            )
            .fetchone()
        )
        if row is None:
            raise NotFoundError(f"no article has the id {article_id!r}; `quoth list` shows the ids")
        return Article(article_id=row[0], text=row[1], title=row[2], source=row[3], url=row[4], published=_date(row[5]))

    def find(self, article_id: str) -> Article | None:
        """The article of that id, or None."""
        try:
            return self.get(article_id)
        except NotFoundError:
            return None

    def stored_sha256(self, article_id: str) -> str:
        """The hash that was computed when the article was stored: `check` compares it with the text."""
        row = self._connection().execute("SELECT sha256 FROM articles WHERE article_id = ?", (article_id,)).fetchone()
        return str(row[0]) if row else ""

    def articles(self, *, limit: int = -1, offset: int = 0) -> list[ArticleSummary]:
        """Summaries, newest first, then by id; undated ones last."""
        rows = self._connection().execute(
            "SELECT article_id, title, source, url, published, length(text),"
            " (SELECT count(*) FROM passages WHERE passages.article_key = articles.article_key)"
            " FROM articles ORDER BY published IS NULL, published DESC, article_id LIMIT ? OFFSET ?",
            (limit, offset),
        )
        return [
            ArticleSummary(
                article_id=row[0], title=row[1], source=row[2], url=row[3],
                published=_date(row[4]), n_chars=row[5], n_passages=row[6],
            )
            for row in rows
        ]  # fmt: skip

    def counts(self) -> tuple[int, int]:
        """The number of articles and of passages."""
        row = (
            self._connection()
            .execute("SELECT (SELECT count(*) FROM articles), (SELECT count(*) FROM passages)")
            .fetchone()
        )
        return int(row[0]), int(row[1])

    def passages(self, keys: Sequence[int]) -> dict[int, StoredPassage]:
        """The passages of those keys that still exist."""
        marks = ",".join("?" * len(keys))
        rows = self._connection().execute(
            'SELECT passage_key, article_id, title, start, "end", substr(text, start + 1, "end" - start)'  # noqa: S608
            f" FROM passages JOIN articles USING (article_key) WHERE passage_key IN ({marks}) ORDER BY passage_key",
            [int(key) for key in keys],
        )
        return {
            row[0]: StoredPassage(
                key=row[0], article_id=row[1], title=row[2], span=CharSpan(row[3], row[4]), text=row[5]
            )
            for row in rows
        }

    def article_passages(self, article_id: str) -> list[StoredPassage]:
        """The passages of an article, in order; empty where there is no such article."""
        rows = self._connection().execute(
            "SELECT passage_key FROM passages JOIN articles USING (article_key) WHERE article_id = ? ORDER BY start",
            (article_id,),
        )
        return list(self.passages([row[0] for row in rows]).values())

    def allowed(self, filters: Filters) -> NDArray[np.int64] | None:
        """Keys of the passages that pass the filters, or None where every passage does."""
        conditions, values = [], []
        if filters.before is not None:
            conditions.append("published < ?")
            values.append(filters.before.isoformat())
        if filters.after is not None:
            conditions.append("published >= ?")
            values.append(filters.after.isoformat())
        if filters.source is not None:
            conditions.append("source = ?")
            values.append(filters.source)
        if not conditions:
            return None
        where = " AND ".join(conditions)
        rows = self._connection().execute(
            f"SELECT passage_key FROM passages JOIN articles USING (article_key) WHERE {where}",  # noqa: S608 (constants)
            values,
        )
        return np.array([row[0] for row in rows], dtype=np.int64)

    def changes_since(self, generation: int) -> Changes:
        """Everything that a derived index of that generation lacks, read in one snapshot."""
        with self._read() as connection:
            added = connection.execute(
                "SELECT passage_key, vector FROM passages WHERE generation > ? ORDER BY passage_key", (generation,)
            ).fetchall()
            removed = connection.execute(
                "SELECT passage_key FROM removed_passages WHERE generation > ?", (generation,)
            ).fetchall()
            now = int(self._state(connection, "generation"))
        vectors = np.frombuffer(b"".join(row[1] for row in added), dtype="<f4").reshape(len(added), self.dimension)
        return Changes(
            generation=now,
            removed=np.array([row[0] for row in removed], dtype=np.int64),
            added=np.array([row[0] for row in added], dtype=np.int64),
            vectors=vectors.astype(np.float32),
        )

    def integrity(self) -> list[str]:
        """What is wrong with the file and its rows, a sentence each; nothing if all is well."""
        connection = self._connection()
        try:
            damage = [str(row[0]) for row in connection.execute("PRAGMA integrity_check")]
            found = [f"the Library file is damaged: {line}" for line in damage if line != "ok"]
            orphans = connection.execute("PRAGMA foreign_key_check")
            found += [f"passage {row[1]} belongs to no article" for row in orphans]
            bad = connection.execute(
                'SELECT passage_key FROM passages WHERE start < 0 OR start >= "end" OR length(vector) != ?',
                (4 * self.dimension,),
            )
            found += [f"passage {row[0]} is not a span with a vector of {self.dimension} numbers" for row in bad]
            dates = connection.execute(
                "SELECT article_id, published FROM articles WHERE date(published) IS NOT published"
            )
            found += [f"article {row[0]!r} has the date {row[1]!r}" for row in dates]
        except sqlite3.DatabaseError as error:
            return [f"the Library file is damaged: {error}"]
        return found

    def _is_prepared(self) -> bool:
        return bool(self._connection().execute("SELECT 1 FROM sqlite_master WHERE name = 'state'").fetchone())

    def _prepare(self, connection: sqlite3.Connection, space: VectorSpace) -> None:
        if self._is_prepared():  # by another process, while this one waited for the lock
            return
        for statement in _SCHEMA.split(";"):
            connection.execute(statement)
        facts = {
            "format": FORMAT_VERSION,
            "generation": 0,
            "embedder_sha256": space.embedder_sha256,
            "dimension": space.dimension,
        }
        connection.executemany("INSERT INTO state VALUES (?, ?)", [(name, str(fact)) for name, fact in facts.items()])

    def _verified_space(self, wanted: VectorSpace | None) -> VectorSpace:
        connection = self._connection()
        found = self._state(connection, "format")
        if found != str(FORMAT_VERSION):
            raise LibraryError(
                f"{self.folder}: written in format {found}, this Quoth reads {FORMAT_VERSION}; update Quoth"
            )
        space = VectorSpace(
            embedder_sha256=self._state(connection, "embedder_sha256"),
            dimension=int(self._state(connection, "dimension")),
        )
        if wanted is not None and wanted != space:
            raise LibraryError(
                f"{self.folder}: its vectors come from another embedder; name that one, or start a new Library"
            )
        return space

    def _insert(self, connection: sqlite3.Connection, new: NewArticle, generation: int) -> None:
        if new.vectors.shape != (len(new.spans), self.dimension) or not np.isfinite(new.vectors).all():
            raise ValueError(f"{new.article.article_id}: vectors must be finite, {len(new.spans)} x {self.dimension}")
        article = new.article
        key = connection.execute(
            "INSERT INTO articles (article_id, title, source, url, published, text, sha256)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                article.article_id, article.title, article.source, article.url,
                article.published.isoformat() if article.published else None, article.text, article.sha256,
            ),
        ).lastrowid  # fmt: skip
        connection.executemany(
            'INSERT INTO passages (article_key, start, "end", vector, generation) VALUES (?, ?, ?, ?, ?)',
            [
                (key, span.start, span.end, vector.astype("<f4").tobytes(), generation)
                for span, vector in zip(new.spans, new.vectors, strict=True)
            ],
        )

    def _delete(self, connection: sqlite3.Connection, article_id: str, generation: int) -> bool:
        row = connection.execute("SELECT article_key FROM articles WHERE article_id = ?", (article_id,)).fetchone()
        if row is None:
            return False
        connection.execute(
            "INSERT INTO removed_passages SELECT passage_key, ? FROM passages WHERE article_key = ?",
            (generation, row[0]),
        )
        connection.execute("DELETE FROM articles WHERE article_key = ?", row)
        return True

    def _next_generation(self, connection: sqlite3.Connection) -> int:
        connection.execute("UPDATE state SET value = value + 1 WHERE name = 'generation'")
        return int(self._state(connection, "generation"))

    @staticmethod
    def _state(connection: sqlite3.Connection, name: str) -> str:
        row = connection.execute("SELECT value FROM state WHERE name = ?", (name,)).fetchone()
        if row is None:
            raise sqlite3.DatabaseError(f"the table 'state' has no {name!r}")
        return str(row[0])

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        """A transaction that holds the write lock from its start."""
        connection = self._connection()
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise LibraryBusyError(f"{self.folder}: another process is writing; try again") from error
            raise
        try:
            yield connection
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")

    @contextmanager
    def _read(self) -> Iterator[sqlite3.Connection]:
        """Several reads of one moment."""
        connection = self._connection()
        connection.execute("BEGIN")
        try:
            yield connection
        finally:
            connection.execute("COMMIT")

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = sqlite3.connect(self.folder / FILE_NAME, timeout=_BUSY_MS / 1000, isolation_level=None)
            connection.execute("PRAGMA journal_mode = WAL")
            # FULL: a commit is on the disk when it returns, so what was acknowledged survives a loss of power.
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            self._local.connection = connection
        return connection


def _date(value: str | None) -> date | None:
    return date.fromisoformat(value) if value else None
