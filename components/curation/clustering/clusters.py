"""Clusters of feedback: what people ask about where answers fail, and what the answers are about that they like.

Texts are encoded (`curation.encoders`), grouped (`partition`), named (`cluster_names`), and matched to the clusters of
the run before, so that an id means the same topic in every run (`matching`, `roster`).
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from flywheel.components.curation.clustering import cluster_names, matching, partition, stability
from flywheel.components.curation.clustering.exchanges import Exchanges, exchanges_of
from flywheel.components.curation.clustering.points import Case, Points, embed, read, without_placeholders
from flywheel.components.curation.clustering.roster import Member, Roster, probe_of
from flywheel.components.curation.encoders import encoder as encoder_of
from flywheel.components.curation.texts.normal_form import question_form

EXAMPLES = 3
OUTSIDE = "in no cluster"


@dataclass(frozen=True)
class Cluster:
    """A cluster of cases.

    Attributes:
        id: Means the same topic in every run of the store; "c00" holds what is in no cluster.
        name: Its most telling words.
        count: Cases in it.
        share: Share of all cases.
        examples: Up to three questions nearest to its centre.
        change: "new", "kept", "back" (was gone for a while) or "split", against the run before.
        origin: Id that it was split from, else "".
        similarity: Cosine to the old cluster that it continues or was split from; None for a new one.
        former_name: Its name in the run before, when that was another one; else "".
        count_before: Cases in the run before; None for a new one.
        share_before: Share in the run before; None for a new one.
        stability: Jaccard similarity to itself over resamples of the users; None when there is one cluster.
    """

    id: str
    name: str
    count: int
    share: float
    examples: list[str]
    change: str
    origin: str = ""
    similarity: float | None = None
    former_name: str = ""
    count_before: int | None = None
    share_before: float | None = None
    stability: float | None = None


@dataclass(frozen=True)
class Clustering:
    """All clusters, the largest first, and the run's part in the history of the store.

    Attributes:
        clusters: Clusters.
        of_case: Index in `clusters` of each case.
        silhouette: Mean silhouette; None for one cluster.
        tried: (k, silhouette) of every k that was tried.
        stability: Of the clusters over resamples of the users; None for one cluster or one user.
        merged: Old id -> id of the cluster that it was merged into.
        gone: Ids of the run before without a successor.
        note: What a reader must know of the history; "" for nothing.
        roster: What the next run needs.
        place: Index in `clusters` of other cases, encoded alike; -1 where none is near enough.
    """

    clusters: list[Cluster]
    of_case: list[int]
    silhouette: float | None
    tried: tuple[tuple[int, float], ...]
    stability: stability.Stability | None
    merged: dict[str, str]
    gone: list[str]
    note: str
    roster: Roster
    place: Callable[[Exchanges], list[int]]


def cluster(
    cases: Exchanges | Iterable[Case],
    run_id: str = "",
    encoder: str = "hashed",
    method: str = "kmeans",
    known: Roster | None = None,
    prefix: str = "c",
) -> Clustering:
    """Group cases by what they are about.

    In memory are vectors of at most `points.FIT` texts, whatever the number of cases (`exchanges`).

    Args:
        cases: Questions with their answers; exchanges must have been made for this encoder.
        run_id: Run, for the roster.
        encoder: Name of an encoder.
        method: "kmeans" or "hdbscan".
        known: Roster of the run before.
        prefix: Of new ids.

    Returns:
        The clustering: the same for every order of the cases, on one machine the same bytes each time.

    Raises:
        ValueError: No such encoder or method.
        ModuleNotFoundError: The encoder's extra is not installed.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):  # sums of several threads come in any order; at this size one is also faster
        encoder_of(encoder)
        exchanges = cases if isinstance(cases, Exchanges) else exchanges_of(cases, encoder)
        return _cluster(exchanges.finish(), run_id, encoder, method, known, prefix)


