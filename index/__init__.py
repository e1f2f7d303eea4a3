"""Text in, ranked passages out: articles, passages, vectors, the Library and retrieval.

Reading order: errors, articles, passages, embedder, export, vectors, lexical, records, database,
library, derived, intake, retriever, check.
"""
