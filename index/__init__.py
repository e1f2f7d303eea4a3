"""Text in, ranked passages out: articles, passages, vectors, the Library and retrieval.

Reading order: errors, articles, passages, embedder, export, files, seals, records, base, vectors, segments, lexical,
copies, families, rows, schema, database, library, derived, follower, ahead, intake, overlap, fusion, retriever, check.
"""
