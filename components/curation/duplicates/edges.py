"""Verified pairs, why they are duplicates, and the groups that they connect."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

EXACT, NEAR, SEMANTIC = "exact", "near", "semantic"
MOST_EDGES = 20_000_000  # that one process connects in memory, which takes it about 1 GB; more go through Daft


@dataclass(frozen=True)
class Edges:
    """Why records are in one group: each edge is a verified pair.

    Attributes:
        left: Record numbers, shape (e,).
        right: Record numbers, shape (e,).
        similarity: Shape (e,), in [0, 1]: 1 for exact, Jaccard for near, cosine for semantic duplicates.
        kind: Shape (e,), `EXACT`, `NEAR` or `SEMANTIC`.
    """

    left: np.ndarray
    right: np.ndarray
    similarity: np.ndarray
    kind: np.ndarray


def joined(parts: Iterable[Edges]) -> Edges:
    """All edges of several."""
    every = list(parts)
    return Edges(
        *(np.concatenate([getattr(one, name) for one in every]) for name in ("left", "right", "similarity", "kind"))
    )


def connected(count: int, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Connected components of a graph, numbered by first appearance.

    Args:
        count: Nodes.
        left: One end of each edge.
        right: The other end.

    Returns:
        Label of each node, shape (count,), int64.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if count == 0:
        return np.zeros(0, dtype=np.int64)
    if len(left) > MOST_EDGES:
        from flywheel.components.curation.duplicates import distributed_components

        return distributed_components.connected(count, left, right)
    graph = coo_array((np.ones(len(left), dtype=np.int8), (left, right)), shape=(count, count))
    labels = connected_components(graph, directed=False)[1]
    first = np.full(labels.max() + 1, count, dtype=np.int64)
    np.minimum.at(first, labels, np.arange(count))
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[labels]


class Forest:
    """Groups that grow edge by edge: a union-find in one array, which holds no edge and works on many at once."""

    def __init__(self, first: np.ndarray) -> None:
        """Begin with groups.

        Args:
            first: First member of each node's group, shape (n,); it is changed.
        """
        self._parent = first

    def roots(self, nodes: np.ndarray) -> np.ndarray:
        """First member of the group of each of the nodes."""
        found = self._parent[nodes]
        while True:
            further = self._parent[found]
            if (further == found).all():
                break
            found = further
        self._parent[nodes] = found
        return found

    def join(self, left: np.ndarray, right: np.ndarray) -> None:
        """Connect nodes by edges."""
        nodes, place = np.unique(self.roots(np.concatenate([left, right])), return_inverse=True)
        labels = connected(len(nodes), place[: len(left)], place[len(left) :])
        least = nodes[np.unique(labels, return_index=True)[1]]  # of sorted nodes the first is the least
        self._parent[nodes] = least[labels]

    def labels(self) -> np.ndarray:
        """Group of each node, numbered by first appearance; shape (n,), int64."""
        root = self.roots(np.arange(len(self._parent)))
        return np.asarray((np.cumsum(root == np.arange(len(root))) - 1)[root])
