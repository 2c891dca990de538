"""Makes label_noise_golden.json with cleanlab as the oracle; run it in an environment that holds cleanlab 2.9.

python tests/curation/label_noise_golden.py
"""

import json
from pathlib import Path

import numpy as np


def worlds():
    """Noisy labels and rounded probabilities of a mediocre classifier, for several sizes and numbers of classes."""
    for seed, n, classes, noise in ((1, 60, 3, 0.1), (2, 200, 3, 0.2), (3, 150, 2, 0.3), (4, 240, 5, 0.15)):
        rng = np.random.default_rng(seed)
        truth = rng.choice(classes, n, p=rng.dirichlet(np.full(classes, 5.0)))
        labels = np.where(rng.random(n) < noise, rng.integers(0, classes, n), truth)
        logits = rng.normal(size=(n, classes)) + 1.8 * np.eye(classes)[truth]
        chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        chances = np.round(chances, 6)
        chances[:, 0] += 1 - chances.sum(axis=1)
        yield labels.tolist(), chances.tolist()


if __name__ == "__main__":
    from cleanlab.count import compute_confident_joint, estimate_joint
    from cleanlab.filter import find_label_issues

    cases = []
    for labels, chances in worlds():
        given, matrix = np.array(labels), np.array(chances)
        raw = compute_confident_joint(given, matrix, calibrate=False)
        cases.append(
            {
                "labels": labels,
                "chances": chances,
                "confident_joint": raw.tolist(),
                "joint": estimate_joint(given, matrix).tolist(),
                "confident": np.flatnonzero(find_label_issues(given, matrix, filter_by="confident_learning")).tolist(),
                "noise_rate": np.flatnonzero(
                    find_label_issues(given, matrix, filter_by="prune_by_noise_rate", min_examples_per_class=0)
                ).tolist(),
            }
        )
    target = Path(__file__).with_suffix(".json")
    target.write_text(json.dumps(cases) + "\n")
    print(f"wrote {len(cases)} cases to {target}")
