"""How the shipped reader was made. Not installed with the product.

Reading order: questions, data, negatives, encoder, train, average, export, validate, split, asked, confidence,
calibration.
"""
