"""The Library: articles, passages and vectors in one SQLite file, the one truth. Everything else is derived from it.

Each write is one transaction and one moment. A derived index that knows its moment asks for what came since.
"""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from index.articles import Article
from index.database import FILE_NAME, Database, holds, moment_of, next_moment, state
from index.errors import NotFoundError
from index.passages import CharSpan
from index.records import (
    ArticleSummary,
    Changes,
    Filters,
    ListPlace,
    Moment,
    NewArticle,
    StoredArticle,
    StoredPassage,
    VectorSpace,
)
from index.rows import delete_article, insert_article
from index.seals import passage_seal

_KEYS_AT_ONCE = 5000
"""Values of one SQL statement; SQLite takes some 32,000."""
MOST_COPIES = 10
"""Copies named of one passage, where a text stands in a thousand articles."""


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
        self.file = folder / FILE_NAME
        self.space = self._database.space

    @property
    def dimension(self) -> int:
        """The length of every vector."""
        return self.space.dimension

    @property
    def is_read_only(self) -> bool:
        """Whether the folder cannot be written: what is there can be asked, nothing can be added or removed."""
        return self._database.is_read_only

    @property
    def generation(self) -> int:
        """The number of writes so far."""
        return int(state(self._database.connection(), "generation"))

    @property
    def moment(self) -> Moment:
        """The Library's own moment, now."""
        with self._database.read() as connection:
            return moment_of(connection)

    def holds(self, moment: Moment) -> bool:
        """Whether the moment lies in this Library's past: what an index of it lacks is then what came since."""
        return holds(self._database.connection(), moment)

    def put(self, batch: Sequence[NewArticle]) -> None:
        """Add articles, replacing those of the same id, in one transaction: all of them or none."""
        with self._database.write() as connection:
            generation = next_moment(connection).generation
            for new in batch:
                if new.vectors.shape != (len(new.spans), self.dimension) or not np.isfinite(new.vectors).all():
                    raise ValueError(
                        f"{new.article.article_id}: vectors must be finite, {len(new.spans)} x {self.dimension}"
                    )
                delete_article(connection, new.article.article_id, generation)
                insert_article(connection, new, generation)

    def remove(self, article_id: str) -> None:
        """Remove an article; from here on no answer can cite it.

        Raises:
            NotFoundError: no article has that id.
        """
        with self._database.write() as connection:
            if not delete_article(connection, article_id, next_moment(connection).generation):
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
        columns = "article_id, text, title, source, url, published, sha256, seal"
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
        return StoredArticle(article=article, sha256=row[6], seal=row[7])

    def find(self, article_id: str) -> Article | None:
        """The article of that id, or None."""
        try:
            return self.get(article_id)
        except NotFoundError:
            return None

    def articles(
        self,
        *,
        limit: int | None = None,
        after: ListPlace | None = None,
        filters: Filters = Filters(),  # noqa: B008 (frozen)
    ) -> list[ArticleSummary]:
        """Summaries, newest first, then by id; undated ones last. With `after`, those that follow that place."""
        found: list[ArticleSummary] = []
        for is_dated in (True, False):  # two queries, so that the index on dates gives the order
            if limit is not None and len(found) >= limit:
                break
            if is_dated and after is not None and after.published is None:
                continue
            left = -1 if limit is None else limit - len(found)
            found += self._summaries(is_dated=is_dated, after=after, filters=filters, limit=left)
        return found

    def _summaries(
        self, *, is_dated: bool, after: ListPlace | None, filters: Filters, limit: int
    ) -> list[ArticleSummary]:
        where, values = _conditions(filters)
        where += f" AND published IS {'NOT ' if is_dated else ''}NULL"
        if after is not None and is_dated and after.published is not None:
            where += " AND published <= ? AND (published < ? OR article_id > ?)"
            values += [after.published.isoformat(), after.published.isoformat(), after.article_id]
        elif after is not None and not is_dated and after.published is None:
            where += " AND article_id > ?"
            values.append(after.article_id)
        rows = self._database.connection().execute(
            "SELECT article_id, title, source, url, published, length(text),"  # noqa: S608 (constants)
            " (SELECT count(*) FROM passages WHERE passages.article_key = articles.article_key)"
            # Sorted by their keys alone: a sort of whole rows reads the text of every article without a date.
            f" FROM (SELECT article_key FROM articles WHERE {where} ORDER BY published DESC, article_id LIMIT ?)"
            " JOIN articles USING (article_key) ORDER BY published DESC, article_id",
            [*values, limit],
        )
        return [
            ArticleSummary(
                article_id=row[0], title=row[1], source=row[2], url=row[3],
                published=_date(row[4]), n_chars=row[5], n_passages=row[6],
            )
            for row in rows
        ]  # fmt: skip

    def count_articles(self, filters: Filters) -> int:
        """How many articles pass the filters."""
        where, values = _conditions(filters)
        row = self._database.connection().execute(f"SELECT count(*) FROM articles WHERE {where}", values).fetchone()  # noqa: S608 (constants)
        return int(row[0])

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
            'SELECT passage_key, article_id, title, start, "end", substr(text, start + 1, "end" - start),'  # noqa: S608
            " source, published FROM passages JOIN articles USING (article_key)"
            f" WHERE passage_key IN ({marks}) ORDER BY passage_key",
            [int(key) for key in keys],
        )
        return {
            row[0]: StoredPassage(
                key=row[0], article_id=row[1], title=row[2], span=CharSpan(row[3], row[4]), text=row[5],
                source=row[6], published=_date(row[7]),
            )
            for row in rows
        }  # fmt: skip

    def article_passages(self, article_id: str) -> list[StoredPassage]:
        """The passages of an article, in order; empty where there is no such article."""
        rows = self._database.connection().execute(
            "SELECT passage_key FROM passages JOIN articles USING (article_key) WHERE article_id = ? ORDER BY start",
            (article_id,),
        )
        return list(self.passages([row[0] for row in rows]).values())

    def allowed(self, filters: Filters) -> NDArray[np.int64]:
        """Keys of the passages that pass the filters, `(n,)` int64; undated articles pass no filter by date."""
        where, values = _conditions(filters)
        rows = self._database.connection().execute(
            f"SELECT passage_key FROM passages JOIN articles USING (article_key) WHERE {where}",  # noqa: S608 (constants)
            values,
        )
        return np.fromiter((row[0] for row in rows), dtype=np.int64)

    def families(self, keys: Sequence[int]) -> dict[int, int]:
        """The family of each of the keys that has one: passages of other articles that say the same have its number."""
        marks = ",".join("?" * len(keys))
        rows = self._database.connection().execute(
            f"SELECT passage_key, copies FROM passages WHERE passage_key IN ({marks}) AND copies IS NOT NULL",  # noqa: S608 (marks)
            [int(key) for key in keys],
        )
        return dict(rows.fetchall())

    def copies(self, keys: Sequence[int], filters: Filters = Filters()) -> dict[int, list[StoredPassage]]:  # noqa: B008 (frozen)
        """For each of the keys that has any, the near-identical passages of other articles that pass the filters.

        One an article, the earliest published first, undated ones last; at most `MOST_COPIES`.
        """
        conditions, values = _conditions(filters)
        others = {
            key: self._database.connection()
            .execute(
                "SELECT passage_key FROM passages JOIN articles USING (article_key)"  # noqa: S608 (constants)
                f" WHERE copies = ? AND passage_key != ? AND {conditions}"
                " ORDER BY published IS NULL, published, passage_key LIMIT ?",
                (family, key, *values, MOST_COPIES),
            )
            .fetchall()
            for key, family in self.families(keys).items()
        }
        stored = self.passages([row[0] for rows in others.values() for row in rows])
        found = {key: [stored[row[0]] for row in rows if row[0] in stored] for key, rows in others.items()}
        return {key: passages for key, passages in found.items() if passages}

    def changes_since(self, moment: Moment) -> Changes:
        """Everything that a derived index of that moment lacks, read in one snapshot."""
        since = (moment.generation,)
        with self._database.read() as connection:
            # Sorted afterwards: asked for an order, SQLite reads a million rows in it to find one that is new.
            added = connection.execute("SELECT passage_key FROM passages WHERE generation > ?", since).fetchall()
            removed = connection.execute(
                "SELECT passage_key FROM removed_passages WHERE generation > ?", since
            ).fetchall()
            now = moment_of(connection)
        return Changes(
            moment=now,
            removed=np.array([row[0] for row in removed], dtype=np.int64),
            added=np.sort(np.array([row[0] for row in added], dtype=np.int64)),
        )

    def vectors(self, keys: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The vectors of those of the keys that still exist: keys `(n,)`, ascending, and `(n, dimension)` float32."""
        rows: list[tuple[int, bytes]] = []
        for begin in range(0, len(keys), _KEYS_AT_ONCE):
            some = keys[begin : begin + _KEYS_AT_ONCE].tolist()
            marks = ",".join("?" * len(some))
            rows += self._database.connection().execute(
                f"SELECT passage_key, vector FROM passages WHERE passage_key IN ({marks})",  # noqa: S608 (marks)
                some,
            )
        rows.sort()
        found = np.frombuffer(b"".join(row[1] for row in rows), dtype="<f4").reshape(len(rows), self.dimension)
        return np.array([row[0] for row in rows], dtype=np.int64), found.astype(np.float32)

    def broken_passages(self) -> Iterator[tuple[str, int]]:
        """Article ids and keys of passages whose span or vector is not the one that was stored."""
        rows = self._database.connection().execute(
            'SELECT article_id, passage_key, start, "end", vector, passages.seal'
            " FROM passages JOIN articles USING (article_key)"
        )
        for article_id, key, start, end, vector, seal in rows:
            if passage_seal(CharSpan(start, end), vector) != seal:
                yield article_id, key

    def integrity(self) -> list[str]:
        """What is wrong with the file and its rows, a sentence each; nothing if all is well."""
        return self._database.integrity()


def _conditions(filters: Filters) -> tuple[str, list[str]]:
    """The filters as a condition of SQL on `articles`, and its values."""
    conditions, values = ["TRUE"], []
    if filters.before is not None:
        conditions.append("published < ?")
        values.append(filters.before.isoformat())
    if filters.after is not None:
        conditions.append("published >= ?")
        values.append(filters.after.isoformat())
    if filters.source is not None:
        conditions.append("source = ?")
        values.append(filters.source)
    return " AND ".join(conditions), values


def _date(value: str | None) -> date | None:
    return date.fromisoformat(value) if value else None
