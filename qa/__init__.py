"""Question in, cited answer or abstention out.

Reading order: windows, decode, reader, marks, wholes, tidy, candidates, confidence, citation, pipeline.
"""
