"""The tables of a Library, and how a file that an older Quoth wrote gets them."""

import secrets
import sqlite3
from collections.abc import Callable
from datetime import date

from index.articles import Article
from index.families import relate_all
from index.passages import CharSpan
from index.seals import article_seal, passage_seal

FORMAT_VERSION = 2
SCHEMA = """
CREATE TABLE state (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE moments (generation INTEGER PRIMARY KEY, stamp TEXT NOT NULL);
CREATE TABLE articles (
    article_key INTEGER PRIMARY KEY AUTOINCREMENT,
    article_id TEXT NOT NULL UNIQUE,
    title TEXT NOT NULL,
    source TEXT NOT NULL,
    url TEXT NOT NULL,
    published TEXT,
    text TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    seal TEXT NOT NULL
);
CREATE INDEX articles_by_published ON articles (published);
CREATE INDEX articles_by_source ON articles (source);
CREATE TABLE passages (
    passage_key INTEGER PRIMARY KEY AUTOINCREMENT,
    article_key INTEGER NOT NULL REFERENCES articles ON DELETE CASCADE,
    start INTEGER NOT NULL,
    "end" INTEGER NOT NULL,
    vector BLOB NOT NULL,
    generation INTEGER NOT NULL,
    seal INTEGER NOT NULL,
    copies INTEGER
);
CREATE INDEX passages_by_article ON passages (article_key);
CREATE INDEX passages_by_generation ON passages (generation);
CREATE INDEX passages_by_copies ON passages (copies) WHERE copies IS NOT NULL;
CREATE TABLE copy_bands (band INTEGER NOT NULL, passage_key INTEGER NOT NULL, PRIMARY KEY (band, passage_key))
    WITHOUT ROWID;
CREATE TABLE removed_passages (passage_key INTEGER PRIMARY KEY, generation INTEGER NOT NULL);
CREATE INDEX removed_by_generation ON removed_passages (generation);
"""
"""`passages.copies` is the number of a family of near-identical passages, or NULL; `copy_bands` is how it is found."""


def migrate(connection: sqlite3.Connection, found: int) -> None:
    """Bring the tables of format `found` to `FORMAT_VERSION`, within the caller's transaction."""
    for version in range(found, FORMAT_VERSION):
        _MIGRATIONS[version](connection)
    connection.execute("UPDATE state SET value = ? WHERE name = 'format'", (str(FORMAT_VERSION),))


def _from_1(connection: sqlite3.Connection) -> None:
    """Format 1 had no stamps, no seals, no indexes for filters and nothing about copies."""
    for statement in (
        "CREATE TABLE moments (generation INTEGER PRIMARY KEY, stamp TEXT NOT NULL)",
        "CREATE INDEX articles_by_published ON articles (published)",
        "CREATE INDEX articles_by_source ON articles (source)",
        "ALTER TABLE articles ADD COLUMN seal TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE passages ADD COLUMN seal INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE passages ADD COLUMN copies INTEGER",
        "CREATE INDEX passages_by_copies ON passages (copies) WHERE copies IS NOT NULL",
        """CREATE TABLE copy_bands (band INTEGER NOT NULL, passage_key INTEGER NOT NULL,
            PRIMARY KEY (band, passage_key)) WITHOUT ROWID""",
    ):
        connection.execute(statement)
    connection.execute(
        "INSERT INTO moments SELECT CAST(value AS INTEGER), ? FROM state WHERE name = 'generation'",
        (secrets.token_hex(8),),
    )
    _seal(connection)
    relate_all(connection)


def _seal(connection: sqlite3.Connection) -> None:
    """Take what is there as it is: format 1 has nothing to compare it with but the hash of the text, which stays."""
    columns = "article_key, article_id, title, source, url, published, text"
    for row in connection.execute(f"SELECT {columns} FROM articles"):  # noqa: S608 (constants)
        article = Article(
            article_id=row[1], title=row[2], source=row[3], url=row[4],
            published=date.fromisoformat(row[5]) if row[5] else None, text=row[6],
        )  # fmt: skip
        connection.execute("UPDATE articles SET seal = ? WHERE article_key = ?", (article_seal(article), row[0]))
    for key, start, end, vector in connection.execute('SELECT passage_key, start, "end", vector FROM passages'):
        seal = passage_seal(CharSpan(start, end), vector)
        connection.execute("UPDATE passages SET seal = ? WHERE passage_key = ?", (seal, key))


_MIGRATIONS: dict[int, Callable[[sqlite3.Connection], None]] = {1: _from_1}
