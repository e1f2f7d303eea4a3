"""What a write does to the rows of a Library, within the transaction of its caller."""

import sqlite3

from index import families
from index.records import NewArticle
from index.seals import article_seal, passage_seal


def insert_article(connection: sqlite3.Connection, new: NewArticle, generation: int) -> None:
    """Add an article of an id that is free, with its passages and their vectors."""
    article = new.article
    (key,) = connection.execute(
        "INSERT INTO articles (article_id, title, source, url, published, text, sha256, seal)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING article_key",
        (
            article.article_id, article.title, article.source, article.url,
            article.published.isoformat() if article.published else None, article.text, article.sha256,
            article_seal(article),
        ),
    ).fetchone()  # fmt: skip
    vectors = [vector.astype("<f4").tobytes() for vector in new.vectors]
    connection.executemany(
        'INSERT INTO passages (article_key, start, "end", vector, generation, seal) VALUES (?, ?, ?, ?, ?, ?)',
        [
            (key, span.start, span.end, vector, generation, passage_seal(span, vector))
            for span, vector in zip(new.spans, vectors, strict=True)
        ],
    )
    families.relate(connection, key)


def delete_article(connection: sqlite3.Connection, article_id: str, generation: int) -> bool:
    """Remove an article with its passages, keeping on record which those were; False if there is none of that id."""
    row = connection.execute("SELECT article_key FROM articles WHERE article_id = ?", (article_id,)).fetchone()
    if row is None:
        return False
    connection.execute(
        "INSERT INTO removed_passages SELECT passage_key, ? FROM passages WHERE article_key = ?",
        (generation, row[0]),
    )
    families.forget(connection, row[0])
    connection.execute("DELETE FROM articles WHERE article_key = ?", row)
    return True
