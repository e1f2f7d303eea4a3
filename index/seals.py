"""Seals: short hashes, stored with a row, by which a row that is not as it was written is known.

SQLite does not notice a flipped bit within a value. The text of an article has a SHA-256 that readers are shown; these
are of the rest.
"""

import hashlib
import json
import zlib

from index.articles import Article
from index.passages import CharSpan


def article_seal(article: Article) -> str:
    """SHA-256, in hexadecimal, over every field of an article."""
    published = article.published.isoformat() if article.published else None
    fields = [article.article_id, article.title, article.source, article.url, published, article.sha256]
    return hashlib.sha256(json.dumps(fields).encode()).hexdigest()


def passage_seal(span: CharSpan, vector: bytes) -> int:
    """CRC-32 over a passage's span and its vector's bytes."""
    return zlib.crc32(vector, zlib.crc32(f"{span.start} {span.end}".encode()))
