"""The Library: articles, passages and vectors in one SQLite file, the one truth. Everything else is derived from it.

Each write is one transaction and one generation. A derived index that knows its generation asks for what came since.
"""

import hashlib
import sqlite3
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from index.articles import Article
from index.database import Database, state
from index.errors import NotFoundError
from index.passages import CharSpan
from index.records import ArticleSummary, Changes, Filters, NewArticle, StoredArticle, StoredPassage, VectorSpace


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
        self._database = Database(folder, create)
        self.folder = folder
        self.space = self._database.space

    @property
    def dimension(self) -> int:
        """The length of every vector."""
        return self.space.dimension

    @property
    def generation(self) -> int:
        """The number of writes so far."""
        return int(state(self._database.connection(), "generation"))

    def put(self, batch: Sequence[NewArticle]) -> None:
        """Add articles, replacing those of the same id, in one transaction: all of them or none."""
        with self._database.write() as connection:
            generation = self._next_generation(connection)
            for new in batch:
                self._delete(connection, new.article.article_id, generation)
                self._insert(connection, new, generation)

    def remove(self, article_id: str) -> None:
        """Remove an article; from here on no answer can cite it.

        Raises:
            NotFoundError: no article has that id.
        """
        with self._database.write() as connection:
            if not self._delete(connection, article_id, self._next_generation(connection)):
                raise NotFoundError(f"no article has the id {article_id!r}; `quoth list` shows the ids")

    def get(self, article_id: str) -> Article:
        """The article of that id.

        Raises:
            NotFoundError: no article has that id.
        """
        return self.get_stored(article_id).article

    def get_stored(self, article_id: str) -> StoredArticle:
        """The article of that id with the hash that was computed when it was stored, read in one moment.

        Raises:
            NotFoundError: no article has that id.
        """
        columns = "article_id, text, title, source, url, published, sha256"
        found = self._database.connection().execute(
            f"SELECT {columns} FROM articles WHERE article_id = ?",  # noqa: S608 (constants)
            (article_id,),
        )
        row = found.fetchone()
        if row is None:
            raise NotFoundError(f"no article has the id {article_id!r}; `quoth list` shows the ids")
        article = Article(
            article_id=row[0], text=row[1], title=row[2], source=row[3], url=row[4], published=_date(row[5])
        )
        return StoredArticle(article=article, sha256=row[6])

    def find(self, article_id: str) -> Article | None:
        """The article of that id, or None."""
        try:
            return self.get(article_id)
        except NotFoundError:
            return None

    def articles(self, *, limit: int = -1, offset: int = 0) -> list[ArticleSummary]:
        """Summaries, newest first, then by id; undated ones last."""
        rows = self._database.connection().execute(
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

    def content_sha256(self) -> str:
        """SHA-256, in hexadecimal, of all article ids, titles, texts and passages; how the archive grew has no say."""
        digest = hashlib.sha256()
        for query in (
            "SELECT article_id, title, sha256 FROM articles ORDER BY article_id",
            'SELECT article_id, start, "end" FROM passages JOIN articles USING (article_key) ORDER BY 1, 2, 3',
        ):
            for row in self._database.connection().execute(query):
                digest.update(repr(row).encode())
        return digest.hexdigest()

    def counts(self) -> tuple[int, int]:
        """The number of articles and of passages."""
        row = (
            self._database.connection()
            .execute("SELECT (SELECT count(*) FROM articles), (SELECT count(*) FROM passages)")
            .fetchone()
        )
        return int(row[0]), int(row[1])

    def passages(self, keys: Sequence[int]) -> dict[int, StoredPassage]:
        """The passages of those keys that still exist."""
        marks = ",".join("?" * len(keys))
        rows = self._database.connection().execute(
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
        rows = self._database.connection().execute(
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
        rows = self._database.connection().execute(
            f"SELECT passage_key FROM passages JOIN articles USING (article_key) WHERE {where}",  # noqa: S608 (constants)
            values,
        )
        return np.array([row[0] for row in rows], dtype=np.int64)

    def changes_since(self, generation: int) -> Changes:
        """Everything that a derived index of that generation lacks, read in one snapshot."""
        with self._database.read() as connection:
            added = connection.execute(
                "SELECT passage_key, vector FROM passages WHERE generation > ? ORDER BY passage_key", (generation,)
            ).fetchall()
            removed = connection.execute(
                "SELECT passage_key FROM removed_passages WHERE generation > ?", (generation,)
            ).fetchall()
            now = int(state(connection, "generation"))
        vectors = np.frombuffer(b"".join(row[1] for row in added), dtype="<f4").reshape(len(added), self.dimension)
        return Changes(
            generation=now,
            removed=np.array([row[0] for row in removed], dtype=np.int64),
            added=np.array([row[0] for row in added], dtype=np.int64),
            vectors=vectors.astype(np.float32),
        )

    def integrity(self) -> list[str]:
        """What is wrong with the file and its rows, a sentence each; nothing if all is well."""
        return self._database.integrity()

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
        return int(state(connection, "generation"))


def _date(value: str | None) -> date | None:
    return date.fromisoformat(value) if value else None
