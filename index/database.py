"""The SQLite file of a Library: its connections and its transactions."""

import os
import secrets
import sqlite3
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock

from index.errors import LibraryBusyError, LibraryError
from index.files import read_sealed, sync, write_sealed
from index.records import Moment, VectorSpace
from index.schema import FORMAT_VERSION, SCHEMA, migrate

FILE_NAME = "library.sqlite3"
WITNESS_NAME = "last_write.json"
_WRITER_NAME = ".writer"
_BUSY_MS = 10_000


class Database:
    """One file, and for each thread a connection of its own."""

    def __init__(self, folder: Path, create: VectorSpace | None) -> None:
        """Open the file in `folder`, bringing an older format up to date; see `Library`.

        Raises:
            LibraryError: it cannot be used; the message says why.
        """
        self.folder = folder
        self._local = threading.local()
        self._refuse_to_replace()
        if create is None and not (folder / FILE_NAME).is_file():
            raise LibraryError(f"{folder}: no Library here yet; add articles first: quoth add PATH")
        try:
            if create is not None and not folder.exists():
                folder.mkdir(parents=True, exist_ok=True)
                sync(folder.parent)
            self.is_read_only = not os.access(folder, os.W_OK)
            if not self.is_read_only:
                # One at a time: SQLite answers "locked" at once, without waiting, to two that switch a new file to WAL.
                with FileLock(folder / ".create.lock", timeout=_BUSY_MS / 1000):
                    self._prepare(create)
            self.space = self._verified_space(create)
            self._refuse_what_has_lost_writes()
        except (OSError, ValueError, sqlite3.DatabaseError) as error:
            raise LibraryError(f"{folder / FILE_NAME}: the Library cannot be opened: {error}") from error

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """A transaction that holds the write lock from its start; a second writer waits for it.

        Raises:
            LibraryBusyError: another process held it for longer than is waited; the message says which.
            LibraryError: the folder is read-only.
        """
        if self.is_read_only:
            raise LibraryError(f"{self.folder}: the folder is read-only: articles can be asked, not added or removed")
        connection = self.connection()
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise LibraryBusyError(f"{self.folder}: {self._writer()} is writing; try again") from error
            raise
        try:
            self._sign()
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:  # a full disk has already ended it
                connection.execute("ROLLBACK")
            raise
        self._witness()

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
            connection = self._read_only() if self.is_read_only else self._writable()
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

    def _writable(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.folder / FILE_NAME, timeout=_BUSY_MS / 1000, isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        # FULL: a commit is on the disk when it returns, so what was acknowledged survives a loss of power.
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        return connection

    def _read_only(self) -> sqlite3.Connection:
        file = (self.folder / FILE_NAME).resolve()
        wal = file.with_name(f"{FILE_NAME}-wal")
        # Without a write-ahead log nothing can change below a reader who may not write; with one, it must be read too.
        is_whole = not wal.exists() or wal.stat().st_size == 0
        uri = f"{file.as_uri()}?mode=ro" + ("&immutable=1" if is_whole else "")
        return sqlite3.connect(uri, uri=True, timeout=_BUSY_MS / 1000, isolation_level=None)

    def _prepare(self, create: VectorSpace | None) -> None:
        """Write the schema where there is none, and migrate what an older Quoth wrote."""
        connection = self.connection()
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'state'").fetchone():
            if create is not None:
                self._create(create)
            return
        if _format(connection) < FORMAT_VERSION:
            with self.write() as writing:
                migrate(writing, _format(writing))

    def _refuse_to_replace(self) -> None:
        """No new Library over the indexes of one whose file is gone: its articles may still be saved."""
        file = self.folder / FILE_NAME
        is_gone = not file.exists() or file.stat().st_size == 0
        if is_gone and (self.folder / "lexical").exists():
            raise LibraryError(
                f"{file}: missing or empty, though there were articles here once; restore it from a copy, or delete the"
                " folder to begin anew"
            )

    def _witness(self) -> None:
        """Leave word outside of SQLite of the last write, before it is acknowledged.

        `_refuse_what_has_lost_writes` reads it. An older word, after a stop or on a full disk, does no harm.
        """
        with suppress(OSError):
            write_sealed(self.folder / WITNESS_NAME, asdict(moment_of(self.connection())))

    def _refuse_what_has_lost_writes(self) -> None:
        """SQLite drops what follows the first damage in its write-ahead log, and says nothing."""
        try:
            last = Moment(**read_sealed(self.folder / WITNESS_NAME))
        except (OSError, ValueError, TypeError):
            return  # none yet, or damaged itself: the next write makes it anew
        now = moment_of(self.connection())
        if not holds(self.connection(), last):
            raise LibraryError(
                f"{self.folder / FILE_NAME}: write {last.generation} was acknowledged, and this is write"
                f" {now.generation} of another history: {FILE_NAME}-wal was lost or damaged, or an older copy was put"
                f" back. Put the right files back, or delete {WITNESS_NAME} to go on with what is there"
            )

    def _create(self, space: VectorSpace) -> None:
        facts = {
            "format": FORMAT_VERSION,
            "generation": 0,
            "embedder_sha256": space.embedder_sha256,
            "dimension": space.dimension,
        }
        with self.write() as connection:
            for statement in SCHEMA.split(";"):
                connection.execute(statement)
            connection.executemany(
                "INSERT INTO state VALUES (?, ?)", [(name, str(fact)) for name, fact in facts.items()]
            )

    def _verified_space(self, wanted: VectorSpace | None) -> VectorSpace:
        connection = self.connection()
        found = _format(connection)
        if found > FORMAT_VERSION:
            raise LibraryError(
                f"{self.folder}: written in format {found}, this Quoth reads up to {FORMAT_VERSION}; update Quoth"
            )
        if found < FORMAT_VERSION:
            raise LibraryError(
                f"{self.folder}: written in format {found}, and the folder is read-only; open it once where it can be"
                f" written, to bring it to format {FORMAT_VERSION}"
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

    def _sign(self) -> None:
        """Leave word of who holds the write lock, for those who wait; only ever a courtesy."""
        command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:2]])
        with suppress(OSError):
            (self.folder / _WRITER_NAME).write_text(
                f"process {os.getpid()} ({command}), since {datetime.now(UTC):%H:%M:%S} UTC,", encoding="utf-8"
            )

    def _writer(self) -> str:
        try:
            return (self.folder / _WRITER_NAME).read_text(encoding="utf-8", errors="replace") or "another process"
        except OSError:
            return "another process"


