"""Which cluster of this run is which cluster of the run before.

Centroids are compared by the cosine of their deviations from the mean text of the run before, so that what all texts
share counts for nothing. The assignment is the best one over all clusters together (Kuhn 1955, the Hungarian method);
an id is kept from a similarity of `SAME` on. A cluster without an id of its own that is at least `KIN` to an old one
was split from it; an old one without a successor that is at least `KIN` to a new one was merged into it (after the
cluster transitions of MONIC, Spiliopoulou et al. 2006).
"""

from dataclasses import dataclass, field

import numpy as np

from flywheel.components.curation.clustering.roster import Member, Roster

SAME = 0.5
KIN = 0.4
_FLAT = 1e-6


@dataclass(frozen=True)
class Matched:
    """Ids of this run's clusters and what became of the old ones.

    Attributes:
        ids: Id of each cluster.
        change: Of each cluster: "kept", "back" (was gone for a while), "split" or "new".
        origin: Of each cluster: the id that it was split from, else "".
        similarity: Of each cluster: cosine to the old cluster that it continues or was split from; None for a new one.
        former: Name that each cluster had before; absent for new ones and those split off.
        merged: Old id -> id that it was merged into.
        gone: Old ids without a successor.
        given: Number of ids given so far.
    """

    ids: list[str]
    change: list[str]
    origin: list[str]
    similarity: list[float | None]
    former: dict[int, str] = field(default_factory=dict)
    merged: dict[str, str] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)
    given: int = 0


def match(centroids: np.ndarray, order: list[int], known: Roster | None, prefix: str, comparable: bool) -> Matched:
    """Give ids to the clusters of this run.

    Args:
        centroids: Mean vectors in the encoder's space, float (k, dimensions).
        order: Cluster numbers, the one to get the lowest new id first.
        known: Roster of the run before; None when this is the first.
        prefix: Of new ids: "c" makes "c01".
        comparable: Whether the roster's centroids come from the same encoder; if not, every cluster is new, and ids
            that were given stay unused.
    """
    total = len(centroids)
    ids, change, origin = [""] * total, ["new"] * total, [""] * total
    similarity: list[float | None] = [None] * total
    former: dict[int, str] = {}
    merged: dict[str, str] = {}
    gone: list[str] = []
    members = known.members if known and comparable else ()
    if known and members and total:
        cosine = similarities(centroids, members, known)
        for row, column in _assign(cosine, members):
            ids[row] = members[column].id
            change[row] = "back" if members[column].absent else "kept"
            former[row] = members[column].name
            similarity[row] = _rounded(cosine[row, column])
        for row in range(total):
            nearest = int(cosine[row].argmax())
            if not ids[row] and cosine[row, nearest] >= KIN:
                change[row], origin[row] = "split", members[nearest].id
                similarity[row] = _rounded(cosine[row, nearest])
    given = known.given if known else 0
    for row in order:
        if not ids[row]:
            given += 1
            ids[row] = f"{prefix}{given:02d}"
    for column, member in enumerate(members):
        if member.id in ids or member.id in origin or member.absent:  # what was split up lives on in its parts
            continue
        heir = int(cosine[:, column].argmax()) if total else -1
        if heir >= 0 and cosine[heir, column] >= KIN:
            merged[member.id] = ids[heir]
        else:
            gone.append(member.id)
    if known and not comparable:
        gone = [member.id for member in known.live()]
    return Matched(ids, change, origin, similarity, former, merged, gone, given)


def similarities(centroids: np.ndarray, members: tuple[Member, ...], known: Roster) -> np.ndarray:
    """Cosine of each centroid to each member, both as deviations from the old mean; shape (k, members).

    A single cluster is its own mean and deviates in no direction: then the vectors themselves are compared.
    """
    old = np.stack([member.centroid for member in members]).astype(np.float64)
    new = np.asarray(centroids, np.float64)
    if len(old) > 1 and len(new) > 1:
        old, new = old - known.mean, new - known.mean
    old /= np.maximum(np.linalg.norm(old, axis=1, keepdims=True), _FLAT)
    new = new / np.maximum(np.linalg.norm(new, axis=1, keepdims=True), _FLAT)
    return np.asarray(new @ old.T)


def _assign(cosine: np.ndarray, members: tuple[Member, ...]) -> list[tuple[int, int]]:
    from scipy.optimize import linear_sum_assignment

    # A cluster of the last run is preferred to one that has been away; what is below the floor is worth nothing.
    away = np.array([0.05 * (member.absent > 0) for member in members])
    worth = np.where(cosine >= SAME, cosine - away, 0.0)
    rows, columns = linear_sum_assignment(worth, maximize=True)
    return [
        (row, column)
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True)
        if cosine[row, column] >= SAME
    ]


def _rounded(value: float) -> float:
    return round(float(value), 4)
