"""Families of near-identical passages: rows of the Library that say which passages are copies of which.

A family is led by the first of its members, and only passages that lead or are alone have rows in `copy_bands`: what
a new passage is compared with stays little, however often a text was printed. The others are copies of the leader; two
of them can differ a little more from each other. A family has at most one passage of an article.
"""

import sqlite3
from collections.abc import Iterator

from index.copies import Wording

_MOST_COMPARED = 32
"""A bound for texts made from one form, which share bands and are no copies."""
_TEXT = 'substr(text, start + 1, "end" - start)'


def relate(connection: sqlite3.Connection, article_key: int) -> None:
    """Find the families of an article's passages, which have just been inserted.

    A family's number is the key of the passage that first led it, and stays when that one is removed. Which family a
    passage joins depends on the order of adding only where near-identity is not transitive: it joins that of the
    oldest leader that it is a copy of.
    """
    for key, _, wording in _wordings(connection, article_key):
        bands = wording.bands()
        leader = _leader(connection, article_key, wording, bands)
        if leader is None:
            _insert_bands(connection, key, bands)
        else:
            _join(connection, key, leader)


def forget(connection: sqlite3.Connection, article_key: int) -> None:
    """Take an article's passages out of `copy_bands` before they are deleted; where one led, the next oldest leads."""
    for key, family, wording in _wordings(connection, article_key):
        removed = connection.executemany(
            "DELETE FROM copy_bands WHERE band = ? AND passage_key = ?", [(band, key) for band in wording.bands()]
        )
        if removed.rowcount and family is not None:
            _crown(connection, family, article_key)


def relate_all(connection: sqlite3.Connection) -> None:
    """Find the families of a Library that has none yet, in the order in which its articles were added."""
    for row in connection.execute("SELECT article_key FROM articles ORDER BY article_key").fetchall():
        relate(connection, row[0])


def _wordings(connection: sqlite3.Connection, article_key: int) -> Iterator[tuple[int, int | None, Wording]]:
    """Key, family and wording of each passage of an article."""
    rows = connection.execute(
        f"SELECT passage_key, copies, {_TEXT} FROM passages JOIN articles USING (article_key)"  # noqa: S608 (constants)
        " WHERE article_key = ? ORDER BY passage_key",
        (article_key,),
    ).fetchall()
    for key, family, text in rows:
        yield key, family, Wording.of(text)


def _leader(connection: sqlite3.Connection, article_key: int, wording: Wording, bands: list[int]) -> int | None:
    """The oldest passage with bands that this one is a copy of, unless its family has one of this article already."""
    rows = connection.execute(
        f"""SELECT passage_key, {_TEXT} FROM passages AS other JOIN articles USING (article_key)
            WHERE passage_key IN (SELECT passage_key FROM copy_bands WHERE band IN ({",".join("?" * len(bands))}))
            AND article_key != ?
            AND NOT EXISTS (SELECT 1 FROM passages WHERE copies = other.copies AND article_key = ?)
            ORDER BY passage_key LIMIT ?""",  # noqa: S608 (constants and marks)
        (*bands, article_key, article_key, _MOST_COMPARED),
    )
    return next((key for key, text in rows.fetchall() if Wording.of(text).is_copy_of(wording)), None)


def _join(connection: sqlite3.Connection, key: int, leader: int) -> None:
    connection.execute("UPDATE passages SET copies = passage_key WHERE passage_key = ? AND copies IS NULL", (leader,))
    (family,) = connection.execute("SELECT copies FROM passages WHERE passage_key = ?", (leader,)).fetchone()
    connection.execute("UPDATE passages SET copies = ? WHERE passage_key = ?", (family, key))


def _crown(connection: sqlite3.Connection, family: int, without: int) -> None:
    heir = connection.execute(
        f"SELECT passage_key, {_TEXT} FROM passages JOIN articles USING (article_key)"  # noqa: S608 (constants)
        " WHERE copies = ? AND article_key != ? ORDER BY passage_key LIMIT 1",
        (family, without),
    ).fetchone()
    if heir is not None:
        _insert_bands(connection, heir[0], Wording.of(heir[1]).bands())


def _insert_bands(connection: sqlite3.Connection, key: int, bands: list[int]) -> None:
    connection.executemany("INSERT INTO copy_bands VALUES (?, ?)", [(band, key) for band in bands])
