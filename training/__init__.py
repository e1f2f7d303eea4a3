"""How the shipped reader was made: data, negatives, training, export. Not installed with the product."""
