"""What the step record, the report and the page say of the clusters: counts, intervals, trend, thin ones."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from flywheel.components.curation.clustering.clusters import Cluster, Clustering
from flywheel.components.curation.clustering.points import Case
from flywheel.components.curation.clustering.shares import share
from flywheel.components.curation.clustering.stability import TRUSTED
from flywheel.components.curation.clustering.trend import FALSE_CALLS, Event, Periods, Trend, periods, trends

ERROR_RATE = (
    "growing or shrinking: with no change anywhere, any cluster is called so with probability at most "
    f"{FALSE_CALLS:.0%} (users as units, Holm over the clusters); intervals hold with 95 % each; ids are matched by "
    "similarity, and clusters found again in less than 60 % of their texts over resamples of the users are marked as "
    "unsure"
)


@dataclass(frozen=True)
class Failure:
    """A failed interaction.

    Attributes:
        case: Question and answer.
        error_type: factual, tone, clarity, or uncorrected.
        accepted: Whether its correction may train.
        events: Who met with it, and when: everyone who gave this correction.
    """

    case: Case
    error_type: str
    accepted: bool
    events: tuple[Event, ...]


def describe(
    failed: Clustering,
    failures: Sequence[Failure],
    liked: Clustering,
    successes: Sequence[Case],
    interactions: Sequence[Event],
    thin_below: int,
) -> dict[str, Any]:
    """Describe both clusterings in JSON values.

    Args:
        failed: Clusters of the failures.
        failures: In the order that was clustered.
        liked: Clusters of the up-voted interactions.
        successes: In the order that was clustered.
        interactions: Every interaction of the log as (user, time): the base of the trends.
        thin_below: A cluster with fewer accepted corrections is thin.
    """
    over = periods([at for _, at in interactions])
    homes = failed.place(successes)
    error_types = Counter(failure.error_type for failure in failures)
    users = [failure.case.user for failure in failures]
    return {
        "clusters": _failed(failed, failures, successes, homes, interactions, over, thin_below),
        "liked_clusters": _liked(liked, successes, interactions, over),
        "error_types": dict(sorted(error_types.items())),
        "error_type_shares": {
            name: asdict(share([failure.error_type == name for failure in failures], users))
            for name in sorted(error_types)
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


def _failed(
    failed: Clustering,
    failures: Sequence[Failure],
    successes: Sequence[Case],
    homes: Sequence[int],
    interactions: Sequence[Event],
    over: Periods | None,
    thin_below: int,
) -> list[dict[str, Any]]:
    inside: list[list[Failure]] = [[] for _ in failed.clusters]
    for failure, home in zip(failures, failed.of_case, strict=True):
        inside[home].append(failure)
    pleased: list[list[str]] = [[] for _ in failed.clusters]
    for case, home in zip(successes, homes, strict=True):
        if home >= 0:
            pleased[home].append(case.user)
    moving = trends([[event for failure in some for event in failure.events] for some in inside], interactions, over)
    described = []
    for cluster, some, happy, moved in zip(failed.clusters, inside, pleased, moving, strict=True):
        kinds = Counter(failure.error_type for failure in some)
        accepted = sum(failure.accepted for failure in some)
        rate = share([True] * len(some) + [False] * len(happy), [failure.case.user for failure in some] + happy)
        described.append(
            _common(cluster, moved)
            | {
                "category": min(kinds, key=lambda kind: (-kinds[kind], kind)),
                "error_types": dict(sorted(kinds.items())),
                "successes": len(happy),
                "failure_share": asdict(rate),
                "accepted": accepted,
                "thin": accepted < thin_below,
            }
        )
    return described


def _liked(
    liked: Clustering, successes: Sequence[Case], interactions: Sequence[Event], over: Periods | None
) -> list[dict[str, Any]]:
    inside: list[list[Event]] = [[] for _ in liked.clusters]
    for case, home in zip(successes, liked.of_case, strict=True):
        if case.at is not None:
            inside[home].append((case.user, case.at))
    moving = trends(inside, interactions, over)
    return [_common(cluster, moved) for cluster, moved in zip(liked.clusters, moving, strict=True)]


def _common(cluster: Cluster, moved: Trend) -> dict[str, Any]:
    described: Mapping[str, Any] = asdict(cluster)
    unsure = cluster.stability is not None and cluster.stability < TRUSTED
    return {**described, "unsure": unsure, "trend": asdict(moved) | {"counts": list(moved.counts)}}
