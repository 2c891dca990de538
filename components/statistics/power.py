"""How much data a verdict needs: asked before a run starts and after one that could not tell.

Source: Chow, Shao & Wang (2008), Sample Size Calculations in Clinical Research (non-inferiority); Kish (1965),
Survey Sampling (design effect); Miller (2024), arXiv:2411.00640 (power of paired evaluations); Waudby-Smith et al.,
arXiv:2103.06476 (sequential widths).
"""

import math
from collections.abc import Sequence

from scipy import stats

from flywheel.components.statistics.checked import count, fraction, sample
from flywheel.components.statistics.confidence_sequence import asymptotic_half_width, rho_for


def design_effect(cluster_sizes: Sequence[int], icc: float) -> float:
    """Variance inflation of a mean over clustered items: ``1 + (sum(n_g^2) / n - 1) icc``.

    Args:
        cluster_sizes: Items per cluster, each at least 1, shape (G,).
        icc: Intraclass correlation in [0, 1]: 0 for independent items, 1 when a cluster's items are all equal.

    Returns:
        Design effect, at least 1; divide n by it to get the effective sample size.

    Raises:
        ValueError: If a size is below 1 or not whole, or icc is out of range.
    """
    sizes = sample(cluster_sizes, "cluster_sizes", low=1)
    if (sizes != sizes.round()).any():
        raise ValueError("cluster_sizes must be whole numbers")
    if not 0 <= icc <= 1:
        raise ValueError(f"icc must lie in [0, 1], got {icc}")
    return float(1 + ((sizes**2).sum() / sizes.sum() - 1) * icc)


def paired_items_needed(
    margin: float,
    discordance: float,
    true_difference: float = 0.0,
    alpha: float = 0.05,
    power: float = 0.8,
    design_effect: float = 1.0,
) -> int:
    """Items for a paired non-inferiority test of right-or-wrong outcomes.

    Args:
        margin: Largest tolerable loss of accuracy, in (0, 1).
        discordance: Expected share of items on which the two models differ, in (0, 1].
        true_difference: Expected candidate minus production accuracy; must lie above -margin.
        alpha: One-sided error rate.
        power: Chance to show non-inferiority if the expectations hold.
        design_effect: Variance inflation by clusters, at least 1.

    Returns:
        Number of items, each answered by both models.

    Raises:
        ValueError: If an argument is out of range or no number of items can be enough.
    """
    if not 0 < discordance <= 1:
        raise ValueError(f"discordance must lie in (0, 1], got {discordance}")
    if abs(true_difference) > discordance:
        raise ValueError(f"a difference of {true_difference} is impossible at a discordance of {discordance}")
    variance = discordance - true_difference**2
    return _needed(variance, margin, true_difference, alpha, power, design_effect)


def unpaired_items_needed(
    rate: float,
    margin: float,
    true_difference: float = 0.0,
    alpha: float = 0.05,
    power: float = 0.8,
    design_effect: float = 1.0,
) -> int:
    """Items in each arm for a non-inferiority test of two independent groups.

    Args:
        rate: Production's expected accuracy in (0, 1).
        margin: Largest tolerable loss of accuracy, in (0, 1).
        true_difference: Expected candidate minus production accuracy; must lie above -margin.
        alpha: One-sided error rate.
        power: Chance to show non-inferiority if the expectations hold.
        design_effect: Variance inflation by clusters, at least 1.

    Returns:
        Number of items in each arm.

    Raises:
        ValueError: If an argument is out of range or no number of items can be enough.
    """
    other = fraction(rate, "rate") + true_difference
    fraction(other, "rate + true_difference")
    variance = rate * (1 - rate) + other * (1 - other)
    return _needed(variance, margin, true_difference, alpha, power, design_effect)


def extra_items_needed(
    b: int,
    c: int,
    n: int,
    margin: float,
    alpha: float = 0.05,
    power: float = 0.8,
    design_effect: float = 1.0,
    true_difference: float = 0.0,
) -> int:
    """Further items that an inconclusive paired comparison needs, at the discordance it observed.

    Plans for the stated true difference, not the observed one: planning on the observed one would promise a quick
    pass to a lucky candidate. The discordance is ``(b + c + 1) / (n + 2)``, so zero flips do not mean zero need.
    Collect a fresh set of the total size for the final test, or plan for sequential looks.

    Args:
        b: Items that production gets right and the candidate wrong.
        c: Items that production gets wrong and the candidate right.
        n: Items so far.
        margin: Largest tolerable loss of accuracy, in (0, 1).
        alpha: One-sided error rate.
        power: Chance to show non-inferiority.
        design_effect: Variance inflation by clusters, at least 1.
        true_difference: Expected candidate minus production accuracy; must lie above -margin.

    Returns:
        Items to add; 0 when there are enough already.

    Raises:
        ValueError: If an argument is out of range.
    """
    b, c, n = count(b, "b"), count(c, "c"), count(n, "n", least=1)
    if b + c > n:
        raise ValueError(f"discordant pairs b + c = {b + c} exceed the {n} items")
    discordance = max((b + c + 1) / (n + 2), abs(true_difference))
    return max(0, paired_items_needed(margin, discordance, true_difference, alpha, power, design_effect) - n)


