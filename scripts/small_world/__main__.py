"""`python -m flywheel.scripts.small_world --story good --out DIR`: build a world; the last line says where, as JSON."""

import argparse
import dataclasses
import json
import sys
from pathlib import Path

from flywheel.scripts.small_world import build, stories


def main() -> int:
    """Build the world of one story.

    Returns:
        Exit code 0.
    """
    parser = argparse.ArgumentParser(prog="flywheel.scripts.small_world", description=__doc__)
    parser.add_argument("--story", choices=sorted(stories.STORIES), default="good")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--out", type=Path, required=True, help="folder for the files")
    parser.add_argument("--cache", type=Path, help="folder of trained production models; default: next to --out")
    options = parser.parse_args()
    cache = options.cache or options.out.resolve().parent / "cache"
    world = build.build_world(
        options.story, options.seed, options.out, cache, progress=lambda line: print(line, flush=True)
    )
    print(json.dumps(dataclasses.asdict(world), default=str))
    return 0


if __name__ == "__main__":
    sys.exit(main())
