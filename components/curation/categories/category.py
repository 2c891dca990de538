"""The categories of corrections, in the order of every matrix and vector over them."""

CATEGORIES = ("factual", "tone", "clarity")