def users_needed_sequential(
    baseline_rate: float,
    margin: float,
    share: float = 0.5,
    alpha: float = 0.05,
    power: float = 0.8,
    true_difference: float = 0.0,
) -> int:
    """Users, both arms together, until a confidence sequence shows non-inferiority with the given power.

    A canary on a rate where larger is worse (bad feedback, errors): non-inferior when the one-sided upper limit of
    candidate minus production falls below the margin. The sequence is tuned to the answer, so this is the best case.

    Args:
        baseline_rate: Production's rate in (0, 1).
        margin: Largest tolerable rise of the rate, in (0, 1).
        share: Traffic share of the candidate in (0, 1).
        alpha: One-sided error rate over all looks; divide it by the number of guardrails first.
        power: Chance that the verdict has come by then.
        true_difference: Expected candidate minus production rate; must lie below the margin.

    Returns:
        Number of users over both arms.

    Raises:
        ValueError: If an argument is out of range or no number of users can be enough.
    """
    fraction(share, "share")
    other = fraction(baseline_rate, "baseline_rate") + true_difference
    fraction(other, "baseline_rate + true_difference")
    room = fraction(margin, "margin") - true_difference
    if room <= 0:
        raise ValueError(f"a true difference of {true_difference} is not inside the margin {margin}")
    beta = float(stats.norm.isf(1 - fraction(power, "power")))
    here, there = baseline_rate * (1 - baseline_rate), other * (1 - other)
    variance = here / (1 - share) + there / share  # of the difference, times the number of users
    larger = max(here, there)  # what asymptotic_difference gives to both arms

    def too_wide(users: float) -> bool:
        effective = share * (1 - share) * users
        width = float(asymptotic_half_width(larger, effective, rho_for(effective, alpha, "one"), alpha, "one"))
        return width + beta * math.sqrt(variance / users) > room

    low, high = 1.0, 2.0
    while too_wide(high):
        low, high = high, high * 2
    while high - low > 0.5:
        middle = (low + high) / 2
        low, high = (middle, high) if too_wide(middle) else (low, middle)
    return math.ceil(high)


def users_needed_fixed(
    baseline_rate: float,
    harm: float,
    share: float = 0.5,
    alpha: float = 0.05,
    power: float = 0.8,
    control: float | None = None,
) -> int:
    """Users of the traffic until ONE look by the one-sided z test finds a harm with the given power.

    What a sequential rule is measured against: it may look all the time and pays for it with more users.

    Args:
        baseline_rate: Production's rate of the bad event in (0, 1).
        harm: The candidate's true excess, positive.
        share: Traffic share of the candidate in (0, 1).
        alpha: One-sided error rate of the single look.
        power: Chance that the look finds the harm.
        control: Share of the traffic that the candidate is compared with; None: all the rest.

    Returns:
        Number of users of the whole traffic, compared or not.

    Raises:
        ValueError: If an argument is out of range, or share and control exceed the traffic.
    """
    fraction(share, "share")
    rest = 1 - share if control is None else fraction(control, "control")
    if share + rest > 1 + 1e-12:
        raise ValueError(f"share {share} and control {rest} exceed the traffic")
    other = fraction(fraction(baseline_rate, "baseline_rate") + fraction(harm, "harm"), "baseline_rate + harm")
    spread = float(stats.norm.isf(fraction(alpha, "alpha")) + stats.norm.isf(1 - fraction(power, "power")))
    variance = baseline_rate * (1 - baseline_rate) / rest + other * (1 - other) / share
    return math.ceil(spread**2 * variance / harm**2)


def effective_size(n_a: float, n_b: float) -> float:
    """Effective size of a comparison of two arms, ``n_a n_b / (n_a + n_b)``: the clock of the confidence sequences.

    Args:
        n_a: Users in one arm, positive.
        n_b: Users in the other arm, positive.

    Returns:
        Effective size: half an arm at 50:50, about the small arm at 1:99.

    Raises:
        ValueError: If an arm has no users.
    """
    if not (n_a > 0 and n_b > 0 and math.isfinite(n_a + n_b)):
        raise ValueError(f"both arms need users, got {n_a} and {n_b}")
    return n_a * n_b / (n_a + n_b)


def canary_days(
    users_per_day: float,
    share: float,
    baseline_rate: float,
    margin: float,
    alpha: float = 0.05,
    power: float = 0.8,
    looks: int = 1,
    maturity_days: float = 0.0,
) -> float:
    """Days until a canary of a truly equal candidate has its verdict with the given power.

    Args:
        users_per_day: New users a day over both arms, positive.
        share: Traffic share of the candidate in (0, 1).
        baseline_rate: Production's rate of the bad event in (0, 1).
        margin: Largest tolerable rise of the rate, in (0, 1).
        alpha: One-sided error rate over all looks; divide it by the number of guardrails first.
        power: Chance that the verdict has come by then.
        looks: Looks a day, evenly spaced; the verdict comes at a look.
        maturity_days: Days until a user counts, because feedback comes late; the last user needed waits that long.

    Returns:
        Days, a multiple of ``1 / looks``.

    Raises:
        ValueError: If an argument is out of range.
    """
    if not (users_per_day > 0 and math.isfinite(users_per_day)):
        raise ValueError(f"users_per_day must be positive and finite, got {users_per_day}")
    count(looks, "looks", least=1)
    if not (maturity_days >= 0 and math.isfinite(maturity_days)):
        raise ValueError(f"maturity_days must be finite and not negative, got {maturity_days}")
    users = users_needed_sequential(baseline_rate, margin, share, alpha, power)
    return math.ceil((users / users_per_day + maturity_days) * looks) / looks


def _needed(variance: float, margin: float, difference: float, alpha: float, power: float, inflation: float) -> int:
    room = fraction(margin, "margin") + difference
    if not room > 0:
        raise ValueError(f"a true difference of {difference} is not inside the margin {margin}")
    if not (inflation >= 1 and math.isfinite(inflation)):
        raise ValueError(f"design_effect must be at least 1 and finite, got {inflation}")
    spread = float(stats.norm.isf(fraction(alpha, "alpha")) + stats.norm.isf(1 - fraction(power, "power")))
    return max(1, math.ceil(spread**2 * variance / room**2 * inflation))
