"""How the shipped reader was made. Not installed with the product.

Reading order: questions, news, encyclopedia, data, negatives, encoder, recipe, trainer, shards, train, average,
teacher, teach, labels, smooth, alone, rounding, export, shipped, validate, split, asked, confidence, calibration.
"""
