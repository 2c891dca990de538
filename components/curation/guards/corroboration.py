"""Weigh a claim by how many of those who could have made it did.

Users who get an outdated answer correct it with some probability each; users who get a right answer hardly ever do. So
of n users who got the answer (`askers`) the number x who make the same claim follows one of two laws, and each log
shows their parameters itself:

* true claim: beta-binomial, because some changes are better known than others;
* error (a slip, a lie of one user): binomial with a small rate.

Both are conditional on x >= 1, since a claim that nobody made is not seen. The mixture is fitted by maximum likelihood,
with a weak prior that one claim in twenty is an error, so that a log whose questions never repeat keeps that prior.
Source: Skellam (1948), JRSS B 10:257 (beta-binomial); McLachlan & Peel (2000), Finite Mixture Models.

Three questions are answered: is the claim probably an error (too few of many said it), is it pushed (far more said it
than ever say the same of their own accord), and did it stop (everybody who said it did so before the many who did not:
with exchangeable users that has the hypergeometric probability of `stopped_p`)?
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LEAST_CLAIMS = 12  # claims with two askers or more; fewer do not show how users correct
_PRIOR_TRUE, _PRIOR_ERROR = 19.0, 1.0
_LARGEST = 5000  # askers; beyond, shares say all and factorials cost time


@dataclass(frozen=True)
class Corroboration:
    """How users of a log make true claims and errors.

    Attributes:
        true_share: Share of the claims that are true.
        mean: Mean probability that a user corrects an outdated answer, in (0, 1).
        spread: Sum of the beta's parameters; small when some changes are far better known than others.
        error_rate: Probability that a user makes a given error, in (0, 1).
        claims: Claims that the fit rests on.
    """

    true_share: float
    mean: float
    spread: float
    error_rate: float
    claims: int

    def error_probability(self, supporters: int, askers: int) -> float:
        """Posterior probability that a claim is an error.

        Args:
            supporters: Users who make the claim, x >= 1.
            askers: Users who could have made it, n >= x.
        """
        x, n = _bounded(supporters, askers)
        true, error = self._log_laws(np.array([x]), np.array([n]))
        against = math.log1p(-self.true_share) + float(error[0])
        return 1 / (1 + math.exp(min(700.0, math.log(self.true_share) + float(true[0]) - against)))

    def pushed_p(self, supporters: int, askers: int) -> float:
        """Probability that so many or more of the askers make a true claim of their own accord."""
        x, n = _bounded(supporters, askers)
        several = np.arange(x, n + 1)
        true, _ = self._log_laws(several, np.full(several.shape, n))
        return min(1.0, float(np.exp(true).sum()))

    def _log_laws(self, x: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return _log_laws(x, n, self.mean, self.spread, self.error_rate)


def fit(counts: Sequence[tuple[int, int]]) -> Corroboration | None:
    """Fit the two laws to the claims of a log.

    Args:
        counts: (supporters, askers) of each claim.

    Returns:
        The fit; None when fewer than `LEAST_CLAIMS` claims could have been made by two users or more.
    """
    from scipy.optimize import minimize

    telling = [pair for pair in counts if pair[1] >= 2]
    if len(telling) < LEAST_CLAIMS:
        return None
    grouped = sorted(Counter(_bounded(*pair) for pair in telling).items())
    x = np.array([pair[0] for pair, _ in grouped])
    n = np.array([pair[1] for pair, _ in grouped])
    weight = np.array([number for _, number in grouped], dtype=np.float64)

    def loss(place: np.ndarray) -> float:
        share, mean, spread, error = _parameters(place)
        true, wrong = _log_laws(x, n, mean, spread, error)
        likelihood = np.logaddexp(math.log(share) + true, math.log1p(-share) + wrong)
        prior = _PRIOR_TRUE * math.log(share) + _PRIOR_ERROR * math.log1p(-share)
        # a spread beyond what the data can tell is drawn to "some changes are better known than others"
        return -float(weight @ likelihood) - prior + 0.5 * ((place[2] - math.log(8)) / 1.5) ** 2

    several = x >= 2  # claims of one user alone may all be errors
    mean = float(weight[several] @ x[several] / (weight[several] @ n[several])) if several.any() else 0.2
    mean = min(0.9, max(0.02, mean))
    start = np.array([2.0, math.log(mean / (1 - mean)), math.log(8), math.log(mean / 40)])
    found = minimize(loss, start, method="Nelder-Mead", options={"maxiter": 800, "xatol": 1e-3, "fatol": 1e-4})
    return Corroboration(*_parameters(found.x), claims=len(telling))


def stopped_p(supporters: int, askers: int, silent_since: int) -> float:
    """Probability that all supporters come before the last `silent_since` askers, if their order is random.

    Args:
        supporters: Users who make the claim, x.
        askers: Users who could have made it since it was first made, n >= x.
        silent_since: Of those, the users who came after the last supporter.
    """
    x, n = supporters, max(askers, supporters + silent_since)
    before = n - silent_since
    logs = math.lgamma(before + 1) - math.lgamma(before - x + 1) - math.lgamma(n + 1) + math.lgamma(n - x + 1)
    return math.exp(min(0.0, logs))


def _bounded(supporters: int, askers: int) -> tuple[int, int]:
    """Counts as whole numbers that fit each other; very many askers keep their share of supporters."""
    x, n = max(1, supporters), max(1, supporters, askers)
    return (x, n) if n <= _LARGEST else (max(1, round(x / n * _LARGEST)), _LARGEST)


def _parameters(place: np.ndarray) -> tuple[float, float, float, float]:
    """Share of true claims, mean, spread and error rate from an unbounded place; errors are rarer than corrections."""
    share = min(0.999, 1 / (1 + math.exp(-float(place[0]))))
    mean = min(0.98, max(0.005, 1 / (1 + math.exp(-float(place[1])))))
    spread = math.exp(min(8.0, max(0.0, float(place[2]))))
    return share, mean, spread, min(mean / 4, max(1e-5, math.exp(min(0.0, float(place[3])))))


def _log_laws(x: np.ndarray, n: np.ndarray, mean: float, spread: float, error: float) -> tuple[np.ndarray, np.ndarray]:
    """Log probabilities of x given n and x >= 1 for true claims and errors."""
    from scipy.special import betaln, gammaln

    a, b = mean * spread, (1 - mean) * spread
    ways = gammaln(n + 1) - gammaln(x + 1) - gammaln(n - x + 1)
    true = ways + betaln(x + a, n - x + b) - betaln(a, b)
    none = betaln(a, n + b) - betaln(a, b)
    true = true - np.log(-np.expm1(np.minimum(none, -1e-12)))
    wrong = ways + x * math.log(error) + (n - x) * math.log1p(-error)
    return true, wrong - np.log(-np.expm1(n * math.log1p(-error)))
