"""What a person runs: the `flywheel` command, the small world of the demo, the benchmarks."""
