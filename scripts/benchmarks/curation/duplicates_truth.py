"""The exact oracle of near-duplicates: every pair at Jaccard 0.7 or more, by an inverted index; no code of ours."""

import json
import re
from pathlib import Path

import numpy as np

WORD = re.compile(r"\w+")
SHINGLE = 5
LOWEST = 0.7
_ROWS = 500  # compared with all others at once


def write(folder: Path) -> None:
    """Write `pairs.npy`, rows of (left, right, Jaccard similarity), beside `records.jsonl`."""
    with (folder / "records.jsonl").open(encoding="utf-8") as lines:
        sets = [_shingles(json.loads(line)["text"]) for line in lines]
    np.save(folder / "pairs.npy", pairs(sets))


def pairs(sets: list[set[int]]) -> np.ndarray:
    """Every pair of sets at `LOWEST` or more, shape (p, 3)."""
    from scipy.sparse import csr_array

    sizes = np.array([len(one) for one in sets], dtype=np.int64)
    values = np.fromiter((token for one in sets for token in one), dtype=np.int64, count=sizes.sum())
    rows = np.repeat(np.arange(len(sets)), sizes)
    order = np.argsort(values, kind="stable")
    border = np.concatenate([[True], values[order][1:] != values[order][:-1]])
    column = np.empty(len(values), dtype=np.int64)
    column[order] = np.cumsum(border) - 1
    shared = np.bincount(column)[column] > 1  # a shingle of one document only takes no part
    matrix = csr_array(
        (np.ones(shared.sum(), dtype=np.int32), (rows[shared], column[shared])), shape=(len(sets), column.max() + 1)
    )
    found, across = [np.zeros((0, 3))], matrix.T.tocsr()
    for start in range(0, len(sets), _ROWS):
        common = (matrix[start : start + _ROWS] @ across).tocoo()
        left, right = common.row + start, common.col
        jaccard = common.data / (sizes[left] + sizes[right] - common.data)
        kept = (left < right) & (jaccard >= LOWEST)
        found.append(np.column_stack([left[kept], right[kept], jaccard[kept]]))
    return np.concatenate(found)


def quality(folder: Path, labels: np.ndarray, least: float = 0.8) -> dict[str, float]:
    """Recall and precision of groups.

    Args:
        folder: Folder of the data.
        labels: Group of each record.
        least: The similarity asked for.

    Returns:
        `recall`: pairs at `least` or more that are in one group. `precision`: pairs in one group that the oracle's
        pairs at `least` connect; `precision .7`: that those at 0.7 connect.
    """
    truth = np.load(folder / "pairs.npy")
    left, right, similarity = truth[:, 0].astype(int), truth[:, 1].astype(int), truth[:, 2]
    wanted = similarity >= least
    recall = float(np.mean(labels[left[wanted]] == labels[right[wanted]])) if wanted.any() else 1.0
    precisions = [_precision(labels, left[kept], right[kept]) for kept in (wanted, similarity >= LOWEST)]
    return {"recall": recall, "precision": precisions[0], "precision .7": precisions[1]}


def _precision(labels: np.ndarray, left: np.ndarray, right: np.ndarray) -> float:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(left)), (left, right)), shape=(len(labels), len(labels)))
    components = connected_components(graph, directed=False)[1]
    together = _couples(np.unique(labels, return_counts=True)[1])
    right_ones = _couples(np.unique(np.column_stack([labels, components]), axis=0, return_counts=True)[1])
    return right_ones / together if together else 1.0


def _couples(sizes: np.ndarray) -> float:
    return float((sizes * (sizes - 1) // 2).sum())


def _shingles(text: str) -> set[int]:
    words = WORD.findall(text.lower())
    if not words:
        return set()
    return {hash(" ".join(words[i : i + SHINGLE])) for i in range(max(1, len(words) - SHINGLE + 1))}
