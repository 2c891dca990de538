"""Pairs that cannot all be right: A over B and B over A, or longer cycles.

The answers to a question are the nodes of a graph and every pair an arrow. Arrows inside a strongly connected component
contradict each other (Tarjan 1972). Where they rest on evidence of different rank, the weaker arrows go; among equals
all go: nothing says which is right, so none is taught.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

from flywheel.components.curation.preferences.pair import RANK, Pair


def without_contradictions(pairs: Sequence[Pair], dropped: Counter[str]) -> list[Pair]:
    """Leave out pairs of a question until the others order its answers.

    Args:
        pairs: All pairs of near-equal questions.
        dropped: Counts what is left out: "outranked" by stronger evidence, or "contradictory".

    Returns:
        The other pairs, in the same order.
    """
    out: set[int] = set()
    left = list(range(len(pairs)))
    while len(left) > 1:
        cycles = _cycles([pairs[index] for index in left])
        if not cycles:
            break
        for members in cycles:
            ranks = {RANK[pairs[left[member]].evidence] for member in members}
            weakest = min(ranks)
            for member in members:
                if RANK[pairs[left[member]].evidence] == weakest:
                    dropped["outranked" if len(ranks) > 1 else "contradictory"] += 1
                    out.add(left[member])
        left = [index for index in left if index not in out]
    return [pair for index, pair in enumerate(pairs) if index not in out]


def _cycles(pairs: Sequence[Pair]) -> list[list[int]]:
    """Positions of the pairs inside each strongly connected component of more than one answer."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    names = {name: number for number, name in enumerate(sorted({n for p in pairs for n in (p.better, p.worse)}))}
    arrows = np.array([(names[pair.better], names[pair.worse]) for pair in pairs])
    graph = coo_array((np.ones(len(arrows)), (arrows[:, 0], arrows[:, 1])), shape=(len(names), len(names)))
    component = connected_components(graph, directed=True, connection="strong")[1]
    inside: dict[int, list[int]] = defaultdict(list)
    for position, (better, worse) in enumerate(arrows.tolist()):
        # One normal form on both sides is a change of punctuation only, and no contradiction.
        if better != worse and component[better] == component[worse]:
            inside[int(component[better])].append(position)
    return list(inside.values())
