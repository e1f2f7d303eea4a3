"""Text in, ranked passages out: articles, passages, vectors, the Library and retrieval.

Reading order: errors, articles, passages, embedder, export, files, seals, records, base, vectors, segments, lexical,
copies, families, rows, schema, database, library, derived, follower, ahead, intake, overlap, fusion, retriever, check.
"""

import os

# ONNX Runtime sends usage data to its makers unless this is set before it is first imported. Quoth sends nothing.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
