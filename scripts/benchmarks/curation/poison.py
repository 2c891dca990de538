"""Stage `poison`: coordinated wrong corrections in eleven shapes, through the real chain; what of it is accepted."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from flywheel.components.statistics.binomial_bounds import upper_bound
from flywheel.components.statistics.cluster_mean import cluster_mean
from flywheel.scripts.benchmarks.curation import poison_worlds
from flywheel.scripts.benchmarks.curation.frame import OURS, Goal, Peer, Results, Stage
from flywheel.scripts.benchmarks.curation.poison_worlds import SHAPES, Size

RATED, QUIET = "rated", "quiet"
SEEDS = 2
_LIMIT = 0.001


def peers() -> list[Peer]:
    """Ours alone: no other curation library guards against users."""
    return [Peer(OURS, "poison_ours.py", versions=("scikit-learn", "py3langid"))]


def sizes(rows: int) -> dict[str, Size]:
    """Worlds whose users rate answers, and worlds where hardly anybody does and fewer correct."""
    return {RATED: Size(asks=rows), QUIET: Size(asks=rows, content=0.02, unaware=0.004, corrects=0.2)}


def prepare(folder: Path, rows: int) -> int:
    """Write the log of every world with its truth."""
    written = 0
    for kind, size in sizes(rows).items():
        for shape in SHAPES:
            for seed in range(SEEDS):
                world = poison_worlds.attacked(100 + seed, shape, size)
                text = json.dumps(poison_worlds.log_of(world))
                (folder / f"{kind}-{shape}-{seed}.world.json").write_text(text, encoding="utf-8")
                written += len(text)
    return written


def quality(data: Path, out: Path, _: Mapping[str, Any]) -> dict[str, float]:
    """Shares of bad rows among the accepted, with limits; worlds are the unit."""
    counts = json.loads((out / "counts.json").read_text(encoding="utf-8"))
    figures: dict[str, float] = {}
    for kind in (RATED, QUIET):
        mine = {name: count for name, count in counts.items() if name.startswith(f"{kind}-")}
        share, limit = _share([(count["bad_accepted"], count["accepted"]) for count in mine.values()])
        shapes = {name.split("-")[1] for name in mine}
        by_shape = [
            _share([(c["bad_accepted"], c["accepted"]) for name, c in mine.items() if name.split("-")[1] == shape])[0]
            for shape in shapes
        ]
        figures |= {
            f"{kind}: bad": share,
            f"{kind}: bad, 95 % limit": limit,
            f"{kind}: shapes beyond 0.1 %": float(sum(one > _LIMIT for one in by_shape)),
            f"{kind}: right held": sum(c["right_held"] for c in mine.values()) / sum(c["right"] for c in mine.values()),
            f"{kind}: claims asked": sum(c["asked"] for c in mine.values()) / len(mine),
        }
    return figures


def _share(worlds: list[tuple[int, int]]) -> tuple[float, float]:
    """Share of bad rows, and its one-sided 95 % limit; when no world let any through, the limit of such worlds."""
    bad, accepted = (np.array(column) for column in zip(*worlds, strict=True))
    share = float(bad.sum() / accepted.sum())
    if not bad.any():
        worst = 12 / accepted.mean()  # rows of one attack, at most
        return share, min(1.0, upper_bound(0, len(worlds)) * float(worst))
    values = np.concatenate([np.r_[np.ones(b), np.zeros(a - b)] for b, a in worlds])
    found = cluster_mean(values, np.repeat(np.arange(len(worlds)), accepted), len(worlds))
    return share, share + 1.645 * math.sqrt(found.variance)


def _goal(key: str, claim: str, limit: float) -> Goal:
    def figure(results: Results) -> float | None:
        return results[OURS].quality[key] if OURS in results else None

    return Goal(claim, figure, limit, at_least=False, unit="")


STAGE = Stage(
    name="poison",
    title="Poisoned corrections",
    rows=14_000,
    prepare=prepare,
    quality=quality,
    goals=tuple(
        goal
        for kind in (RATED, QUIET)
        for goal in (
            _goal(f"{kind}: bad", f"{kind}: bad rows among the accepted", _LIMIT),
            _goal(f"{kind}: shapes beyond 0.1 %", f"{kind}: shapes of attack of which more than 0.1 % are bad", 0.0),
        )
    ),
    about=(
        f"{len(SHAPES)} shapes of attack ({', '.join(SHAPES)}), {SEEDS} worlds each, by 2 % of the users with 1 % of "
        "the corrections, from the log through deduplication, the real classifier and the router. *rated*: a third of "
        "right answers are up-voted; *quiet*: 2 % are, and fewer users correct. *right held*: right corrections that "
        "went to review or were discarded. *claims asked*: claims of a log that wait for one person's word each, "
        "because 2 % of the users could have made them alone; it lets in all rows that say the same. *shapes beyond "
        "0.1 %*: shapes that miss the goal on their own."
    ),
    source=(Path(__file__), Path(poison_worlds.__file__)),
)
