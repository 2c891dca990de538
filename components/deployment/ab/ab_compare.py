"""Two live versions compared: A better, B better, equivalent, not settled yet, or refused; valid at every look.

Each run looks at all data so far. The wealth of the bets depends on nothing but the users seen, so no state is kept
between looks and peeking costs nothing: the chance that any look ever names a winner of two equal versions is at most
alpha, over all metrics and both directions together. A winner must be shown better on a goal, or the other worse on a
guardrail, and be shown no worse than the margin on every guardrail. Equivalent: every metric is shown inside its margin
in both directions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from flywheel.components.contracts.ab import AbDecision, AbMetric, AbVerdict
from flywheel.components.deployment.ab.ab_rules import AbRules
from flywheel.components.deployment.ab.ab_traffic import LiveTraffic, LiveTurn, common_start
from flywheel.components.deployment.canary import guardrails
from flywheel.components.deployment.canary.cohort import Groups, cohorts
from flywheel.components.deployment.canary.metric_rule import MetricRule
from flywheel.components.deployment.canary.turn import Arm, Turn
from flywheel.components.deployment.canary.waves import Place

_LEAST_ASYMPTOTIC = 20
_ARMS: tuple[Arm, Arm] = ("production", "candidate")  # A, B
_IMPLICIT = ("regenerate", "rephrase", "abandon", "copy", "click")


@dataclass(frozen=True)
class Comparison:
    """What is compared.

    Attributes:
        run_id: Run.
        version_a: Version, or a part of its name from the start that only one version has.
        version_b: The other version.
        share_b: Promised share of the users on B, in (0, 1).
        rules: The rules.
    """

    run_id: str
    version_a: str
    version_b: str
    share_b: float
    rules: AbRules

    def __post_init__(self) -> None:
        if not 0 < self.share_b < 1:
            raise ValueError(
                f"share_b must lie in (0, 1), got {self.share_b}: which share of the users was promised B?"
            )
        if not self.version_a.strip() or not self.version_b.strip() or self.version_a == self.version_b:
            raise ValueError(f"give two different versions, got {self.version_a!r} and {self.version_b!r}")


class FirstArm:
    """Places of users who were assigned by somebody else: the version that they met first."""

    def __init__(self, arms: Mapping[str, Arm]) -> None:
        self._arms = arms

    def place(self, subject: str) -> Place:
        """Return the user's arm."""
        return Place(self._arms[subject], 0)

    def arm(self, subject: str, share: float) -> Arm:
        """Return the arm that the user should be on."""
        return self._arms[subject]

    def begins_at(self, wave: int) -> float:
        """Everybody is compared from the start."""
        return 0.0


def compare(traffic: LiveTraffic, comparison: Comparison) -> AbVerdict:
    """Look at the traffic so far.

    Args:
        traffic: The turns with their signals.
        comparison: What is compared.

    Returns:
        The verdict; refused with reason codes when the data allow none.
    """
    from flywheel.components.statistics.sample_ratio import srm_detected

    rules = comparison.rules
    versions = _resolved(traffic, comparison)
    if isinstance(versions, str):
        return _verdict(comparison, (comparison.version_a, comparison.version_b), "refused", (versions,))
    start = common_start(traffic.turns, versions)
    turns = [one for one in traffic.turns if one.version in versions and (start is None or one.at >= start)]
    arms = _first_arms(turns, versions)
    met: dict[str, set[str]] = {}
    for one in turns:
        met.setdefault(one.subject, set()).add(one.version)
    contaminated = sum(len(seen) > 1 for seen in met.values())
    users = {name: sum(arm == side for arm in arms.values()) for name, side in zip("ab", _ARMS, strict=True)}
    now = max([one.at for one in turns] + [signal.at for one in turns for signal in one.signals])
    groups = _groups(turns, versions, arms, now, rules)
    matured = {"a": groups.production.users, "b": groups.candidate.users}
    seen = {
        "since": turns[0].at,
        "until": now,
        "users": users,
        "matured": matured,
        "turns": {
            name: sum(one.version == version for one in turns) for name, version in zip("ab", versions, strict=True)
        },
        "contaminated": contaminated,
    }
    refusals = [f"out-of-order: {words}" for words in traffic.unordered]
    if contaminated > rules.most_contaminated * len(met):
        refusals.append(
            f"contaminated: {contaminated} of {len(met)} users met both versions (at most "
            f"{rules.most_contaminated:.1%} may); assign users, not requests"
        )
    if srm_detected([users["a"], users["b"]], [1 - comparison.share_b, comparison.share_b], rules.sample_ratio_alpha):
        refusals.append(
            f"sample-ratio-mismatch: {users['b']} of {sum(users.values())} users on B, promised "
            f"{comparison.share_b:.0%}; find out where the others went"
        )
    if min(matured.values()) < rules.minimum_users:
        refusals.append(
            f"too-few-users: {matured['a']} on A and {matured['b']} on B are {rules.maturity_hours:g} hours old, "
            f"{rules.minimum_users} of each are needed"
        )
    if refusals:
        return _verdict(comparison, versions, "refused", tuple(refusals), **seen)
    metrics = assess(groups, comparison.share_b, rules)
    decision, reasons = decide(metrics)
    if decision == "unsettled":
        reasons = (*reasons, _outlook(comparison, sum(users.values()), now - turns[0].at))
    return _verdict(comparison, versions, decision, reasons, metrics=metrics, **seen)


