"""The SQLite file of a Library: its schema, its connections and its transactions."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from index.errors import LibraryBusyError, LibraryError
from index.records import VectorSpace

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


class Database:
    """One file, and for each thread a connection of its own."""

    def __init__(self, folder: Path, create: VectorSpace | None) -> None:
        """Open the file in `folder`; see `Library`.

        Raises:
            LibraryError: it cannot be used; the message says why.
        """
        self.folder = folder
        self._local = threading.local()
        if create is None and not (folder / FILE_NAME).is_file():
            raise LibraryError(f"{folder}: no Library here yet; add articles first: quoth add PATH")
        try:
            if create is not None:
                folder.mkdir(parents=True, exist_ok=True)
                # One at a time: SQLite answers "locked" at once, without waiting, to two that switch a new file to WAL.
                with FileLock(folder / ".create.lock", timeout=_BUSY_MS / 1000):
                    self._create(create)
            self.space = self._verified_space(create)
            state(self.connection(), "generation")
        except (OSError, ValueError, sqlite3.DatabaseError) as error:
            raise LibraryError(f"{folder}: the Library cannot be opened: {error}") from error

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """A transaction that holds the write lock from its start."""
        connection = self.connection()
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise LibraryBusyError(f"{self.folder}: another process is writing; try again") from error
            raise
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:  # a full disk has already ended it
                connection.execute("ROLLBACK")
            raise

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Several reads of one moment."""
        connection = self.connection()
        connection.execute("BEGIN")
        try:
            yield connection
        finally:
            connection.execute("COMMIT")

    def connection(self) -> sqlite3.Connection:
        """This thread's own connection, outside any transaction; for single reads."""
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = sqlite3.connect(self.folder / FILE_NAME, timeout=_BUSY_MS / 1000, isolation_level=None)
            connection.execute("PRAGMA journal_mode = WAL")
            # FULL: a commit is on the disk when it returns, so what was acknowledged survives a loss of power.
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            self._local.connection = connection
        return connection

    def integrity(self) -> list[str]:
        """What is wrong with the file and its rows, a sentence each; nothing if all is well."""
        connection = self.connection()
        try:
            damage = [str(row[0]) for row in connection.execute("PRAGMA integrity_check")]
            found = [f"the Library file is damaged: {line}" for line in damage if line != "ok"]
            orphans = connection.execute("PRAGMA foreign_key_check")
            found += [f"passage {row[1]} belongs to no article" for row in orphans]
            bad = connection.execute(
                'SELECT passage_key FROM passages WHERE start < 0 OR start >= "end" OR length(vector) != ?',
                (4 * self.space.dimension,),
            )
            found += [f"passage {row[0]} is not a span with a vector of {self.space.dimension} numbers" for row in bad]
            dates = connection.execute(
                "SELECT article_id, published FROM articles WHERE date(published) IS NOT published"
            )
            found += [f"article {row[0]!r} has the date {row[1]!r}" for row in dates]
        except sqlite3.DatabaseError as error:
            return [f"the Library file is damaged: {error}"]
        return found

    def _is_prepared(self) -> bool:
        return bool(self.connection().execute("SELECT 1 FROM sqlite_master WHERE name = 'state'").fetchone())

    def _create(self, space: VectorSpace) -> None:
        """Write the schema, unless it is there."""
        if self._is_prepared():
            return
        facts = {
            "format": FORMAT_VERSION,
            "generation": 0,
            "embedder_sha256": space.embedder_sha256,
            "dimension": space.dimension,
        }
        with self.write() as connection:
            for statement in _SCHEMA.split(";"):
                connection.execute(statement)
            connection.executemany(
                "INSERT INTO state VALUES (?, ?)", [(name, str(fact)) for name, fact in facts.items()]
            )

    def _verified_space(self, wanted: VectorSpace | None) -> VectorSpace:
        connection = self.connection()
        found = state(connection, "format")
        if found != str(FORMAT_VERSION):
            raise LibraryError(
                f"{self.folder}: written in format {found}, this Quoth reads {FORMAT_VERSION}; update Quoth"
            )
        space = VectorSpace(
            embedder_sha256=state(connection, "embedder_sha256"),
            dimension=int(state(connection, "dimension")),
        )
        if wanted is not None and wanted != space:
            raise LibraryError(
                f"{self.folder}: its vectors come from another embedder; name that one, or start a new Library"
            )
        return space


def state(connection: sqlite3.Connection, name: str) -> str:
    """A fact of the table `state`: format, generation, embedder_sha256 or dimension."""
    row = connection.execute("SELECT value FROM state WHERE name = ?", (name,)).fetchone()
    if row is None:
        raise sqlite3.DatabaseError(f"the table 'state' has no {name!r}")
    return str(row[0])
