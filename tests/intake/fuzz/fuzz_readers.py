"""Fuzz the readers of logs, guided by coverage: atheris (libFuzzer for Python).

    python tests/intake/fuzz/fuzz_readers.py -runs=100000 -artifact_prefix=/tmp/ CORPUS

CORPUS is a folder; an empty one is filled with the golden files' lines. An input that breaks a reader is written beside
the prefix, and `readers.read_everything(Path(...).read_bytes())` shows where.
"""

import json
import random
import sys
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parent))
with atheris.instrument_imports(include=["flywheel.components.intake"]):
    import readers
import mutations


def mutate(data: bytes, max_size: int, seed: int) -> bytes:
    """Mutate the structure of JSON most of the time, and its bytes otherwise."""
    rng = random.Random(seed)
    if rng.random() < 0.3:
        return bytes(atheris.Mutate(data, max_size))
    try:
        line = mutations.line(json.loads(data[1:]), rng)
    except (ValueError, RecursionError):  # no JSON, or JSON that only our readers bear
        return bytes(atheris.Mutate(data, max_size))
    return (data[:1] + line)[:max_size]


def main() -> None:
    """Fill an empty corpus, and hand over to libFuzzer."""
    corpus = Path(sys.argv[-1])
    if not corpus.is_dir() or not any(corpus.iterdir()):
        readers.seeds(Path(__file__).parent.parent / "golden", corpus)
    atheris.Setup(sys.argv, lambda data: readers.read_everything(data) and None, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
