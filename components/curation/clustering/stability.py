"""How sure the groups are: found again in bootstrap samples of the users.

Overall the adjusted Rand index (Hubert & Arabie 1985, J. Classif. 2:193) between the groups and those of a resample,
over the texts in the resample; per group the mean Jaccard similarity to its best counterpart (Hennig 2007, Comput.
Stat. Data Anal. 52:258, who trusts no group below 0.6). Users are resampled, not texts: a group that one user makes is
not stable.
"""

from dataclasses import dataclass

import numpy as np

from flywheel.components.curation.clustering.partition import Partition
from flywheel.components.curation.clustering.points import SEED, Points
from flywheel.components.curation.clustering.users import NOBODY

RESAMPLES = 40
TRUSTED = 0.6
_POINTS = 1500  # of a resample at most


@dataclass(frozen=True)
class Stability:
    """Adjusted Rand index over resamples, and per group the Jaccard similarity.

    Attributes:
        ari: Mean over the resamples; 1 when they all find the same groups, about 0 for chance.
        lower: 2.5 % quantile over the resamples.
        upper: 97.5 % quantile.
        resamples: How many.
        groups: Mean Jaccard similarity of each group, shape (k,).
    """

    ari: float
    lower: float
    upper: float
    resamples: int
    groups: tuple[float, ...]


def measure(points: Points, partition: Partition, resamples: int = RESAMPLES) -> Stability | None:
    """Find the groups again in resamples of the users.

    Args:
        points: Texts of the cases, and their users; each text of nobody has a user of its own.
        partition: Their groups.
        resamples: Bootstrap samples.

    Returns:
        The stability; None when there is one group only or a single user.
    """
    from sklearn.metrics import adjusted_rand_score

    if partition.refit is None:
        return None
    codes = _codes(points)
    if not len(codes):
        return None
    total = int(codes.max()) + 1
    if total < 2:
        return None
    rows = points.exchanges.rows
    place = np.full(points.exchanges.texts, -1, np.int64)  # of each text in the sample
    place[points.sample] = np.arange(len(points.sample))
    labels = partition.labels[points.sample]
    random = np.random.default_rng(SEED)
    scores: list[float] = []
    overlaps: list[np.ndarray] = []
    for number in range(resamples):
        drawn = np.zeros(total, bool)
        drawn[random.integers(total, size=total)] = True
        bag = np.unique(place[rows[drawn[codes]]])
        bag = random.permutation(bag[bag >= 0])[:_POINTS]
        if len(bag) < 2 * partition.groups:
            continue
        before, again = labels[bag], partition.refit(points.fitted[bag], number)
        scores.append(float(adjusted_rand_score(before, again)))
        overlaps.append(_overlaps(before, again, partition.groups))
    if not scores:
        return None
    lower, upper = np.quantile(scores, (0.025, 0.975)).tolist()
    mean = float(np.mean(scores))
    seen = np.stack(overlaps)
    counted = np.maximum((~np.isnan(seen)).sum(axis=0), 1)  # a group that no resample holds was never found again
    per_group = np.nansum(seen, axis=0) / counted
    return Stability(
        ari=round(mean, 6),
        lower=round(lower, 6),
        upper=round(upper, 6),
        resamples=len(scores),
        groups=tuple(round(float(value), 6) for value in per_group),
    )


def _codes(points: Points) -> np.ndarray:
    """Number of each case's user, 0..users-1, in the order of their names; texts of nobody come first."""
    exchanges = points.exchanges
    ranks = exchanges.people.ranks(exchanges.users)
    nobody = ranks == NOBODY
    alone = np.array(sorted(set(exchanges.rows[nobody].tolist()), key=str), np.int64)
    codes = np.empty(len(ranks), np.int64)
    order = np.argsort(alone)
    codes[nobody] = order[np.searchsorted(alone, exchanges.rows[nobody], sorter=order)]
    codes[~nobody] = len(alone) + np.unique(ranks[~nobody], return_inverse=True)[1]
    return codes


def _overlaps(before: np.ndarray, again: np.ndarray, groups: int) -> np.ndarray:
    """Jaccard similarity of each group to its best counterpart; NaN for a group that is not in the resample."""
    found = np.full(groups, np.nan)
    others = [again == label for label in np.unique(again) if label >= 0]
    for group in range(groups):
        inside = before == group
        if inside.any():
            found[group] = max(
                (float((inside & other).sum() / (inside | other).sum()) for other in others), default=0.0
            )
    return found
