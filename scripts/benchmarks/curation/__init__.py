"""Curation beside its peers: CPU time, memory and quality of scrubbing, duplicates, the store, the chain and scale."""


def main(arguments: list[str]) -> int:
    """Measure the stages, print their tables, write them into the docs.

    Args:
        arguments: `--stage NAME` (repeatable), `--rows N`, `--rounds N`, `--only PEER`, `--output PATH`.

    Returns:
        0 when every goal that could be measured is met, else 1.
    """
    from flywheel.scripts.benchmarks.curation import run

    return run.main(arguments)
