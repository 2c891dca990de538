"""Synthetic rows for clusters that hold too few corrections to learn from; marked, gated, and never evaluated on."""
