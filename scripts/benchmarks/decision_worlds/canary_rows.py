"""What the canary's judge claims, measured: false rollbacks, harm shipped at any share, users until harm is found."""

from collections.abc import Iterator

import numpy as np

from flywheel.components.deployment.canary.policy import CanaryPolicy
from flywheel.components.statistics.power import users_needed_fixed
from flywheel.scripts.benchmarks.decision_worlds.canary_worlds import Endings, Rollouts, Truth
from flywheel.scripts.benchmarks.decision_worlds.claims import Row

ALPHA = 0.05
LOOKS = 100
METRIC = "bad_feedback"
BASE, HARM = 0.05, 0.065
SHARES = (0.01, 0.05, 0.10, 0.50)
HARMFUL = Truth({METRIC: (BASE, HARM)})


def one_share(share: float) -> CanaryPolicy:
    """The packaged rules with a single share before everybody."""
    return CanaryPolicy.for_shares((share, 1.0))


def harm_margin(policy: CanaryPolicy) -> float:
    """Margin of bad feedback before everybody gets the candidate."""
    return next(rule.margin for rule in policy.guardrails if rule.name == METRIC)


def metrics_of(policy: CanaryPolicy) -> str:
    """Guardrails and goals in words."""
    return f"{len(policy.metrics)} metrics ({len(policy.guardrails)} guardrails)"


def false_rollback(truth: Truth, worlds: int, seed: int, share: float | None = None) -> Endings:
    """A/A under 100 looks; without a share over the whole packaged ramp, 25 looks a step whatever the judge says."""
    policy = CanaryPolicy.for_shares() if share is None else one_share(share)
    scheduled = [look * len(policy.steps) // LOOKS for look in range(LOOKS)]
    return Rollouts(policy, truth, worlds, 400, seed).run(LOOKS, scheduled)


def shipped(share: float | None, truth: Truth, worlds: int, seed: int) -> Endings:
    """A candidate at or beyond the margin, with the traffic that two fixed-horizon canaries would need."""
    policy = CanaryPolicy.for_shares() if share is None else one_share(share)
    users = users_needed_fixed(BASE, harm_margin(policy), share or 0.5, ALPHA)
    return Rollouts(policy, truth, worlds, 2 * users / LOOKS, seed).run(LOOKS)


def delay(worlds: int, seed: int, share: float = 0.10, cap: float = 3.0) -> tuple[Endings, int, float]:
    """How soon the harm is found at one share, users counted up to `cap` fixed horizons.

    Returns:
        Endings, users that one look by the z test needs for power 0.8 at the same error rate, and that error rate.
    """
    policy = one_share(share)
    rollouts = Rollouts(policy, Truth({METRIC: (BASE, HARM)}, single=True), worlds, 1.0, seed, only=(METRIC,))
    alpha = rollouts.judge.alpha_of(METRIC)
    fixed = users_needed_fixed(BASE, HARM - BASE, share, alpha)
    rollouts.users_per_look = cap * fixed / LOOKS
    return rollouts.run(LOOKS, [0] * LOOKS), fixed, alpha


def rows(worlds: int) -> Iterator[Row]:
    """All claims about the canary."""
    ramp = CanaryPolicy.for_shares()
    what = f"{metrics_of(ramp)}, {LOOKS} looks"
    for name, truth, seed, share in (
        (f"A/A, the whole ramp, {what}", Truth(), 31, None),
        (f"A/A, the whole ramp, rates drift (autocorrelation 0.8), {what}", Truth(drift=0.3), 32, None),
        (f"A/A at 1 % of the traffic, {what}", Truth(), 33, 0.01),
        (f"A/A at 10 % of the traffic, {what}", Truth(), 34, 0.10),
    ):
        found = false_rollback(truth, worlds, seed, share)
        yield Row("false rollback", name, found.rate("rolled_back"), worlds, "at most", (ALPHA,))
    yield from _harm_rows(worlds)
    yield from _delay_rows(worlds)


def _harm_rows(worlds: int) -> Iterator[Row]:
    margin = harm_margin(CanaryPolicy.for_shares())
    for number, share in enumerate((*SHARES, None)):
        where = f"at {share:.0%} of the traffic" if share else "over the whole ramp"
        found = shipped(share, HARMFUL, worlds, 41 + number)
        yield Row(
            "harmful shipped",
            f"bad feedback 5 % to 6.5 %, ICC 0.3, {where}",
            found.rate("promoted"),
            worlds,
            "at most",
            (ALPHA,),
        )
        at_margin = Truth({METRIC: (BASE, BASE + margin)})
        found = shipped(share, at_margin, worlds, 51 + number)
        name = f"bad feedback exactly at the margin of {margin:.1%}, ICC 0.3, {where}"
        yield Row("false promotion", name, found.rate("promoted"), worlds, "at most", (ALPHA,))
    better = Truth({METRIC: (BASE, 0.6 * BASE)})
    found = shipped(0.5, better, worlds, 61)
    yield Row(
        "better candidate promoted",
        "bad feedback 5 % to 3 %, ICC 0.3, at 50 %",
        found.rate("promoted"),
        worlds,
        "at least",
        (0.8,),
    )


def _delay_rows(worlds: int) -> Iterator[Row]:
    found, fixed, alpha = delay(worlds, 71)
    world = f"bad feedback 5 % to 6.5 % at 10 % of the traffic, alpha {alpha:.4f}; one look needs {fixed:,} users"
    until = np.where(found.rolled_back, found.users, np.inf)
    spread = 1.25 * float(found.users.std()) / np.sqrt(worlds)  # of a median, were it normal
    yield Row("users until harm is found, median", world, float(np.median(until)), worlds, unit="users", error=spread)
    yield Row(
        "... of the fixed horizon, median",
        world,
        float(np.median(until)) / fixed,
        worlds,
        "at most",
        (1.5,),
        "x",
        spread / fixed,
    )
    mean = float(found.users.mean()) / fixed
    error = float(found.users.std()) / np.sqrt(worlds) / fixed
    yield Row("... of the fixed horizon, mean (3 at most)", world, mean, worlds, "at most", (1.5,), "x", error)
    yield Row("harm found within 1.5 fixed horizons", world, float((until <= 1.5 * fixed).mean()), worlds)
    yield Row("harm found within 3 fixed horizons", world, found.rate("rolled_back"), worlds)
