"""What keeps spam, poison and bias out of the training data."""
