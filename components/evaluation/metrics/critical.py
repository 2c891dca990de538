"""Cases that may not be lost, each by itself: what production answers right, the candidate must answer right too.

Every case is answered k times by both models and the majority counts, so a model that stumbles once in a hundred
answers is not blocked by chance, and an average cannot hide the one case that matters. The list is looked at as a
whole; nothing is estimated from it.
"""

import numpy as np
from scipy import stats

from flywheel.components.evaluation.metrics.finding import Finding, Levels
from flywheel.components.evaluation.metrics.paired_rows import PairedRows
from flywheel.components.evaluation.verdict.spec import GauntletSpec, MetricSpec
from flywheel.components.statistics.paired_binary import mcnemar_exact

_NAMED = 5
_STUMBLE = 0.01


def compare(rows: PairedRows, metric: MetricSpec, levels: Levels, spec: GauntletSpec) -> Finding:
    """Look for critical cases that production answers right in the majority and the candidate wrong.

    Args:
        rows: Critical cases, at least one; independent of each other.
        metric: The metric; `samples` answers per case and model are needed.
        levels: Error rate and power.
        spec: The gauntlet.

    Returns:
        The finding. It is safe (p 0) without a lost case and not safe (p 1) with one. Harm is shown by Fisher's exact
        test of a case's answers (Bonferroni over the cases) or by the exact McNemar test over all cases.

    Raises:
        ValueError: A case was answered less often than registered, or an answer has no score.
    """
    here, there = rows.candidate, rows.production
    if not (np.isfinite(here.correct).all() and np.isfinite(there.correct).all()):
        raise ValueError("an answer's score is no number")
    fewest = np.minimum(here.samples, there.samples)
    if (fewest < metric.samples).any():
        place = int((fewest < metric.samples).argmax())
        raise ValueError(
            f"case {str(rows.item_id[place])!r} was answered {int(fewest[place])} times, "
            f"{metric.samples} times were registered"
        )
    lost = (there.majority == 1) & (here.majority == 0)
    gained = (there.majority == 0) & (here.majority == 1)
    count, share = int(lost.sum()), float(lost.mean())
    reasons = []
    if count:
        named = "; ".join(_told(rows, int(place)) for place in np.flatnonzero(lost)[:_NAMED])
        more = f"; and {count - _NAMED} more" if count > _NAMED else ""
        reasons.append(f"critical_case_lost: {named}{more}")
    return Finding(
        scale="level",
        unit="share of critical cases lost",
        direction="lower",
        n=rows.n,
        clusters=int(np.unique(rows.cluster).size),
        production=0.0,
        candidate=share,
        value=share,
        lower=share,
        upper=share,
        test=_rule(metric.samples, levels.alpha),
        p_superior=None,
        p_safe=float(count > 0),
        p_harm=min(1.0, 2 * min(_worst_case(rows), mcnemar_exact(count, int(gained.sum()), "less"))) if count else 1.0,
        n_needed=lambda: None,
        reasons=tuple(reasons),
    )


def _worst_case(rows: PairedRows) -> float:
    """Smallest p-value of "answered right less often than by production" over the cases, times their number."""
    k_here, k_there = rows.candidate.samples.round(), rows.production.samples.round()
    right_here = (rows.candidate.correct * k_here).round()
    right_there = (rows.production.correct * k_there).round()
    p = stats.hypergeom.cdf(right_here, k_here + k_there, right_here + right_there, k_here)
    return min(1.0, float(p.min()) * rows.n)


def _rule(k: int, alpha: float) -> str:
    """Say what the majority over k answers misses and forgives, in numbers."""
    wrong = k // 2 + 1 if k % 2 else k // 2  # wrong answers of k that lose a case
    chance = float(stats.binom.sf(wrong - 1, k, _STUMBLE))
    missed = float(stats.beta.ppf(1 - alpha, wrong, k - wrong + 1))  # wrong this often: fewer with chance alpha
    return (
        f"every case by itself, majority of {k} answers: wrong {missed:.0%} of the time is missed with chance "
        f"{alpha:g}, wrong {_STUMBLE:.0%} of the time blocks with chance {chance:.2g}"
    )


def _told(rows: PairedRows, place: int) -> str:
    def share(arm_correct: float, k: float) -> str:
        return f"{round(arm_correct * k)} of {round(k)}"

    there = share(float(rows.production.correct[place]), float(rows.production.samples[place]))
    here = share(float(rows.candidate.correct[place]), float(rows.candidate.samples[place]))
    return f"{str(rows.item_id[place])!r} right {here} times, with production {there}"