def assess(groups: Groups, share_b: float, rules: AbRules) -> tuple[AbMetric, ...]:
    """Compute every metric.

    Args:
        groups: A (production) and B (candidate), matured users.
        share_b: Promised share of the users on B.
        rules: The rules.
    """
    from flywheel.components.statistics.multiplicity import split_alpha

    alphas = split_alpha(rules.alpha, {rule.name: rule.alpha_weight for rule in rules.metrics})
    found = []
    for rule in rules.metrics:
        strata = [(groups.production.of(rule.measure, 0), groups.candidate.of(rule.measure, 0))]
        half = alphas[rule.name] / 2  # each direction may name a winner
        shared, own = (
            guardrails.limits(rule, strata, (share_b,), alpha, alpha, _LEAST_ASYMPTOTIC)
            for alpha in (half, rules.alpha)
        )
        found.append(_judged(rule, shared, own, (len(strata[0][0]), len(strata[0][1]))))
    return tuple(found)


def decide(metrics: tuple[AbMetric, ...]) -> tuple[AbDecision, tuple[str, ...]]:
    """Turn metrics into a decision.

    Returns:
        The decision and its reasons (`code: words`).
    """
    guards = [metric for metric in metrics if metric.role == "guardrail"]
    blocked = []
    winners = {name: [one for one in metrics if one.outcome == name] for name in ("a_better", "b_better")}
    if all(winners.values()):
        sides = (", ".join(one.name for one in winners[name]) for name in ("a_better", "b_better"))
        return "unsettled", (
            "trade-off: A is better at {}, B at {}; which counts more is not for statistics to say".format(*sides),
        )
    for decision, side, no_worse in (("b_better", "B", "b_no_worse"), ("a_better", "A", "a_no_worse")):
        won = winners[decision]
        open_ones = [metric.name for metric in guards if not getattr(metric, no_worse)]
        if won and not open_ones:
            return decision, tuple(f"better: {side} at {_words(metric)}" for metric in won)
        if won:
            names = ", ".join(metric.name for metric in won)
            blocked.append(f"not-shown-safe: {side} is better at {names}, but may be worse at {', '.join(open_ones)}")
    if all(metric.outcome == "equivalent" for metric in metrics):
        return "equivalent", ("equivalent: every metric is shown inside its margin in both directions",)
    if blocked:
        return "unsettled", tuple(blocked)
    unclear = [f"{metric.name} {metric.outcome}" for metric in metrics if metric.outcome in ("unclear", "missing")]
    return "unsettled", (f"unclear: {', '.join(unclear)}; look again when more users came, it costs nothing",)


def _outlook(comparison: Comparison, users: int, span: timedelta) -> str:
    """How many users, and days at the present rate, two equal versions would need to be called equivalent."""
    from flywheel.components.deployment.canary.plan import effective_needed

    needed = {rule.name: effective_needed(rule, 1.0, comparison.rules.alpha) for rule in comparison.rules.metrics}
    slowest = max(needed, key=lambda name: needed[name])
    total = needed[slowest] / (comparison.share_b * (1 - comparison.share_b))
    days = span / timedelta(days=1)
    rate = f", about {total / users * days:,.1f} days from the start at the present rate" if users and days else ""
    return f"outlook: two equal versions need about {total:,.0f} users in all (for {slowest}); {users:,} came{rate}"


def _judged(rule: MetricRule, shared: guardrails.Limits, own: guardrails.Limits, users: tuple[int, int]) -> AbMetric:
    neutral = 1.0 if rule.ratio else 0.0
    # A guardrail's tolerance is what may differ without making a winner; a goal's is nothing.
    slack = rule.tolerance if rule.role == "guardrail" else 0.0
    worse_b, margin_b = rule.limit(slack), rule.limit(rule.margin)  # B worse than A by so much
    worse_a, margin_a = (1 / value if rule.ratio else -value for value in (worse_b, margin_b))  # the mirror
    sign = 1.0 if rule.better == "lower" else -1.0

    def beyond(limit: float | None, edge: float, side: float) -> bool:
        """Whether a limit lies on that side of an edge."""
        return limit is not None and side * limit > side * edge

    low_bad, high_bad = (shared.lower, shared.upper) if sign > 0 else (shared.upper, shared.lower)
    own_low, own_high = (own.lower, own.upper) if sign > 0 else (own.upper, own.lower)
    b_no_worse, a_no_worse = beyond(own_high, margin_b, -sign), beyond(own_low, margin_a, sign)
    if shared.difference is None:
        outcome = "missing"
    elif beyond(low_bad, worse_b if slack else neutral, sign):
        outcome = "a_better"
    elif beyond(high_bad, worse_a if slack else neutral, -sign):
        outcome = "b_better"
    else:
        outcome = "equivalent" if a_no_worse and b_no_worse else "unclear"
    return AbMetric.model_validate(
        {
            "name": rule.name,
            "role": rule.role,
            "better": rule.better,
            "scale": "ratio" if rule.ratio else "difference",
            "users_a": users[0],
            "users_b": users[1],
            "a": shared.production,
            "b": shared.candidate,
            "difference": shared.difference,
            "lower": shared.lower,
            "upper": shared.upper,
            "own_lower": own.lower,
            "own_upper": own.upper,
            "margin": rule.margin,
            "outcome": outcome,
            "a_no_worse": a_no_worse,
            "b_no_worse": b_no_worse,
        }
    )


