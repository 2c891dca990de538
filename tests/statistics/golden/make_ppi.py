"""Makes ppi.json: what ppi_py says about fixed samples, so that tests can compare with it without installing it.

Run in an environment of its own: `pip install ppi-python && python tests/statistics/golden/make_ppi.py`.
"""

import importlib.metadata
import json
from pathlib import Path

import numpy as np
from ppi_py import ppi_mean_ci, ppi_mean_pointestimate

PACKAGES = ("ppi-python", "numpy", "scipy", "statsmodels")
SAMPLES = {
    # name: (human labels, judged only, share of good answers, judge's true and false positive rate)
    "biased judge": (150, 600, 0.7, 0.92, 0.35),
    "sharp judge": (80, 400, 0.5, 0.97, 0.05),
    "judge that guesses": (60, 300, 0.6, 0.5, 0.5),
    "nearly all good": (40, 500, 0.95, 0.9, 0.2),
}


def main() -> None:
    """Draw the samples, ask ppi_py, write the file beside this script."""
    rng = np.random.default_rng(2311_01453)
    cases = []
    for name, (n, many, good, tpr, fpr) in SAMPLES.items():
        truth = rng.random(n + many) < good
        judge = np.where(truth, rng.random(truth.size) < tpr, rng.random(truth.size) < fpr).astype(float)
        cases.append(case(name, truth[:n].astype(float), judge[:n], judge[n:]))
    # A paired difference: candidate minus production of human scores and of judge scores, in -1, 0, 1.
    n, many = 120, 500
    production = rng.random(n + many) < 0.7
    candidate = np.where(production, rng.random(n + many) < 0.9, rng.random(n + many) < 0.15)
    judges = [
        np.where(arm, rng.random(n + many) < 0.92, rng.random(n + many) < 0.35) for arm in (candidate, production)
    ]
    difference = judges[0].astype(float) - judges[1]
    cases.append(
        case("paired difference", candidate[:n].astype(float) - production[:n], difference[:n], difference[n:])
        | {"arms": {
            "judge_unlabelled": [judge[n:].astype(int).tolist() for judge in judges],
            "judge_labelled": [judge[:n].astype(int).tolist() for judge in judges],
            "human_labelled": [arm[:n].astype(int).tolist() for arm in (candidate, production)],
        }}
    )  # fmt: skip
    packages = {package: importlib.metadata.version(package) for package in PACKAGES}
    target = Path(__file__).with_name("ppi.json")
    target.write_text(json.dumps({"packages": packages, "cases": cases}) + "\n", encoding="utf-8")


def case(name: str, human: np.ndarray, judge: np.ndarray, wide: np.ndarray) -> dict[str, object]:
    """One sample with ppi_py's estimate and 95% interval, power-tuned as it does by default."""
    lower, upper = ppi_mean_ci(human, judge, wide, alpha=0.05)
    return {
        "name": name,
        "human": human.astype(int).tolist(),
        "judge": judge.astype(int).tolist(),
        "wide": wide.astype(int).tolist(),
        "estimate": float(np.squeeze(ppi_mean_pointestimate(human, judge, wide))),
        "interval": [float(np.squeeze(lower)), float(np.squeeze(upper))],
    }


if __name__ == "__main__":
    main()
