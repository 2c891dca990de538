"""Our thresholds with a guarantee."""

from pathlib import Path
from typing import Any

import numpy as np

from flywheel.components.curation.categories.category import CATEGORIES
from flywheel.components.curation.routing.thresholds import thresholds


def run(data: Path, out: Path) -> dict[str, Any]:
    """Choose a threshold for every calibration set."""
    sets = np.load(data / "calibration.npz")
    cuts = []
    for scores, correct in zip(sets["scores"], sets["correct"], strict=True):
        known = {"predicted": [CATEGORIES[0]] * scores.size, "scores": scores, "correct": correct}
        found = thresholds(known, 0.9, 0.9)[CATEGORIES[0]].threshold
        cuts.append(np.nan if found is None else found)
    np.save(out / "thresholds.npy", np.array(cuts, float))
    return {}
