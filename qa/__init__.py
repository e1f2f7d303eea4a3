"""Question in, cited answer or abstention out.

Reading order: windows, decode, reader, marks, wholes, tidy, candidates, confidence, citation, pipeline.
"""

import index  # noqa: F401 (first of all: it keeps ONNX Runtime from sending anything)
