"""What a canary will take, in users and days, said before it starts."""

import math

from flywheel.components.deployment.canary.metric_rule import MetricRule
from flywheel.components.deployment.canary.policy import CanaryPolicy, Step
from flywheel.components.deployment.canary.waves import Waves

_POWER = 0.8


def plan(policy: CanaryPolicy, users: int | None = None, users_per_day: float | None = None) -> list[str]:
    """Estimate the users until a candidate that is as good as production has its verdict (power 0.8).

    Args:
        policy: The rules.
        users: Users that will come, if known.
        users_per_day: New users a day, if known; the policy's own number wins.

    Returns:
        Lines for a person: one a step, the total with its days, and whether the traffic can suffice.
    """
    daily = policy.users_per_day or users_per_day
    waves = Waves(tuple(step.share for step in policy.steps), "")
    lines, total = [], 0.0
    for step in policy.steps:
        needed, slowest = _step_users(policy, step, waves)
        total = max(total, needed) if step.share > 0.1 else total + needed
        days = f" (day {math.ceil(total / daily)})" if daily else ""
        lines.append(f"{step.share:6.1%} of the users: about {math.ceil(needed):,} users seen{days}, for {slowest}")
    days = f", {total / daily:.1f} days at {daily:,.0f} new users a day" if daily else ""
    lines.append(
        f"in all about {math.ceil(total):,} users{days} for an equal candidate, fewer for a better one "
        f"({len(policy.guardrails)} guardrails, harm budget {policy.harm_budget:g}, alpha {policy.alpha})"
    )
    if daily is None:
        lines.append("days: unknown, for the log names no users to count; give users_per_day in the policy")
    if users is not None:
        lines.append(f"the traffic holds {users:,} users" + ("" if users >= total else ": may end without a verdict"))
    return lines


def _step_users(policy: CanaryPolicy, step: Step, waves: Waves) -> tuple[float, str]:
    """Users until the step's last guardrail is shown safe, and which guardrail that is."""
    exposed, control = step.share, waves.compared(step.share) - step.share
    needed, slowest = step.minimum_users / min(exposed, control), f"{step.minimum_users} users in each arm"
    for rule in policy.guardrails:
        if rule.free_at(step.following):
            continue
        least = 0.0 if rule.estimator == "rate" else policy.asymptotic_minimum_users / min(exposed, control)
        users = max(least, effective_needed(rule, step.following, policy.alpha) / waves.effective(step.share))
        if users > needed:
            needed, slowest = users, f"{rule.name} inside {_words(rule, step.following)}"
    return needed, slowest


def effective_needed(rule: MetricRule, following: float, alpha: float) -> float:
    """Estimate the effective size until the limits exclude a margin, were there no difference (power 0.8).

    Args:
        rule: The metric.
        following: The next share of the users; 1.0 for the whole margin.
        alpha: Error rate of the limit.

    Returns:
        Effective size, ``n m / (n + m)`` of the arms.
    """
    from scipy import stats

    from flywheel.components.statistics.confidence_sequence import asymptotic_half_width, rho_for

    room = rule.effect(min(rule.margin / following, 1.0))
    beta = float(stats.norm.ppf(_POWER))
    low, high = 1.0, 2.0

    def too_wide(effective: float) -> bool:
        width = asymptotic_half_width(rule.variance, effective, rho_for(effective, alpha, "one"), alpha, "one")
        return float(width) + beta * math.sqrt(rule.variance / effective) > room

    while too_wide(high):
        low, high = high, high * 2
    while high - low > 0.5:
        middle = (low + high) / 2
        low, high = (middle, high) if too_wide(middle) else (low, middle)
    return high


def _words(rule: MetricRule, following: float) -> str:
    margin = rule.margin_at(following)
    return f"{margin:.2f}x" if rule.ratio else f"{100 * margin:+.1f} points"
