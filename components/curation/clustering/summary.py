"""What the step record, the report and the page say of the clusters: counts, intervals, trend, thin ones."""

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import numpy as np

from flywheel.components.curation.clustering.clusters import Cluster, Clustering
from flywheel.components.curation.clustering.exchanges import Exchanges
from flywheel.components.curation.clustering.points import Case
from flywheel.components.curation.clustering.shares import share
from flywheel.components.curation.clustering.stability import TRUSTED
from flywheel.components.curation.clustering.trend import (
    FALSE_CALLS,
    Events,
    Periods,
    Trend,
    microseconds,
    periods,
    trends,
)

Event = tuple[str, datetime]  # user, time

ERROR_RATE = (
    "growing or shrinking: with no change anywhere, any cluster is called so with probability at most "
    f"{FALSE_CALLS:.0%} (users as units, Holm over the clusters); intervals hold with 95 % each; ids are matched by "
    "similarity, and clusters found again in less than 60 % of their texts over resamples of the users are marked as "
    "unsure"
)


class Failures:
    """Failed interactions: what they are about, and a few numbers each.

    Args:
        exchanges: Where questions and answers are put.

    Attributes:
        exchanges: The same.
    """

    def __init__(self, exchanges: Exchanges) -> None:
        self.exchanges = exchanges
        self._kinds: dict[str, int] = {}
        self._kind, self._accepted = array("i"), array("b")
        self._case, self._user, self._time = array("q"), array("i"), array("q")

    def add(self, cases: Sequence[Case], error_types: Sequence[str], accepted: Sequence[bool],
            events: Sequence[Sequence[Event]]) -> None:  # fmt: skip
        """Put failures behind those that are there.

        Args:
            cases: Questions and answers.
            error_types: Of each: factual, tone, clarity, or uncorrected.
            accepted: Of each, whether its correction may train.
            events: Of each, who met with it, and when: everyone who gave this correction.
        """
        start = len(self.exchanges)
        self.exchanges.add(cases)
        self._kind.extend(self._kinds.setdefault(name, len(self._kinds)) for name in error_types)
        self._accepted.extend(accepted)
        for case, met in enumerate(events, start):
            self._case.extend([case] * len(met))
            self._user.extend(self.exchanges.people.numbers(user for user, _ in met).tolist())
            self._time.extend(microseconds(at for _, at in met))

    def __len__(self) -> int:
        return len(self._kind)

    @property
    def kinds(self) -> list[str]:
        """Error types that occur, by number."""
        return list(self._kinds)

    @property
    def kind(self) -> np.ndarray:
        """Number of each failure's error type, shape (n,)."""
        return np.array(self._kind, np.int32)

    @property
    def accepted(self) -> np.ndarray:
        """Whether each failure's correction may train, bool (n,)."""
        return np.array(self._accepted, bool)

    def events(self) -> tuple[np.ndarray, Events]:
        """Failure of each event, and the events."""
        users = self.exchanges.people.ranks(np.array(self._user, np.int32))
        return np.array(self._case, np.int64), Events(users, np.array(self._time, np.int64))


def describe(
    failed: Clustering,
    failures: Failures,
    liked: Clustering,
    successes: Exchanges,
    interactions: Events,
    thin_below: int,
) -> dict[str, Any]:
    """Describe both clusterings in JSON values.

    Args:
        failed: Clusters of the failures.
        failures: In the order that was clustered.
        liked: Clusters of the up-voted interactions.
        successes: In the order that was clustered.
        interactions: Every interaction of the log: the base of the trends.
        thin_below: A cluster with fewer accepted corrections is thin.
    """
    over = periods(interactions.times)
    homes = np.array(failed.place(successes), np.int64)
    pleased = Events(successes.people.ranks(successes.users), successes.times)
    users = failures.exchanges.people.ranks(failures.exchanges.users)
    counts = _kinds(failures, failures.kind)
    return {
        "clusters": _failed(failed, failures, users, (homes, pleased), interactions, over, thin_below),
        "liked_clusters": _liked(liked, pleased, interactions, over),
        "error_types": counts,
        "error_type_shares": {
            name: asdict(share(failures.kind == failures.kinds.index(name), users)) for name in counts
        },
        "silhouette": failed.silhouette,
        "choices_of_k": [list(choice) for choice in failed.tried],
        "stability": asdict(failed.stability) if failed.stability else None,
        "liked_stability": asdict(liked.stability) if liked.stability else None,
        "merged": failed.merged,
        "gone": failed.gone,
        "liked_merged": liked.merged,
        "liked_gone": liked.gone,
        "notes": [note for note in dict.fromkeys((failed.note, liked.note)) if note],
        "failures": len(failures),
        "successes": len(successes),
        "thin_below": thin_below,
        "period_days": over.days if over else None,
        "error_rate": ERROR_RATE,
        "rosters": {"failures": failed.roster.to_json(), "liked": liked.roster.to_json()},
    }


def _kinds(failures: Failures, kind: np.ndarray) -> dict[str, int]:
    """How often each error type occurs, by name."""
    counts = np.bincount(kind, minlength=len(failures.kinds)).tolist()
    return dict(sorted((name, count) for name, count in zip(failures.kinds, counts, strict=True) if count))


def _failed(
    failed: Clustering,
    failures: Failures,
    users: np.ndarray,
    pleased: tuple[np.ndarray, Events],
    interactions: Events,
    over: Periods | None,
    thin_below: int,
) -> list[dict[str, Any]]:
    of_case, kind, accepted = np.array(failed.of_case, np.int64), failures.kind, failures.accepted
    of_event, events = failures.events()
    of_event = of_case[of_event]
    numbers = range(len(failed.clusters))
    moving = trends([events.only(of_event == number) for number in numbers], interactions, over)
    described = []
    for number, cluster, moved in zip(numbers, failed.clusters, moving, strict=True):
        inside, happy = of_case == number, pleased[1].users[pleased[0] == number]
        kinds = _kinds(failures, kind[inside])
        met = int(np.count_nonzero(accepted[inside]))
        counted = np.arange(np.count_nonzero(inside) + len(happy)) < np.count_nonzero(inside)
        described.append(
            _common(cluster, moved)
            | {
                "category": min(kinds, key=lambda name: (-kinds[name], name)),
                "error_types": kinds,
                "successes": len(happy),
                "failure_share": asdict(share(counted, np.concatenate([users[inside], happy]))),
                "accepted": met,
                "thin": met < thin_below,
            }
        )
    return described


def _liked(liked: Clustering, pleased: Events, interactions: Events, over: Periods | None) -> list[dict[str, Any]]:
    of_case = np.array(liked.of_case, np.int64)
    inside = [pleased.only(of_case == number) for number in range(len(liked.clusters))]
    moving = trends(inside, interactions, over)
    return [_common(cluster, moved) for cluster, moved in zip(liked.clusters, moving, strict=True)]


def _common(cluster: Cluster, moved: Trend) -> dict[str, Any]:
    described: Mapping[str, Any] = asdict(cluster)
    unsure = cluster.stability is not None and cluster.stability < TRUSTED
    return {**described, "unsure": unsure, "trend": asdict(moved) | {"counts": list(moved.counts)}}
