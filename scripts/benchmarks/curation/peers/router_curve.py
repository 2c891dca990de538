"""The common practice: the lowest threshold that reaches the target on the calibration set."""

from pathlib import Path
from typing import Any

import numpy as np


def run(data: Path, out: Path) -> dict[str, Any]:
    """Choose a threshold for every calibration set."""
    sets = np.load(data / "calibration.npz")
    cuts = []
    for scores, correct in zip(sets["scores"], sets["correct"], strict=True):
        good = [
            cut
            for cut in np.linspace(0.5, 0.99, 50)
            if (scores >= cut).sum() > 5 and correct[scores >= cut].mean() >= 0.9
        ]
        cuts.append(good[0] if good else np.nan)
    np.save(out / "thresholds.npy", np.array(cuts, float))
    return {}
