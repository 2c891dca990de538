"""Makes mapie.json: what MAPIE says about fixed inputs, so that tests can compare with it without installing it.

Run in an environment of its own: `pip install mapie && python tests/statistics/golden/make_mapie.py`.
"""

import importlib.metadata
import json
from pathlib import Path

import numpy as np
from mapie.exchangeability_testing.bounds import conjugate_mixture_empirical_bernstein_bound
from mapie.risk_control.fwer_control import control_fwer
from scipy import stats

PACKAGES = ("MAPIE", "numpy", "scipy", "scikit-learn")
LOOKS = (50, 200, 500, 1000)


def main() -> None:
    """Ask MAPIE, write the file beside this script."""
    rng = np.random.default_rng(2110_01052)
    rejected = []
    for _ in range(12):
        p = np.sort(rng.beta(0.3, 3.0, 8)) if rng.random() < 0.5 else rng.beta(0.3, 3.0, 8)
        for delta in (0.05, 0.10):
            rejected.append(
                {"p_values": p.tolist(), "delta": delta}
                | {
                    rule: control_fwer(p, delta, rule).tolist()
                    for rule in ("bonferroni", "bonferroni_holm", "fixed_sequence")
                }
            )
    thresholds = [precision(rng, slope, n) for slope, n in ((4.0, 400), (2.5, 600), (6.0, 150), (0.3, 300))]
    sequences = []
    for name, values in (
        ("rare events", (rng.random(1000) < 0.05).astype(float)),
        ("fair coin", (rng.random(1000) < 0.5).astype(float)),
        ("graded", rng.beta(2, 3, 1000).round(3)),
    ):
        bounds = {
            side: conjugate_mixture_empirical_bernstein_bound(
                values, v_opt=500 * float(values.var()), alpha=0.05, bound_side=side
            )[np.array(LOOKS) - 1].tolist()
            for side in ("lower", "upper")
        }
        sequences.append({"name": name, "values": values.tolist(), "looks": list(LOOKS)} | bounds)
    packages = {package: importlib.metadata.version(package) for package in PACKAGES}
    target = Path(__file__).with_name("mapie.json")
    content = {"packages": packages, "rejected": rejected, "thresholds": thresholds, "sequences": sequences}
    target.write_text(json.dumps(content) + "\n", encoding="utf-8")


def precision(rng: np.random.Generator, slope: float, n: int) -> dict[str, object]:
    """Acceptance fractions that fixed-sequence testing lets through at precision 0.9, with exact binomial p-values."""
    scores = rng.normal(size=n).round(6)
    correct = (rng.random(n) < 1 / (1 + np.exp(0.2 - slope * scores))).astype(int)
    fractions = [0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0]
    ranked = np.sort(scores)[::-1]
    p_values, thresholds = [], []
    for part in fractions:
        threshold = ranked[max(0, int(np.ceil(part * n - 1e-9)) - 1)]
        accepted = scores >= threshold
        thresholds.append(float(threshold))
        p_values.append(float(stats.binom.sf(correct[accepted].sum() - 1, accepted.sum(), 0.9)))
    passed = control_fwer(np.array(p_values), 0.10, "fixed_sequence").tolist()
    return {
        "scores": scores.tolist(),
        "correct": correct.tolist(),
        "fractions": fractions,
        "target": 0.9,
        "delta": 0.10,
        "threshold": thresholds[passed[-1]] if passed else None,
    }


if __name__ == "__main__":
    main()
