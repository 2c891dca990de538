"""Predict a canary from the log before it starts: both models answer logged prompts again, and every metric is judged.

The prediction is kept in the store before the first user meets the candidate, and a repeated step finds it there and
hands out the same bytes: it cannot be bettered by what the canary shows. The canary's judge does not read it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from flywheel.components.contracts.lineage import StepRecord
from flywheel.components.contracts.prediction import CanaryPrediction, PredictedMetric
from flywheel.components.deployment.canary.measures import Measure
from flywheel.components.deployment.canary.metric_rule import MetricRule
from flywheel.components.deployment.replay import prediction_check, replay_answers, replay_metrics
from flywheel.components.deployment.replay.replay_answers import Answers, Replayed
from flywheel.components.deployment.replay.replay_sample import ReplayLog, read_log

if TYPE_CHECKING:
    from flywheel.components.deployment.replay.replay_feedback import FeedbackReplay

STEP = "predict_canary"

# Measure -> sign of a logged turn whose share it is.
REACTIONS: dict[Measure, str] = {
    "bad_feedback": "complained",
    "dissatisfaction": "dissatisfied",
    "bad_turns": "bad",
    "feedback_rate": "approved",
    "copies": "copied",
}
UNSEEN: dict[Measure, str] = {
    "engagement": "unseen: replay asks every question once; whether users then ask on, it cannot see",
    "returns": "unseen: replay asks every question once; whether users come back, it cannot see",
    "latency_p95": "unseen: replay measures without load; the slowest answers under load, it cannot see",
}


@dataclass(frozen=True)
class Plan:
    """What to replay.

    Attributes:
        size: Most prompts that each model answers.
        latency_prompts: Most prompts that are timed.
        recent_days: Days of the log that count.
        seed: Seed of sample and bootstrap.
        shares: The canary's shares, as text.
        harm_budget: The canary's harm budget; 0: its policy's.
        policy: The canary's policy file; "": the packaged one. Its metrics are predicted, its margins warn.
    """

    size: int = 240
    latency_prompts: int = 30
    recent_days: float = 7.0
    seed: int = 7
    shares: str = ""
    harm_budget: float = 0.0
    policy: str = ""

    def settings(self) -> dict[str, float | int | str]:
        """Return the settings as a prediction records them."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def predict(
    production: str | Path,
    candidate: str | Path,
    store: str,
    run_id: str,
    plan: Plan,
    rules: Sequence[MetricRule],
    load: Callable[[str | Path], Answers] = replay_answers.load,
) -> CanaryPrediction:
    """Replay the log on both models and predict every metric of the canary.

    Args:
        production: Production's model folder.
        candidate: Candidate's model folder.
        store: Feedback store.
        run_id: Run.
        plan: What to replay.
        rules: The canary's metrics with their margins.
        load: Loads a model.

    Returns:
        The prediction; a metric that nothing supports is missing, with the reason.

    Raises:
        FileNotFoundError: A model folder is missing.
        ValueError: Production cannot be loaded, or a setting is out of range.
        StoreError: The store cannot be read.
    """
    from flywheel.components.training.weights import model_digest

    digests = model_digest(production), model_digest(candidate)
    log = read_log(store, plan.size, plan.seed, plan.recent_days)
    trust = _trust(store, run_id)
    base = {
        "run_id": run_id,
        "production_digest": digests[0],
        "candidate_digest": digests[1],
        "interactions": log.interactions,
        "feedback": log.feedback,
        "settings": plan.settings(),
        "trust": trust,
    }
    if not log.sample:
        why = "no-log: the store holds no consented interaction to replay"
        return CanaryPrediction(**base, metrics=_all_missing(rules, why), notes=log.notes)
    if plan.latency_prompts < 0:
        raise ValueError(f"latency_prompts must not be negative, got {plan.latency_prompts}")
    before = load(production)
    try:
        after = load(candidate)
    except (ValueError, FileNotFoundError) as error:
        why = f"candidate-not-loaded: {error}"
        return CanaryPrediction(**base, metrics=_all_missing(rules, why), warnings=(why,), notes=log.notes)
    chats = [turn.messages for turn in log.sample]
    replayed = replay_answers.replay(before, chats), replay_answers.replay(after, chats)
    replay_answers.measure_latency(before, after, chats, replayed, plan.latency_prompts)
    return CanaryPrediction(**base, **judged(log, replayed, rules, plan.seed))


def judged(
    log: ReplayLog, replayed: tuple[Replayed, Replayed], rules: Sequence[MetricRule], seed: int
) -> dict[str, object]:
    """Turn the answers into the fields of a prediction.

    Args:
        log: The log and its sample.
        replayed: Production's and candidate's answers to the sample.
        rules: The canary's metrics.
        seed: Seed of the bootstrap.

    Returns:
        The fields of `CanaryPrediction` that follow from answers.
    """
    from flywheel.components.deployment.replay.replay_feedback import FeedbackReplay

    before, after = replayed
    feedback = FeedbackReplay(log, before.texts, after.texts, seed)
    metrics = [_metric(rule, feedback, log, replayed) for rule in rules]
    failures = {"production": before.failures, "candidate": after.failures}
    notes = list(log.notes)
    for arm, found in failures.items():
        for error, count in found.most_common(3):
            notes.append(f"{arm} failed on {count} of {len(log.sample)} prompts: {error}")
    days = sorted(turn.at.date().isoformat() for turn in log.sample)
    return {
        "since": days[0],
        "until": days[-1],
        "prompts": len(log.sample),
        "users": log.users,
        "same_answers": feedback.same_answers,
        "failures": {arm: sum(found.values()) for arm, found in failures.items()},
        "metrics": tuple(metrics),
        "warnings": warnings(metrics, rules),
        "notes": tuple(notes),
    }


