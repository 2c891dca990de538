"""Turn accepted candidates and original data into training rows, preference pairs and evaluation items."""
