"""Claims that a group pushes: by accounts that do hardly anything else, or unlike users who speak for themselves.

* idle accounts: supporters of a claim are drawn independently from all correctors, of whom a known share has so
  little activity. The exact binomial test at level `FALSE_ALARMS`, divided by the number of windows looked at, is made
  in every window of two days. (Slower pushes by such accounts find no vote: `poison_guard`, reason no_history.)
* pushed: far more of those who got the answer say it than ever say a true claim, or everybody who said it did so before
  the many who got the same answer later and said nothing (`corroboration`). Two tests per claim, Bonferroni.
"""

from collections.abc import Mapping
from datetime import timedelta

from flywheel.components.curation.guards.claim_support import Key, Support
from flywheel.components.curation.guards.corroboration import Corroboration, stopped_p

FALSE_ALARMS = 0.01  # chance of any false alarm in a log, for each of the two kinds
SMALLEST_GROUP = 4
WINDOW = timedelta(hours=48)


def idle_limit(median_activity: float) -> int | None:
    """Most other interactions of an account that counts as idle; None when nobody has a history to compare with."""
    return max(1, int(median_activity // 5)) if median_activity >= 2 else None


def idle_supporters(support: Support, limit: int | None) -> set[str]:
    """Supporters of a claim that do hardly anything else; nobody without a limit."""
    return {subject for subject in support.at if limit is not None and support.other_activity(subject) <= limit}


def by_idle_accounts(supports: Mapping[Key, Support], median_activity: float) -> dict[Key, set[str]]:
    """Find claims that idle accounts push.

    Args:
        supports: Support of every claim.
        median_activity: Median number of interactions of the users of the log.

    Returns:
        The accounts caught, by claim.
    """
    from scipy.special import bdtrc

    limit = idle_limit(median_activity)
    if limit is None:  # a group of fresh accounts cannot be told from honest users
        return {}
    idle = {key: idle_supporters(support, limit) for key, support in supports.items()}
    looks = sum(len(support.at) for support in supports.values())
    found: dict[Key, set[str]] = {}
    for key, support in supports.items():
        if len(idle[key]) < SMALLEST_GROUP:
            continue
        share = _idle_share(key, supports, idle)
        times = sorted(support.at.items(), key=lambda item: (item[1], item[0]))
        caught: set[str] = set()
        for position, (_, start) in enumerate(times):
            within = [subject for subject, at in times[position:] if at - start <= WINDOW]
            fresh = [subject for subject in within if subject in idle[key]]
            if len(fresh) >= SMALLEST_GROUP and bdtrc(len(fresh) - 1, len(within), share) <= FALSE_ALARMS / looks:
                caught.update(fresh)
        if caught:
            found[key] = caught
    return found


def pushed(supports: Mapping[Key, Support], law: Corroboration | None) -> set[Key]:
    """Find claims that are made unlike true ones.

    Args:
        supports: Support of every claim.
        law: How users of this log make claims; None finds nothing.
    """
    tried = {key: support for key, support in supports.items() if len(support.at) >= SMALLEST_GROUP}
    if law is None or not tried:
        return set()
    level = FALSE_ALARMS / (2 * len(tried))
    return {
        key
        for key, support in tried.items()
        if law.pushed_p(len(support.at), support.askers) <= level
        or stopped_p(len(support.at), support.askers, support.silent_since or 0) <= level
    }


def _idle_share(key: Key, supports: Mapping[Key, Support], idle: Mapping[Key, set[str]]) -> float:
    """Share of idle accounts among the supporters of all other claims."""
    others: dict[str, bool] = {}
    for other, theirs in supports.items():
        if other != key:
            for subject in theirs.at.keys() - supports[key].at.keys():
                others[subject] = others.get(subject, True) and subject in idle[other]
    return (sum(others.values()) + 1) / (len(others) + 2)
