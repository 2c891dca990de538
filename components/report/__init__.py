"""The report of a run: what was decided and why, with every number computed in one place from records and tables."""