def next_moment(connection: sqlite3.Connection) -> Moment:
    """The moment that the running transaction makes: one generation on, with a stamp that no other write ever has."""
    connection.execute("UPDATE state SET value = value + 1 WHERE name = 'generation'")
    moment = Moment(generation=int(state(connection, "generation")), stamp=secrets.token_hex(8))
    connection.execute("INSERT INTO moments VALUES (?, ?)", (moment.generation, moment.stamp))
    return moment


def moment_of(connection: sqlite3.Connection) -> Moment:
    """The moment that the connection sees."""
    generation = int(state(connection, "generation"))
    if not generation:
        return Moment()
    row = connection.execute("SELECT stamp FROM moments WHERE generation = ?", (generation,)).fetchone()
    if row is None:
        raise sqlite3.DatabaseError(f"the table 'moments' lacks generation {generation}")
    return Moment(generation=generation, stamp=str(row[0]))


def holds(connection: sqlite3.Connection, moment: Moment) -> bool:
    """Whether the moment lies in the past of what the connection sees."""
    if moment == Moment():
        return True
    row = connection.execute("SELECT stamp FROM moments WHERE generation = ?", (moment.generation,)).fetchone()
    return row is not None and row[0] == moment.stamp


def state(connection: sqlite3.Connection, name: str) -> str:
    """A fact of the table `state`: format, generation, embedder_sha256 or dimension."""
    row = connection.execute("SELECT value FROM state WHERE name = ?", (name,)).fetchone()
    if row is None:
        raise sqlite3.DatabaseError(f"the table 'state' has no {name!r}")
    return str(row[0])


def _format(connection: sqlite3.Connection) -> int:
    return int(state(connection, "format"))
