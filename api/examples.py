"""One example for each document that the API takes or gives, as the OpenAPI description shows it."""

from collections.abc import Mapping
from typing import Any

_TEXT = "At least 33 soldiers were killed in an air strike on Thursday, officials said."
_SHA256 = "dc25cc82a6008f684a595772125dcbbdbcff2e82e36d350a623c0f537efc84cf"
_CITATION = {
    "article_id": "idlib-2020-02-28",
    "title": "Air raid kills soldiers in Idlib",
    "source": "The Herald",
    "url": "https://herald.example/idlib",
    "published": "2020-02-28",
    "start": 9,
    "end": 11,
    "quote": "33",
    "sentence": {"start": 0, "end": len(_TEXT), "text": _TEXT},
    "sha256": _SHA256,
}
_QUESTION = "How many soldiers were killed in Idlib?"
_ARTICLE = {
    "text": _TEXT,
    "title": _CITATION["title"],
    "source": _CITATION["source"],
    "url": _CITATION["url"],
    "published": _CITATION["published"],
}
_PASSAGE = {
    "article_id": _CITATION["article_id"],
    "start": 0,
    "end": len(_TEXT),
    "retrieval_score": 1.0,
    "also_in": [],
}
_STORED = {"article_id": _CITATION["article_id"], "status": "added", "n_passages": 1}
_ASK = {"question": _QUESTION, "after": "2020-01-01"}
_ANSWERED = {
    "question": _QUESTION,
    "answer": {"text": "33", "confidence": 0.93, "citation": _CITATION, "also_in": []},
    "no_answer_probability": 0.02,
    "min_confidence": 0.28,
    "alternatives": [],
    "passages": [_PASSAGE],
    "timings_ms": {"retrieve": 4.1, "read": 52.0, "total": 57.3},
}

EXAMPLES: Mapping[str, Mapping[str, Any]] = {
    "AskRequest": _ASK,
    "AskDocument": _ANSWERED,
    "BatchRequest": {"questions": [_ASK, {"question": "Who chairs the inquiry?", "precision": 0.9}]},
    "BatchDocument": {"results": [_ANSWERED]},
    "SearchRequest": {"question": _QUESTION, "k": 3},
    "SearchDocument": {
        "question": _QUESTION,
        "passages": [{**_PASSAGE, "title": _CITATION["title"], "text": _TEXT}],
    },
    "ArticleFields": _ARTICLE,
    "ArticleDocument": {**_ARTICLE, "article_id": _CITATION["article_id"], "sha256": _SHA256},
    "ArticlesDocument": {
        "total": 67,
        "articles": [
            {
                **{name: _CITATION[name] for name in ("article_id", "title", "source", "url", "published")},
                "n_chars": len(_TEXT),
                "n_passages": 1,
            }
        ],
        "next_cursor": "WyIyMDIwLTAyLTI4IiwiaWRsaWItMjAyMC0wMi0yOCJd",
    },
    "StoredDocument": _STORED,
    "ReadyDocument": {"status": "ready"},
    "AliveDocument": {"status": "ok"},
}
"""By the name of the document's class."""