def warnings(metrics: Sequence[PredictedMetric], rules: Sequence[MetricRule]) -> tuple[str, ...]:
    """Say which guardrails are predicted to be clearly worse than the canary tolerates: the whole interval beyond it.

    Args:
        metrics: Predictions.
        rules: The canary's metrics.

    Returns:
        A warning a metric, `harm-predicted: words`.
    """
    guards = {rule.name: rule for rule in rules if rule.role == "guardrail"}
    said = []
    for one in metrics:
        if one.name not in guards or one.lower is None or one.upper is None or one.margin is None:
            continue
        lower_is_better = guards[one.name].better == "lower"
        if one.lower > one.margin if lower_is_better else one.upper < one.margin:
            said.append(
                f"harm-predicted: {one.name} {_signed(one, one.difference)} [{_signed(one, one.lower)}, "
                f"{_signed(one, one.upper)}], beyond the canary's margin {_signed(one, one.margin)}"
            )
    return tuple(said)


def lines(prediction: CanaryPrediction) -> list[str]:
    """Say a prediction to a person, one line a metric."""
    said = [f"replayed {prediction.prompts} logged prompts of {prediction.users} users on both models"]
    for one in prediction.metrics:
        if one.status == "missing":
            said.append(f"{one.name}: no prediction ({one.reason})")
        else:
            said.append(
                f"{one.name}: {_signed(one, one.difference)} [{_signed(one, one.lower)}, {_signed(one, one.upper)}]"
            )
    said += [f"WARNING {warning}" for warning in prediction.warnings]
    return said + [prediction_check.words(line) for line in prediction.trust if line.name == prediction_check.ALL]


def _metric(
    rule: MetricRule, feedback: "FeedbackReplay", log: ReplayLog, replayed: tuple[Replayed, Replayed]
) -> PredictedMetric:
    users, margin = [turn.subject for turn in log.sample], rule.margin_at(1.0)
    before, after = replayed
    if rule.measure in REACTIONS:
        return feedback.predict(rule.name, REACTIONS[rule.measure], margin)
    if rule.measure == "errors":
        failed = [[text is None for text in side.texts] for side in replayed]
        return replay_metrics.error_difference(rule.name, users, failed[0], failed[1], margin)
    if rule.measure == "latency":
        how = "one answer at a time, without load, both models in turns"
        values = before.latency_ms, after.latency_ms
        return replay_metrics.ratio_of_geometric_means(rule.name, users, *values, how, margin)
    if rule.measure == "cost":
        counts = [[None if one is None else float(max(one, 1)) for one in side.tokens] for side in replayed]
        return replay_metrics.ratio_of_geometric_means(rule.name, users, *counts, "tokens of the answers", margin)
    return _missing(rule, UNSEEN.get(rule.measure, "unseen: replay has no rule for this measure"))


def _missing(rule: MetricRule, why: str) -> PredictedMetric:
    scale: Literal["difference", "ratio"] = "ratio" if rule.ratio else "difference"
    return PredictedMetric(name=rule.name, scale=scale, status="missing", reason=why, margin=rule.margin_at(1.0))


def _all_missing(rules: Sequence[MetricRule], why: str) -> tuple[PredictedMetric, ...]:
    return tuple(_missing(rule, why) for rule in rules)


def nothing(
    run_id: str, digests: tuple[str, str], plan: Plan, rules: Sequence[MetricRule], why: str
) -> CanaryPrediction:
    """Return a prediction without numbers.

    Args:
        run_id: Run.
        digests: Production's and candidate's model.
        plan: What was to be replayed.
        rules: The canary's metrics.
        why: Reason, `code: words`.

    Returns:
        Every metric missing.
    """
    return CanaryPrediction(
        run_id=run_id,
        production_digest=digests[0],
        candidate_digest=digests[1],
        interactions=None,
        feedback=None,
        settings=plan.settings(),
        metrics=_all_missing(rules, why),
    )


def _trust(store: str, run_id: str) -> tuple[prediction_check.CalibrationLine, ...]:
    from flywheel.components.store import lineage

    earlier = prediction_check.earlier_checks(lineage.of_step(store, prediction_check.STEP))
    return prediction_check.calibration([one for one in earlier if one.run_id != run_id][-prediction_check.MOST_RUNS :])


def recorded_in(records: Sequence[StepRecord]) -> CanaryPrediction | None:
    """Return the prediction among a run's step records; None when there is none."""
    for record in records:
        if record.step == STEP and isinstance(record.details.get("prediction"), dict):
            return CanaryPrediction.model_validate(record.details["prediction"])
    return None


def _signed(metric: PredictedMetric, value: float | None) -> str:
    if value is None:
        return "unknown"
    return f"x{value:.3g}" if metric.scale == "ratio" else f"{value:+.3f}"
