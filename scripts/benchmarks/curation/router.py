"""The router's guarantee beside the common practice: how often the target is missed, and what is accepted."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from flywheel.scripts.benchmarks.curation.frame import OURS, Goal, Peer, Stage, at_least

RUNS, TARGET = 500, 0.9
_SEED, _LARGE = 3, 400_000
_K = 4.0  # steepness of a good classifier's chance of being right


def peers() -> list[Peer]:
    """Our thresholds, and the lowest one that looks good on the calibration set."""
    return [Peer(OURS, "router_ours.py", versions=("scipy",)), Peer("validation curve", "router_curve.py")]


def draw(dice: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Overconfident scores, whether each row is right, and its chance of it; each of shape (n,)."""
    z = dice.normal(size=n)
    chance = 1 / (1 + np.exp(-(_K * z - 0.2)))
    return 1 / (1 + np.exp(-1.8 * (_K * z - 0.2))), (dice.random(n) < chance).astype(float), chance


def prepare(folder: Path, rows: int) -> int:
    """Write the calibration sets: scores and correctness, each of shape (runs, rows)."""
    dice = np.random.default_rng(_SEED)
    drawn = [draw(dice, rows) for _ in range(RUNS)]
    np.savez(folder / "calibration.npz", scores=[one[0] for one in drawn], correct=[one[1] for one in drawn])
    return (folder / "calibration.npz").stat().st_size


def quality(_: Path, out: Path, __: Mapping[str, Any]) -> dict[str, float]:
    """Score the thresholds against the truth."""
    cuts = np.load(out / "thresholds.npy")  # (runs,), NaN where it abstains
    scores, _right, chance = draw(np.random.default_rng(_SEED + 1), _LARGE)
    order = np.argsort(-scores)
    falling, precision = scores[order], np.cumsum(chance[order]) / np.arange(1, _LARGE + 1)
    oracle = (np.flatnonzero(precision >= TARGET)[-1] + 1) / _LARGE
    accepted = np.where(np.isnan(cuts), 0, np.searchsorted(-falling, -np.nan_to_num(cuts, nan=2.0), "right"))
    missed = (accepted > 0) & (precision[np.maximum(accepted, 1) - 1] < TARGET)
    return {
        "target missed": float(missed.mean()),
        "coverage of oracle": float(accepted.mean() / _LARGE / oracle),
        "abstained": float(np.isnan(cuts).mean()),
    }


def _missed(results: Mapping[str, Any]) -> float | None:
    return results[OURS].quality["target missed"] if OURS in results else None


STAGE = Stage(
    name="router",
    title="Router",
    rows=1000,
    prepare=prepare,
    quality=quality,
    goals=(
        Goal("ours: target missed", _missed, 0.1, at_least=False, unit=""),
        at_least("coverage of oracle", 0.7),
    ),
    about=f"{RUNS} simulated calibration sets of a good classifier's category, rows labelled each. Target precision "
    f"{TARGET}, confidence 0.9 over three categories together, so 0.967 for this one. The oracle knows the truth; "
    "*validation curve* takes the lowest of 50 thresholds that reaches the target on the calibration set.",
    source=(Path(__file__),),
)
