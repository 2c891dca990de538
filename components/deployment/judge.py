"""The judge of a canary: at each look ADVANCE, HOLD or ROLLBACK, with an error rate that holds however often it looks.

- ROLLBACK when any guardrail is shown worse than production (its lower limit at alpha / number of metrics is above the
  tolerance), or a kill switch fires: P(rollback of an equal candidate) <= alpha over all looks and metrics together,
  kill switches aside.
- ADVANCE when every guardrail is shown to be inside the step's margin, with the step's minimum of matured users and no
  sample-ratio mismatch: P(promotion of a candidate at or beyond the last step's margin) <= alpha over all looks. No
  correction for the number of metrics is needed here, because all of them must pass (intersection-union).
- HOLD otherwise; more traffic decides. A time-out is a HOLD.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from flywheel.components.contracts.rollout import Action, CanaryMetric, Look
from flywheel.components.deployment import guardrails
from flywheel.components.deployment.guardrails import Cohort
from flywheel.components.deployment.policy import CanaryPolicy, Step
from flywheel.components.deployment.turn import Arm, Turn, bucket

MISMATCH = "sample-ratio-mismatch"
TIME_OUT = "time-out"
FINAL_HOLDS = (MISMATCH, TIME_OUT)  # reasons of a HOLD that more traffic cannot mend


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
        self._policy = policy
        self._salt = salt
        self._digests = {"candidate": candidate_digest, "production": production_digest}
        self._controls: dict[str, bool] = {}

    @property
    def error_rate(self) -> str:
        """What the decision promises, in words and numbers."""
        last = self._policy.steps[-1]
        return (
            f"rolled back although equal: at most {self._policy.alpha:.0%} of such rollouts (all looks and the "
            f"{len(guardrails.METRICS)} guardrails together, absolute kill switches aside); promoted although the "
            f"bad-feedback rate per user rises by {last.bad_feedback_margin:.2f}, the error rate by "
            f"{last.error_margin:.2f} or the latency {last.latency_margin:.2f} times: at most {self._policy.alpha:.0%}"
        )

    def assess(self, groups: Mapping[Arm, Cohort], step: Step) -> tuple[CanaryMetric, ...]:
        """Compute every guardrail from the matured users of both arms.

        Args:
            groups: Production's and candidate's matured users.
            step: The ramp's present step.

        Returns:
            The metrics with limits and outcomes.
        """
        policy = self._policy
        before, after = groups["production"], groups["candidate"]
        harm = policy.alpha / len(guardrails.METRICS)
        bad = guardrails.bounded_limits(before.bad_feedback, after.bad_feedback, policy.alpha, harm)
        errors = guardrails.bounded_limits(before.errors, after.errors, policy.alpha, harm)
        expected = policy.steps[-1].minimum_users / 2
        latency = guardrails.latency_limits(
            before.log_latency, after.log_latency, policy.alpha, harm, policy.latency_minimum_users, expected
        )
        margins = step.bad_feedback_margin, step.error_margin, step.latency_margin
        return (
            guardrails.judged("bad_feedback", bad, margins[0], 0.0, excluded_by_share=margins[0] >= 1),
            guardrails.judged("errors", errors, margins[1], 0.0, excluded_by_share=margins[1] >= 1),
            guardrails.judged("latency", latency, margins[2], policy.latency_tolerance, margins[2] >= 5),
        )

    def decide(
        self,
        metrics: Sequence[CanaryMetric],
        users: Mapping[str, int],
        step: Step,
        requests_in_step: int,
        killed: tuple[str, ...] = (),
        mismatch: tuple[str, ...] = (),
    ) -> tuple[Action, tuple[str, ...]]:
        """Turn guardrails and alarms into an action.

        Args:
            metrics: The guardrails at this look.
            users: Matured users by arm.
            step: The ramp's present step.
            requests_in_step: Requests since this share was set.
            killed: Kill switches that fired.
            mismatch: Reasons not to trust the split.

        Returns:
            The action and its reasons (`code: words`).
        """
        if killed:
            return Action.ROLLBACK, killed
        harm = tuple(
            f"harm: {metric.name} {_number(metric.production)} -> {_number(metric.candidate)}, worse by at least "
            f"{_number(metric.lower)} (limit valid at every look)"
            for metric in metrics
            if metric.outcome == "harm"
        )
        if harm:
            return Action.ROLLBACK, harm
        if mismatch:
            return Action.HOLD, mismatch
        short = [f"{arm} {count} of {step.minimum_users}" for arm, count in users.items() if count < step.minimum_users]
        unsettled = [f"{metric.name} {metric.outcome}" for metric in metrics if metric.outcome != "safe"]
        if not short and not unsettled:
            return Action.ADVANCE, (f"safe: every guardrail is inside the margin of the {step.share:.0%} step",)
        reasons = []
        if requests_in_step >= self._policy.most_requests_per_step:
            reasons.append(f"{TIME_OUT}: no verdict at {step.share:.0%} after {requests_in_step} requests")
        if short:
            reasons.append(f"too-few-users: {', '.join(short)} matured users")
        if unsettled:
            reasons.append(f"unclear: {', '.join(unsettled)}")
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
        controls = frozenset(turn.subject for turn in turns if self._control(turn.subject))
        groups = guardrails.cohorts(turns, controls, now, self._policy.maturity)
        metrics = self.assess(groups, step)
        users = {arm: cohort.users for arm, cohort in groups.items()}
        action, reasons = self.decide(
            metrics,
            users,
            step,
            sum(turn.share == step.share for turn in turns),
            self.kill_switches(turns),
            self._mismatch(turns),
        )
        candidate = sum(turn.arm == "candidate" for turn in turns)
        return Look(
            at=at,
            share=step.share,
            users={str(arm): count for arm, count in users.items()},
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

    def _mismatch(self, turns: Sequence[Turn]) -> tuple[str, ...]:
        from flywheel.components.statistics.sample_ratio import srm_steps_detected

        steps = first_seen(turns)
        if not steps or not srm_steps_detected(steps, self._policy.sample_ratio_alpha):
            return ()
        seen = ", ".join(f"{counts[1]} of {sum(counts)} at {shares[1]:.0%}" for counts, shares in steps)
        return (f"{MISMATCH}: new users on the candidate {seen}; the split cannot be trusted, find out why",)

    def _control(self, subject: str) -> bool:
        known = self._controls.get(subject)
        if known is None:
            known = self._controls[subject] = bucket(subject, self._salt) >= self._policy.control_floor
        return known


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3g}"
