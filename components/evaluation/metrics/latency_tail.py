"""The slow requests: the p95 of latency, which users remember longer than the median.

Source: percentile bootstrap over items (Efron & Tibshirani 1993); see `statistics.ratio_of_means`.
"""

import math

from scipy import stats

from flywheel.components.evaluation.metrics.finding import Finding, Levels
from flywheel.components.evaluation.metrics.paired_rows import PairedRows
from flywheel.components.evaluation.verdict.spec import GauntletSpec, MetricSpec
from flywheel.components.statistics.ratio_of_means import paired_quantile_difference, quantile_noninferiority_p

QUANTILE = 0.95
FEWEST = 100
"""Items below which fewer than five requests lie beyond the p95, and the bootstrap means nothing."""


def compare(rows: PairedRows, metric: MetricSpec, levels: Levels, spec: GauntletSpec) -> Finding:
    """Compare the p95 of single-request latency, candidate over production.

    Args:
        rows: Rows whose latency was measured; every one is an independent request.
        metric: The metric; its margin is the largest tolerable ratio.
        levels: Error rate and power.
        spec: The gauntlet; its seed is the bootstrap's.

    Returns:
        The finding.

    Raises:
        ValueError: Fewer than `FEWEST` items, or values that are not positive.
    """
    candidate, production = rows.candidate.latency_ms, rows.production.latency_ms
    if rows.n and not min(candidate.min(), production.min()) > 0:
        raise ValueError("latencies must be positive and finite")
    margin, seed = metric.margin, spec.seed
    result = paired_quantile_difference(
        candidate, production, QUANTILE, None, 1 - 2 * levels.alpha, seed=seed
    )  # also refuses too few
    lower, upper = result.ratio_interval.lower, result.ratio_interval.upper

    def needed() -> int | None:
        spread = math.log(upper / lower) / (2 * float(stats.norm.isf(levels.alpha)))  # standard error of the log ratio
        factor = float(stats.norm.isf(levels.alpha) + stats.norm.isf(1 - levels.power)) * spread / math.log(margin)
        return max(FEWEST, math.ceil(rows.n * factor**2))

    return Finding(
        scale="ratio",
        unit="ms, p95 of single requests",
        direction="lower",
        n=rows.n,
        clusters=rows.n,
        production=result.production,
        candidate=result.candidate,
        value=result.ratio,
        lower=lower,
        upper=upper,
        test="paired percentile bootstrap of the p95 over requests (Efron & Tibshirani 1993)",
        p_superior=None,
        p_safe=quantile_noninferiority_p(candidate, production, QUANTILE, None, margin, seed=seed),
        p_harm=quantile_noninferiority_p(production, candidate, QUANTILE, None, 1 / margin, seed=seed),
        n_needed=needed,
    )
