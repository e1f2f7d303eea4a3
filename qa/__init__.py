"""Question in, cited answer or abstention out.

Reading order: windows, decode, reader, candidates, confidence, citation, pipeline.
"""