def _resolved(traffic: LiveTraffic, comparison: Comparison) -> tuple[str, str] | str:
    """The two versions by their full names, or why not."""
    there = traffic.versions()
    full = []
    for asked in (comparison.version_a, comparison.version_b):
        found = [asked] if asked in there else [name for name in there if len(asked) >= 6 and name.startswith(asked)]
        if len(found) != 1:
            names = ", ".join(f"{name[:16] or 'no name'} ({users} users)" for name, users in list(there.items())[:6])
            what = "several versions begin with" if found else "no turn of version"
            return f"version-missing: {what} {asked!r}; there are: {names or 'no turns at all'}"
        full.append(found[0])
    if full[0] == full[1]:
        return f"version-missing: {comparison.version_a!r} and {comparison.version_b!r} are the same version"
    return full[0], full[1]


def _first_arms(turns: list[LiveTurn], versions: tuple[str, str]) -> dict[str, Arm]:
    arms: dict[str, Arm] = {}
    for one in turns:
        arms.setdefault(one.subject, _ARMS[versions.index(one.version)])
    return arms


def _groups(
    turns: list[LiveTurn], versions: tuple[str, str], arms: dict[str, Arm], now: datetime, rules: AbRules
) -> Groups:
    """Cohorts of equal age; a signal counts when it came within the user's first `maturity_hours`."""
    limit = timedelta(hours=rules.maturity_hours)
    firsts: dict[str, datetime] = {}
    numbers: dict[str, int] = {}
    made = []
    in_tokens = all(any(signal.name in ("tokens", "error") for signal in one.signals) for one in turns)
    for one in turns:
        first = firsts.setdefault(one.subject, one.at)
        number = numbers[one.subject] = numbers.get(one.subject, -1) + 1
        made.append(_turn(one, number, _ARMS[versions.index(one.version)], first + limit, in_tokens))
    seconds = (now - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()
    return cohorts(made, FirstArm(arms), seconds, limit.total_seconds(), rules.return_gap_hours * 3600)


def _turn(one: LiveTurn, number: int, arm: Arm, latest: datetime, in_tokens: bool) -> Turn:
    said = {signal.name: signal.value for signal in one.signals if signal.at <= latest}
    tokens, rating = said.get("tokens") if in_tokens else one.length, said.get("rating")
    return Turn.model_construct(  # checked at its source; a million turns are not checked twice
        subject=one.subject,
        number=number,
        arm=arm,
        share=1.0,
        asked_at=int(one.at.timestamp()),
        status=500 if "error" in said else 200,
        latency_ms=float(said.get("latency_ms") or 0.0),
        digest=one.version,
        response="",
        rating=None if rating is None else int(rating),
        correction="" if "correction" in said else None,
        comment=None,
        implicit=tuple(name for name in _IMPLICIT if name in said),
        tokens=int(tokens or 0),
        safety=False,
        wrong=None,
        time=one.at.isoformat(),
    )


def _words(metric: AbMetric) -> str:
    limit = (metric.lower, metric.upper)
    unit = "x" if metric.scale == "ratio" else ""
    shown = " to ".join("?" if value is None else f"{value:.3g}{unit}" for value in limit)
    return f"{metric.name}: A {metric.a:.3g}, B {metric.b:.3g} (B against A {shown}, valid at every look)"


def _verdict(
    comparison: Comparison, versions: tuple[str, str], decision: AbDecision, reasons: tuple[str, ...], **seen: object
) -> AbVerdict:
    rules = comparison.rules
    return AbVerdict.model_validate(
        {
            "run_id": comparison.run_id,
            "version_a": versions[0],
            "version_b": versions[1],
            "share_b": comparison.share_b,
            "decision": decision,
            "reasons": reasons,
            "error_rate": (
                f"of comparisons of two equal versions at most {rules.alpha:.0%} ever name a winner, over all looks, "
                f"{len(rules.metrics)} metrics and both directions; of versions that differ by a margin at most "
                f"{rules.alpha:.0%} are ever called equivalent, or the worse one the winner"
            ),
            "rules_digest": rules.digest,
            **seen,
        }
    )
