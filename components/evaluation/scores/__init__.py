"""Scores of single answers, and the file that keeps them."""
