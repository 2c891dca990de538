"""Doubtful labels of corrections: what a person should look at again, and what the labels' noise means for routing."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from flywheel.components.curation.label_noise.confident_learning import label_noise

LEAST_LABELS = 30  # below, thresholds by class rest on a handful of rows
_LISTED = 50


def doubtful_labels(
    rows: Sequence[Mapping[str, Any]],
    labels: Sequence[str],
    categories: Sequence[str],
    chances: ArrayLike,
    mine: Collection[int] | None = None,
) -> dict[str, Any]:
    """Report the given categories that out-of-fold predictions contradict.

    Nothing is relabelled: the suspects are for people to look at again. Measured with the packaged labels
    (tests/simulation/test_label_noise.py): when 10 % of the labels are wrong, at least 70 % of the suspects are, and at
    least 60 % of the wrong labels are suspects; at most 3 % of right labels are.

    Args:
        rows: Labelled corrections: prompt, response, correction; what else they hold is kept out of the report.
        labels: The given category of each row.
        categories: Names of the classes, in the order of the columns of `chances`.
        chances: Out-of-fold class probabilities, shape (n, K).
        mine: Rows to report on; the others only help to know the classifier. None: all.

    Returns:
        JSON values: `labels`, `estimated_noise` (of all rows), `suspects` (index, given, better, doubt, texts; the most
        doubtful first, at most 50 listed), `suspected` (their number) and `note` (why nothing could be said, else "").

    Raises:
        ValueError: Lengths differ or a label is unknown.
    """
    matrix = np.asarray(chances, dtype=np.float64).reshape(-1, len(categories))
    if not len(rows) == len(labels) == len(matrix):
        raise ValueError(f"{len(rows)} rows, {len(labels)} labels and {len(matrix)} predictions do not fit together")
    unknown = sorted(set(labels) - set(categories))
    if unknown:
        raise ValueError(f"labels {unknown} are none of {', '.join(categories)}")
    present = [name for name in categories if name in set(labels)]
    empty: dict[str, Any] = {"labels": len(rows), "estimated_noise": None, "suspected": 0, "suspects": []}
    if len(rows) < LEAST_LABELS or len(present) < 2:
        return empty | {"note": f"{len(rows)} labels of {len(present)} categories say nothing about their noise"}
    columns = matrix[:, [list(categories).index(name) for name in present]]
    columns = np.maximum(columns, 1e-12)
    found = label_noise([present.index(label) for label in labels], columns / columns.sum(axis=1, keepdims=True))
    listed = [
        {
            "index": row,
            "given": labels[row],
            "better": present[better],
            "doubt": round(doubt, 4),
            **{name: rows[row].get(name, "") for name in ("prompt", "response", "correction")},
        }
        for row, better, doubt in zip(found.suspects, found.better, found.doubt, strict=True)
        if mine is None or row in mine
    ]
    return empty | {
        "estimated_noise": found.rate,
        "suspected": len(listed),
        "suspects": listed[:_LISTED],
        "note": "",
    }
