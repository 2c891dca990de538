"""Benchmarks: each module has a one-line summary and `main(arguments) -> exit code`; run by `scripts/bench NAME`."""
