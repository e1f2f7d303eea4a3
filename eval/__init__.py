"""The offline harness: how right the answers are.

Reading order: squad, datasets, answer_metrics, retrieval_metrics, runs, scores, report.
"""
