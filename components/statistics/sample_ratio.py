"""Sample-ratio mismatch: did the arms get the traffic they were promised?

A canary that should see 5% of users and sees 4.6% has lost users somewhere (crashes, time-outs, a broken splitter),
and then no other comparison can be trusted. The test may be looked at after every user. Source: Lindon & Malek
(2022), "Anytime-valid inference for multinomial count data", NeurIPS, arXiv:2011.03567.
"""

import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from flywheel.components.statistics.checked import fraction, sample

Steps = Iterable[tuple[Sequence[int], Sequence[float]]]

_LARGEST_LOG = 700.0
"""Log e-values are capped here: exp of it is still a float."""


def srm_e_value(counts: ArrayLike, shares: ArrayLike, prior_strength: float = 100.0) -> float:
    """Evidence against the promised shares: a Dirichlet-multinomial Bayes factor that is also a test martingale.

    Under the promised shares it exceeds ``1 / alpha`` at any time with probability at most alpha.

    Args:
        counts: Users assigned to each arm so far (users, not requests, when assignment is sticky), shape (k,).
        shares: Promised shares, positive, summing to 1, shape (k,).
        prior_strength: Pseudo-users of the alternative's Dirichlet prior centred on the shares; larger values look
            for smaller mismatches; fixed before the first look.

    Returns:
        e-value, capped at exp(700).

    Raises:
        ValueError: If counts are negative, not whole or NaN, shares are not positive or do not sum to 1, or the
            lengths differ.
    """
    return _capped(_log_e(counts, shares, prior_strength))


def srm_steps_e_value(steps: Steps, prior_strength: float = 100.0) -> float:
    """Evidence over a ramp whose shares change: the product of the evidence of each stage.

    Args:
        steps: One ``(counts, shares)`` for each stage; counts of that stage alone, not cumulated.
        prior_strength: As in ``srm_e_value``.

    Returns:
        e-value, capped at exp(700).

    Raises:
        ValueError: As ``srm_e_value``, or if there is no stage.
    """
    logs = [_log_e(counts, shares, prior_strength) for counts, shares in steps]
    if not logs:
        raise ValueError("no stages to test")
    return _capped(sum(logs))


def srm_detected(counts: ArrayLike, shares: ArrayLike, alpha: float = 0.001, prior_strength: float = 100.0) -> bool:
    """Tell whether the traffic contradicts the promised shares.

    Args:
        counts: Users assigned to each arm so far, shape (k,).
        shares: Promised shares, shape (k,).
        alpha: Chance of ever raising a false alarm, in (0, 1).
        prior_strength: As in ``srm_e_value``.

    Returns:
        True when the mismatch is shown. Keep the alarm: a later look may fall below the threshold again.

    Raises:
        ValueError: As ``srm_e_value``.
    """
    return _log_e(counts, shares, prior_strength) >= -math.log(fraction(alpha, "alpha"))


def srm_steps_detected(steps: Steps, alpha: float = 0.001, prior_strength: float = 100.0) -> bool:
    """Tell whether the traffic of a ramp contradicts the shares promised stage by stage.

    Args:
        steps: One ``(counts, shares)`` for each stage; counts of that stage alone.
        alpha: Chance of ever raising a false alarm, in (0, 1).
        prior_strength: As in ``srm_e_value``.

    Returns:
        True when the mismatch is shown.

    Raises:
        ValueError: As ``srm_steps_e_value``.
    """
    return srm_steps_e_value(steps, prior_strength) >= 1 / fraction(alpha, "alpha")


def _log_e(counts: ArrayLike, shares: ArrayLike, prior_strength: float) -> float:
    n, theta = sample(counts, "counts", low=0, least=2), sample(shares, "shares", 0, 1, least=2)
    if n.size != theta.size:
        raise ValueError(f"counts and shares differ in length: {n.size} and {theta.size}")
    if (n != np.floor(n)).any():
        raise ValueError("counts must be whole numbers")
    if theta.min() <= 0 or abs(theta.sum() - 1) > 1e-6:
        raise ValueError(f"shares must be positive and sum to 1, got {theta.tolist()}")
    if not (prior_strength > 0 and math.isfinite(prior_strength)):
        raise ValueError(f"prior_strength must be positive and finite, got {prior_strength}")
    prior = prior_strength * theta / theta.sum()
    likely = special.gammaln(prior_strength) - special.gammaln(prior_strength + n.sum())
    likely += (special.gammaln(prior + n) - special.gammaln(prior)).sum()
    return float(likely - (n * np.log(theta / theta.sum())).sum())


def _capped(log_value: float) -> float:
    return math.exp(min(log_value, _LARGEST_LOG))
