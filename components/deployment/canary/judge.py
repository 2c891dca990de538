"""The judge of a canary: at each look ADVANCE, HOLD or ROLLBACK, with an error rate that holds however often it looks.

- ROLLBACK when any guardrail is shown worse than its tolerance (alpha is spread over the guardrails by weight), or a
  kill switch fires: P(rollback of an equal candidate) <= alpha over all looks and metrics together, kill switches
  aside.
- ADVANCE when every guardrail is shown to be inside the step's margin, with the step's minimum of matured users, no
  sample-ratio mismatch, users who stay in their arm and, before everybody, the goals that are needed: P(promotion of a
  candidate at or beyond a margin) <= alpha over all looks. No correction for the number of guardrails is needed here,
  because all of them must pass (intersection-union).
- HOLD otherwise; more traffic decides. A time-out is a HOLD.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from flywheel.components.contracts.rollout import Action, CanaryMetric, Look
from flywheel.components.deployment.canary import guardrails
from flywheel.components.deployment.canary.cohort import Groups, cohorts
from flywheel.components.deployment.canary.policy import CanaryPolicy, Step
from flywheel.components.deployment.canary.turn import Turn
from flywheel.components.deployment.canary.waves import Waves

MISMATCH = "sample-ratio-mismatch"
STRAYED = "not-sticky"
TIME_OUT = "time-out"
FINAL_HOLDS = (MISMATCH, STRAYED, TIME_OUT)  # reasons of a HOLD that more traffic cannot mend
_LEAST_STRAYED = 20


def first_seen(turns: Sequence[Turn]) -> list[tuple[list[int], list[float]]]:
    """Count the users first seen at each share by the arm that served them: what the sample-ratio test looks at.

    Users who were there before a share was set are not counted for it: whether they come back may depend on their arm.

    Args:
        turns: All turns so far.

    Returns:
        For each share: users on (production, candidate), and the promised shares.
    """
    first: dict[str, Turn] = {}
    for turn in turns:
        known = first.get(turn.subject)
        if known is None or turn.number < known.number:
            first[turn.subject] = turn
    counts: dict[float, list[int]] = {}
    for turn in first.values():
        if 0 < turn.share < 1:
            counts.setdefault(turn.share, [0, 0])[turn.arm == "candidate"] += 1
    return [(counts[share], [1 - share, share]) for share in sorted(counts)]


class Judge:
    """Judges one rollout.

    Args:
        policy: The rules.
        salt: Rollout id: with it the judge computes the fixed control group by itself, as the splitter does.
        candidate_digest: Digest that the candidate's answers must carry; "" when servers do not tell.
        production_digest: Digest that production's answers must carry; "" when servers do not tell.
    """

    def __init__(
        self, policy: CanaryPolicy, salt: str, candidate_digest: str = "", production_digest: str = ""
    ) -> None:
        from flywheel.components.statistics.multiplicity import split_alpha

        self._policy = policy
        self._digests = {"candidate": candidate_digest, "production": production_digest}
        self.waves = Waves(tuple(step.share for step in policy.steps), salt)
        self._alpha = split_alpha(policy.alpha, {rule.name: rule.alpha_weight for rule in policy.guardrails})
        if policy.goals:
            self._alpha |= split_alpha(policy.alpha, {rule.name: rule.alpha_weight for rule in policy.goals})

    @property
    def error_rate(self) -> str:
        """What the decision promises, in words and numbers."""
        margins = ", ".join(
            f"{rule.name} {'x' if rule.ratio else ''}{rule.margin_at(1.0):{'.2f' if rule.ratio else '+.3g'}}"
            for rule in self._policy.guardrails
        )
        return (
            f"rolled back although equal: at most {self._policy.alpha:.0%} of such rollouts (all looks and the "
            f"{len(self._policy.guardrails)} guardrails together, absolute kill switches aside); promoted although "
            f"worse by a margin ({margins}): at most {self._policy.alpha:.0%}"
        )

    def alpha_of(self, name: str) -> float:
        """Error rate of a guardrail's rollback, or of calling a goal better, over all looks together."""
        return self._alpha[name]

    def assess(self, groups: Groups, step: Step) -> tuple[CanaryMetric, ...]:
        """Compute every metric from the matured users of both arms.

        Args:
            groups: Production's and candidate's matured users.
            step: The ramp's present step.

        Returns:
            The metrics with limits and outcomes.
        """
        policy, found = self._policy, []
        for rule in policy.metrics:
            strata = [
                (groups.production.of(rule.measure, wave), groups.candidate.of(rule.measure, wave))
                for wave in range(len(policy.steps))
            ]
            own = self._alpha[rule.name]
            harm, safe = (own, policy.alpha) if rule.role == "guardrail" else (own, own)
            known = guardrails.limits(rule, strata, self.waves.planned, harm, safe, policy.asymptotic_minimum_users)
            found.append(guardrails.judged(rule, known, step.following))
        return tuple(found)

    def decide(
        self,
        metrics: Sequence[CanaryMetric],
        users: Mapping[str, int],
        step: Step,
        requests_in_step: int,
        killed: tuple[str, ...] = (),
        mistrust: tuple[str, ...] = (),
    ) -> tuple[Action, tuple[str, ...]]:
        """Turn metrics and alarms into an action.

        Args:
            metrics: The metrics at this look.
            users: Matured users by arm.
            step: The ramp's present step.
            requests_in_step: Requests since this share was set.
            killed: Kill switches that fired.
            mistrust: Reasons not to trust the split.

        Returns:
            The action and its reasons (`code: words`).
        """
        if killed:
            return Action.ROLLBACK, killed
        harm = tuple(_harm(metric) for metric in metrics if metric.outcome == "harm")
        if harm:
            return Action.ROLLBACK, harm
        if mistrust:
            return Action.HOLD, mistrust
        short = [f"{arm} {count} of {step.minimum_users}" for arm, count in users.items() if count < step.minimum_users]
        guards = [metric for metric in metrics if metric.role == "guardrail"]
        unsettled = [f"{metric.name} {metric.outcome}" for metric in guards if metric.outcome != "safe"]
        better = sum(metric.outcome == "better" for metric in metrics)
        needed = self._policy.goals_needed if step.following == 1.0 else 0
        if not short and not unsettled and better >= needed:
            return Action.ADVANCE, (f"safe: every guardrail is inside the margin of the {step.share:.0%} step",)
        reasons = []
        if requests_in_step >= self._policy.most_requests_per_step:
            reasons.append(f"{TIME_OUT}: no verdict at {step.share:.0%} after {requests_in_step} requests")
        if short:
            reasons.append(f"too-few-users: {', '.join(short)} matured users")
        if unsettled:
            reasons.append(f"unclear: {', '.join(unsettled)}")
        if better < needed:
            reasons.append(f"no-goal: {better} of {needed} goals shown better")
        return Action.HOLD, tuple(reasons)

    def look(self, turns: Sequence[Turn], step: Step, now: float, at: datetime) -> Look:
        """Look at the traffic so far and say what to do.

        Args:
            turns: All turns so far.
            step: The ramp's present step.
            now: The traffic's clock; infinite when no more traffic will come.
            at: Wall-clock time, for the record.

        Returns:
            The look with its action and reasons.
        """
        groups = cohorts(turns, self.waves, now, self._policy.maturity, self._policy.return_gap)
        metrics = self.assess(groups, step)
        users = {"production": groups.production.users, "candidate": groups.candidate.users}
        action, reasons = self.decide(
            metrics,
            users,
            step,
            sum(turn.share == step.share for turn in turns),
            self.kill_switches(turns),
            self._mistrust(turns, groups.strayed),
        )
        candidate = sum(turn.arm == "candidate" for turn in turns)
        return Look(
            at=at,
            share=step.share,
            users=users,
            requests={"production": len(turns) - candidate, "candidate": candidate},
            metrics=metrics,
            action=action,
            reasons=reasons,
        )

    def kill_switches(self, turns: Sequence[Turn]) -> tuple[str, ...]:
        """Check the absolute limits over all of the candidate's turns, matured or not."""
        kill, own = self._policy.kill, [turn for turn in turns if turn.arm == "candidate"]
        reasons = []
        for code, count, least, rate in (
            ("errors", sum(turn.error for turn in own), kill.minimum_errors, kill.error_rate),
            ("empty-answers", sum(turn.empty for turn in own), kill.minimum_empty, kill.empty_rate),
            ("personal-data", sum(turn.safety for turn in own), kill.minimum_safety, kill.safety_rate),
        ):
            if count >= least and count >= rate * len(own):
                reasons.append(f"kill-{code}: {count} of {len(own)} answers of the candidate")
        expected = self._digests["candidate"]
        wrong = sum(1 for turn in own if expected and turn.status < 400 and turn.digest != expected)
        if wrong >= kill.wrong_model:
            reasons.append(f"wrong-model: {wrong} answers of the candidate's server came from other weights")
        return tuple(reasons)

    def _mistrust(self, turns: Sequence[Turn], strayed: int) -> tuple[str, ...]:
        from flywheel.components.statistics.sample_ratio import srm_steps_detected

        if strayed >= _LEAST_STRAYED and strayed > self._policy.most_strayed * len(turns):
            return (
                f"{STRAYED}: {strayed} of {len(turns)} turns were served by the arm that the user does not belong to; "
                "split users, not requests",
            )
        steps = first_seen(turns)
        if not steps or not srm_steps_detected(steps, self._policy.sample_ratio_alpha):
            return ()
        seen = ", ".join(f"{counts[1]} of {sum(counts)} at {shares[1]:.0%}" for counts, shares in steps)
        return (f"{MISMATCH}: new users on the candidate {seen}; the split cannot be trusted, find out why",)


def _harm(metric: CanaryMetric) -> str:
    bound = metric.lower if metric.better == "lower" else metric.upper
    worse = "unknown" if bound is None else f"{bound:.3g}x" if metric.scale == "ratio" else f"{abs(bound):.3g}"
    return (
        f"harm: {metric.name} {_number(metric.production)} -> {_number(metric.candidate)}, "
        f"{'at best' if metric.scale == 'ratio' else 'worse by at least'} {worse} (limit valid at every look)"
    )


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3g}"
