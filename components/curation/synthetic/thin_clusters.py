"""Which clusters are thin, and how many rows each of their corrections should bring forth."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from flywheel.components.store.tables import row_id


def thin_clusters(candidates: Sequence[Mapping[str, Any]], min_size: int) -> dict[str, int]:
    """Clusters with fewer accepted corrections than wanted, by id, with their size.

    Args:
        candidates: Accepted candidates.
        min_size: Accepted corrections from which a cluster is no longer thin.
    """
    sizes = Counter(row["cluster_id"] for row in candidates if row["cluster_id"])
    return {name: size for name, size in sorted(sizes.items()) if size < min_size}


def allotment(
    candidates: Sequence[Mapping[str, Any]], thin: Mapping[str, int], min_size: int, per_parent: int, most: int
) -> list[tuple[Mapping[str, Any], int]]:
    """Divide the rows that are wanted over the corrections of the thin clusters.

    A cluster gets what it lacks, evenly over its corrections, at most `per_parent` each; when that is more than `most`
    in all, clusters are served in turn, the thinnest first.

    Args:
        candidates: Accepted candidates.
        thin: From `thin_clusters`.
        min_size: Size to reach.
        per_parent: Most rows from one correction.
        most: Most rows in all.

    Returns:
        Corrections with the rows wanted of each, at least one; the clusters take turns.
    """
    members: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in sorted(candidates, key=lambda row: row_id("expand", row["candidate_id"])):
        if row["cluster_id"] in thin:
            members[row["cluster_id"]].append(row)
    wanted: Counter[str] = Counter()
    lacking = {name: min(min_size - size, per_parent * size) for name, size in thin.items()}
    order = sorted(lacking, key=lambda name: (thin[name], name))
    left = most
    while left > 0 and any(lacking.values()):
        for name in order:
            if lacking[name] and left > 0:
                rows = members[name]
                served = sum(wanted[row["candidate_id"]] for row in rows)
                wanted[rows[served % len(rows)]["candidate_id"]] += 1
                lacking[name] -= 1
                left -= 1
    turns = [(place, number) for number, name in enumerate(order) for place in range(len(members[name]))]
    rows = [members[order[number]][place] for place, number in sorted(turns)]
    return [(row, wanted[row["candidate_id"]]) for row in rows if wanted[row["candidate_id"]]]
