"""Worlds in which the truth is known, and what the decisions make of them; shared by the benchmark and the tests."""
