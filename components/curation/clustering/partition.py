"""Find the groups: k-means with k by a stated rule, or HDBSCAN.

The rule for k, by mean silhouette (Rousseeuw 1987, J. Comput. Appl. Math. 20:53): the first peak. That is the smallest
of `CHOICES` that neither of the next two beats by more than one standard error, and that reaches `NEAR` of the best of
all; a later, hardly higher peak would cut topics into pieces that hold too little to learn from. The previous run's
centres are one more start: they are kept when they are within one standard error of the peak, so that groups change
when the data say so and not by chance.

HDBSCAN (Campello, Moulavi & Sander 2013) finds the number itself and leaves outliers in no group.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from flywheel.components.curation.clustering.points import SEED, Points, read

METHODS = ("kmeans", "hdbscan")
CHOICES = (2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24)
NEAR = 0.85
LEAST = 8  # distinct texts; fewer make one group
OUTLIER = -1
_SCORED = 800  # points that a silhouette is taken over
_REACH = 1.25  # times the distance that 99 % of a group's points keep: texts of another day lie a little farther
_SHARE = 50  # a group of HDBSCAN holds at least 1 of so many texts, and at least 5

_Scored = tuple[float, float, int, np.ndarray]  # mean silhouette, its standard error, k, labels


@dataclass(frozen=True)
class Partition:
    """Groups of texts.

    Attributes:
        labels: Group of each distinct text, 0..k-1, or `OUTLIER`; shape (texts,).
        centres: Mean point of each group, shape (k, directions); empty when there is one group for all.
        reach: Distance up to which a point belongs to a group, shape (k,).
        silhouette: Mean silhouette, in [-1, 1]; None when there is one group.
        tried: (k, silhouette) of every choice, for people.
        refit: Labels points anew as this partition was found: for the bootstrap.
    """

    labels: np.ndarray
    centres: np.ndarray
    reach: np.ndarray
    silhouette: float | None
    tried: tuple[tuple[int, float], ...]
    refit: Callable[[np.ndarray, int], np.ndarray] | None

    @property
    def groups(self) -> int:
        """Number of groups without the outliers."""
        return int(self.labels.max(initial=OUTLIER)) + 1

    def place(self, points: np.ndarray, everywhere: bool = False) -> np.ndarray:
        """Group of the nearest centre, shape (n,); `OUTLIER` beyond its reach unless `everywhere`."""
        if not len(self.centres):
            return np.zeros(len(points), np.int64)
        distance = np.linalg.norm(points[:, None, :] - self.centres[None], axis=2)
        nearest = distance.argmin(axis=1)
        within = distance[np.arange(len(points)), nearest] <= self.reach[nearest]
        return np.where(within | everywhere, nearest, OUTLIER)


def partition(points: Points, method: str, previous: np.ndarray | None = None) -> Partition:
    """Group the texts.

    Args:
        points: Encoded texts.
        method: "kmeans" or "hdbscan".
        previous: Centroids of the previous run in the encoder's space, shape (k, dimensions); None for none.

    Raises:
        ValueError: No such method.
    """
    if method not in METHODS:
        raise ValueError(f"method {method!r} is none of {', '.join(METHODS)}")
    if points.exchanges.texts < LEAST or points.projection.directions.shape[1] < 2:
        return _one(points)
    if method == "kmeans":
        return _by_kmeans(points, None if previous is None else points.projection(previous))
    return _by_density(points)


def _one(points: Points) -> Partition:
    return Partition(np.zeros(points.exchanges.texts, np.int64), np.zeros((0, 0)), np.zeros(0), None, (), None)


def _by_kmeans(points: Points, previous: np.ndarray | None) -> Partition:
    sample = points.fitted
    spots = len(np.unique(sample.round(6), axis=0))
    tried = [scored for k in CHOICES if k <= spots // 2 for scored in _scored(sample, _kmeans(sample, k, SEED))]
    if not tried:
        return _one(points)
    chosen = _first_peak(tried)
    if previous is not None and 1 < len(previous) <= spots // 2:
        same = _scored(sample, _kmeans(sample, len(previous), SEED, previous))
        chosen = next((old for old in same if old[0] >= chosen[0] - chosen[1]), chosen)
    labels, groups = chosen[3], chosen[2]

    def refit(some: np.ndarray, seed: int) -> np.ndarray:
        return _kmeans(some, groups, seed, starts=2)

    return _spread(points, labels, chosen[0], tried, refit, leave_outliers=False)


def _first_peak(tried: list[_Scored]) -> _Scored:
    best = max(scored[0] for scored in tried)
    for place, scored in enumerate(tried):
        beaten = any(later[0] > scored[0] + scored[1] for later in tried[place + 1 : place + 3])
        if not beaten and scored[0] >= NEAR * best:
            return scored
    return max(tried, key=lambda scored: scored[0])


def _by_density(points: Points) -> Partition:
    from sklearn.cluster import HDBSCAN

    sample = points.fitted
    least = max(5, len(sample) // _SHARE)

    def fit(some: np.ndarray, _seed: int = 0) -> np.ndarray:
        return np.asarray(HDBSCAN(min_cluster_size=min(least, len(some)), copy=True).fit_predict(some), np.int64)

    labels = fit(sample)
    scored = _scored(sample[labels >= 0], labels[labels >= 0])
    if not scored:
        return _one(points)
    return _spread(points, labels, scored[0][0], [], fit, leave_outliers=True)


def _spread(
    points: Points,
    labels: np.ndarray,
    silhouette: float,
    tried: list[_Scored],
    refit: Callable[[np.ndarray, int], np.ndarray],
    leave_outliers: bool,
) -> Partition:
    """From the sample to all texts: the nearest centre."""
    sample = points.fitted
    groups = range(int(labels.max()) + 1)
    centres = np.stack([sample[labels == group].mean(axis=0) for group in groups])
    distance = np.linalg.norm(sample - centres[labels], axis=1)
    far = np.array([_REACH * np.quantile(distance[labels == group], 0.99) for group in groups])
    reach = np.maximum(far, np.median(far))  # a group of equal texts has no spread of its own
    every = np.full(points.exchanges.texts, OUTLIER, np.int64)
    every[points.sample] = labels
    scores = tuple((k, round(score, 6)) for score, _, k, _ in tried)
    found = Partition(every, centres, reach, round(silhouette, 6), scores, refit)
    rest = np.flatnonzero(~np.isin(np.arange(len(every)), points.sample))
    for some, placed in read(points.exchanges, rest, points.encoder, points.projection):
        every[some] = found.place(placed, everywhere=not leave_outliers)
    return found


def _kmeans(points: np.ndarray, k: int, seed: int, start: np.ndarray | None = None, starts: int = 4) -> np.ndarray:
    from sklearn.cluster import KMeans

    init = "k-means++" if start is None else start
    labels = KMeans(k, init=init, n_init=starts if start is None else 1, random_state=seed).fit_predict(points)
    return np.asarray(np.unique(labels, return_inverse=True)[1], np.int64)


def _scored(points: np.ndarray, labels: np.ndarray) -> list[_Scored]:
    """The labels with their silhouette; empty when they cannot be scored."""
    from sklearn.metrics import silhouette_samples

    some = labels[:_SCORED]
    groups = len(set(some.tolist()))
    if not 2 <= groups < len(some):
        return []
    widths = silhouette_samples(points[:_SCORED], some)
    return [(float(widths.mean()), float(widths.std() / np.sqrt(len(widths))), len(set(labels.tolist())), labels)]
