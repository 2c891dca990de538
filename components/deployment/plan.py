"""What a canary will take, said before it starts."""

import math

from flywheel.components.deployment.guardrails import METRICS
from flywheel.components.deployment.policy import CanaryPolicy


def plan(policy: CanaryPolicy, users: int | None = None) -> list[str]:
    """Estimate the users until a candidate that is as good as production has its verdict (power 0.8).

    Args:
        policy: The rules.
        users: Users that will come, if known.

    Returns:
        Lines for a person.
    """
    from flywheel.components.statistics.power import users_needed_sequential

    lines, total = [], 0.0
    for step in policy.steps:
        control = 1 - policy.control_floor
        exposure = step.minimum_users / min(step.share, control)
        compared = 0
        if step.bad_feedback_margin < 1:
            part = step.share / (step.share + control)
            compared = users_needed_sequential(
                policy.baseline_bad_rate, step.bad_feedback_margin, part, policy.alpha, 0.8
            )
            exposure = max(exposure, compared / (step.share + control))
        lines.append(
            f"{step.share:6.1%} of the users: about {math.ceil(exposure):,} users seen, harm excluded beyond "
            f"{step.bad_feedback_margin:.2f} bad feedback, {step.latency_margin:.2f}x latency"
        )
        total = max(total, exposure) if step.share > 0.1 else total + exposure
    days = f", {total / policy.users_per_day:.1f} days" if policy.users_per_day else ""
    lines.append(
        f"in all about {math.ceil(total):,} users{days} for an equal candidate, fewer for a better one "
        f"({len(METRICS)} guardrails, alpha {policy.alpha})"
    )
    if users is not None:
        lines.append(f"the traffic holds {users:,} users" + ("" if users >= total else ": may end without a verdict"))
    return lines