def _cluster(
    exchanges: Exchanges, run_id: str, encoder: str, method: str, known: Roster | None, prefix: str
) -> Clustering:
    machine = encoder_of(encoder)
    comparable = known is not None and known.speaks(machine)
    note = ""
    if known and not comparable:
        note = (
            f"the run before ({known.run_id}) encoded with {known.encoder}, this one with {encoder} or another version "
            "of it: their centroids cannot be compared, so every cluster has a new id"
        )
    total = len(exchanges)
    points = embed(exchanges, machine)
    live = [member.centroid for member in known.live()] if known and comparable else []
    found = partition.partition(points, method, np.stack(live) if live else None)
    labels = found.labels[exchanges.rows]
    numbers = sorted(set(labels[labels >= 0].tolist()))
    sizes = Counter(labels.tolist())
    vocabulary = cluster_names.weigh(exchanges, labels)
    order = sorted(numbers, key=lambda label: (-sizes[label], vocabulary.top[label]))
    centroids = _centroids(points, found.labels, numbers)
    matched = matching.match(centroids, [numbers.index(label) for label in order], known, prefix, comparable)
    names = cluster_names.name(vocabulary, order, {numbers[row]: text for row, text in matched.former.items()})
    steady = stability.measure(points, found)
    examples = _examples(points, found, labels)
    before = {member.id: member for member in known.members} if known and comparable else {}
    made = []
    for label in order:
        row = numbers.index(label)
        old = before.get(matched.ids[row])
        made.append(
            Cluster(
                id=matched.ids[row],
                name=names[label],
                count=sizes[label],
                share=round(sizes[label] / total, 6),
                examples=examples.get(label, []),
                change=matched.change[row],
                origin=matched.origin[row],
                similarity=matched.similarity[row],
                former_name=old.name if old and old.name != names[label] else "",
                count_before=old.count if old else None,
                share_before=old.share if old else None,
                stability=steady.groups[label] if steady else None,
            )
        )
    position = {label: index for index, label in enumerate(order)}
    if sizes[partition.OUTLIER]:
        position[partition.OUTLIER] = len(made)
        left = sizes[partition.OUTLIER]
        shown = examples.get(partition.OUTLIER, [])
        made.append(Cluster(f"{prefix}00", OUTSIDE, left, round(left / total, 6), shown, "kept"))
    members = [
        Member(one.id, one.name, centroids[numbers.index(label)], 0, one.count, one.share)
        for label, one in zip(order, made, strict=False)
    ]
    if known and comparable:
        lives_on = {*matched.ids, *matched.origin, *matched.merged}
        members += known.aged({member.id for member in known.members} - lives_on)

    projection = points.projection  # all that is kept of the points

    def place(others: Exchanges) -> list[int]:
        nearest = np.full(others.texts, partition.OUTLIER, np.int64)
        for texts, placed in read(others, np.arange(others.texts), machine, projection):
            nearest[texts] = found.place(placed)
        return [position.get(label, -1) if label >= 0 else -1 for label in nearest[others.rows].tolist()]

    return Clustering(
        clusters=made,
        of_case=[position[label] for label in labels.tolist()],
        silhouette=found.silhouette,
        tried=found.tried,
        stability=steady,
        merged=matched.merged,
        gone=matched.gone,
        note=note,
        roster=Roster(run_id, machine.name, probe_of(machine), projection.mean, tuple(members), matched.given),
        place=place,
    )


def _centroids(points: Points, labels: np.ndarray, numbers: Sequence[int]) -> np.ndarray:
    """Mean vector of each group over the sample, shape (groups, dimensions)."""
    inside = labels[points.sample]
    means = [points.vectors[inside == number].mean(axis=0) for number in numbers if (inside == number).any()]
    return np.stack(means) if means else np.zeros((0, points.encoder.dimensions))


def _examples(points: Points, found: partition.Partition, labels: np.ndarray) -> dict[int, list[str]]:
    """Of each group the questions nearest to its centre, each asked once, those without personal data first."""
    exchanges = points.exchanges
    place = np.full(exchanges.texts, -1, np.int64)  # of each text in the sample
    place[points.sample] = np.arange(len(points.sample))
    near: dict[int, dict[str, tuple[bool, float, str]]] = {}
    for case, question in exchanges.read(exchanges.questions, np.flatnonzero(place[exchanges.rows] >= 0)):
        label, far = int(labels[case]), 0.0
        if label >= 0 and len(found.centres):
            away = points.fitted[place[exchanges.rows[case]]] - found.centres[label]
            far = round(float(np.linalg.norm(away)), 6)
        form = question_form(question)
        rank = (without_placeholders(question) != " ".join(question.split()), far, question)
        known = near.setdefault(label, {})
        known[form] = min(known.get(form, rank), rank)
    return {label: [question for *_, question in sorted(known.values())[:EXAMPLES]] for label, known in near.items()}
