"""Win rate of the candidate by a judge that was asked twice, with the answers in both orders.

A judge that prefers whatever stands first contradicts itself when the order is swapped; such a pair is a tie.
Source: Zheng et al. (2023), arXiv:2306.05685 (position bias, order swap); Tango (1998), Stat. Med. 17:891
(score interval, here on wins and losses of the effective sample); Kish (1965) (design effect).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from flywheel.components.statistics.checked import FloatArray, cluster_codes, fraction
from flywheel.components.statistics.cluster_mean import cluster_mean
from flywheel.components.statistics.interval import Interval
from flywheel.components.statistics.paired_binary import score_limits
from flywheel.components.statistics.paired_clusters import Clusters, cluster_noninferiority_p, sign_flip_p

_SCORES = {"candidate": 1.0, "tie": 0.0, "production": -1.0}


@dataclass(frozen=True)
class WinRate:
    """Order-swapped preference of the candidate over production.

    Attributes:
        estimate: Wins plus half the ties, over n; 0.5 is "no preference".
        interval: Two-sided interval of the win rate, within [0, 1].
        wins: Pairs where the candidate won in both orders.
        losses: Pairs where production won in both orders.
        ties: All other pairs.
        inconsistent: Ties whose two verdicts differ; many of them mean a biased judge.
        n: Pairs judged.
        clusters: Clusters.
    """

    estimate: float
    interval: Interval
    wins: int
    losses: int
    ties: int
    inconsistent: int
    n: int
    clusters: int


def win_rate(
    first: Sequence[str], swapped: Sequence[str], clusters: Clusters = None, confidence: float = 0.95
) -> WinRate:
    """Win rate with a cluster-robust score interval that stays honest at 0 and 1.

    Args:
        first: Verdicts with the candidate's answer shown first: ``candidate``, ``production`` or ``tie``, n of them.
        swapped: Verdicts on the same pairs with production's answer shown first, naming the winner likewise.
        clusters: Cluster label of each pair, shape (n,); None makes every pair its own cluster.
        confidence: Coverage in (0, 1).

    Returns:
        Win rate, interval and counts.

    Raises:
        ValueError: If inputs are empty or of different lengths, hold another word, or there are fewer than two
            clusters.
    """
    fraction(confidence, "confidence")
    outcome = _outcomes(first, swapped)
    codes, total = cluster_codes(clusters, outcome.size)
    mean = cluster_mean(outcome, codes, total)
    wins, losses = int((outcome > 0).sum()), int((outcome < 0).sum())
    deff = mean.design_effect
    critical = float(stats.t.isf((1 - confidence) / 2, mean.freedom))
    lower, upper = score_limits(losses / deff, wins / deff, mean.n / deff, critical)
    return WinRate(
        estimate=(1 + mean.mean) / 2,
        interval=Interval((1 + lower) / 2, (1 + upper) / 2, float(confidence)),
        wins=wins,
        losses=losses,
        ties=mean.n - wins - losses,
        inconsistent=sum(a != b for a, b in zip(first, swapped, strict=True)),
        n=mean.n,
        clusters=mean.clusters,
    )


def win_rate_superiority_p(
    first: Sequence[str],
    swapped: Sequence[str],
    clusters: Clusters = None,
    permutations: int = 9999,
    seed: int = 0,
) -> float:
    """One-sided sign-flip p-value of "the judge prefers the candidate" (win rate above one half).

    Args:
        first: Verdicts with the candidate's answer shown first, as in ``win_rate``.
        swapped: Verdicts with production's answer shown first.
        clusters: Cluster label of each pair; None makes every pair its own cluster.
        permutations: Random sign patterns, at least 99.
        seed: Seed of the sign patterns.

    Returns:
        p-value.

    Raises:
        ValueError: As ``win_rate``.
    """
    return sign_flip_p(_outcomes(first, swapped), clusters, "greater", permutations, seed)


def win_rate_noninferiority_p(
    first: Sequence[str], swapped: Sequence[str], clusters: Clusters = None, margin: float = 0.05
) -> float:
    """One-sided p-value of "the win rate is above one half minus the margin", ties as half a win.

    H0: ``win rate <= 0.5 - margin``. The win rate minus one half is half the mean of +1 (won), 0 (tie) and -1 (lost),
    so this is the clustered non-inferiority test of right-or-wrong outcomes at twice the margin, with its guards for
    few informative clusters (`paired_clusters.cluster_noninferiority_p`).

    Args:
        first: Verdicts with the candidate's answer shown first, as in ``win_rate``.
        swapped: Verdicts with production's answer shown first.
        clusters: Cluster label of each pair; None makes every pair its own cluster.
        margin: Largest tolerable shortfall of the win rate below one half, in (0, 0.5).

    Returns:
        p-value; small means non-inferior.

    Raises:
        ValueError: As ``win_rate``, or if the margin is out of range.
    """
    if not 0 < margin < 0.5:
        raise ValueError(f"margin must lie in (0, 0.5), got {margin}")
    outcome = _outcomes(first, swapped)
    won, lost = (outcome > 0).astype(np.float64), (outcome < 0).astype(np.float64)
    return cluster_noninferiority_p(won, lost, clusters, 2 * margin)


def _outcomes(first: Sequence[str], swapped: Sequence[str]) -> FloatArray:
    """+1 candidate won both times, -1 production did, 0 anything else; shape (n,)."""
    if len(first) != len(swapped):
        raise ValueError(f"verdicts differ in length: {len(first)} first, {len(swapped)} swapped")
    if len(first) == 0:
        raise ValueError("no verdicts to count")
    strange = {str(word) for word in (*first, *swapped) if word not in _SCORES}
    if strange:
        raise ValueError(f"verdicts must be candidate, production or tie, got {', '.join(sorted(strange)[:5])}")
    pairs = zip(first, swapped, strict=True)
    return np.array([_SCORES[a] if a == b else 0.0 for a, b in pairs], dtype=np.float64)
