"""Judges of answers, and the human labels that correct them."""
