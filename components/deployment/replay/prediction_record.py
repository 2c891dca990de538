"""What predicting and checking leave behind: documents, step records, and the same bytes again for a repeated step."""

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime

from flywheel.components.contracts.lineage import StepRecord
from flywheel.components.contracts.prediction import CanaryPrediction, PredictionCheck
from flywheel.components.contracts.rollout import RolloutState
from flywheel.components.deployment.canary.policy import CanaryPolicy, parse_shares
from flywheel.components.deployment.replay import prediction_check, replay_prediction
from flywheel.components.deployment.replay.replay_prediction import Plan
from flywheel.components.store import lineage


def predict(
    candidate: str,
    production: str,
    store: str,
    run_id: str,
    target: str,
    plan: Plan,
    tell: Callable[[str], None] = print,
) -> CanaryPrediction:
    """Predict a run's canary, keep the prediction in the store, and write it.

    Args:
        candidate: Candidate's model folder.
        production: Production's model folder.
        store: Feedback store.
        run_id: Run; a prediction of it for the same models and settings is handed out again.
        target: File to write.
        plan: What to replay.
        tell: Receives the prediction in words.

    Returns:
        The prediction. After the run's canary it is the one made before, or one without numbers: nothing is predicted
        in hindsight.

    Raises:
        ValueError: As `replay_prediction.predict`.
        FileNotFoundError: A model folder is missing.
        StoreError: The store cannot be read or written.
    """
    from flywheel.components.training.weights import model_digest

    started = datetime.now(UTC)
    policy = CanaryPolicy.for_shares(parse_shares(plan.shares), plan.harm_budget, plan.policy)
    records = lineage.steps(store, run_id)
    digests = model_digest(production), model_digest(candidate)
    left = replay_prediction.recorded_in(records)
    if left is not None and (left.production_digest, left.candidate_digest) != digests:
        left = None
    over = any(_canary_of(record, digests) for record in records)
    if left is not None and (over or left.settings == plan.settings()):
        made = left  # after the canary the first word stays, whatever the settings are now
    else:
        if over:
            why = "canary-over: a prediction made now would know how the canary ended; use a new run_id"
            made = replay_prediction.nothing(run_id, digests, plan, policy.metrics, why)
        else:
            made = replay_prediction.predict(production, candidate, store, run_id, plan, policy.metrics)
        details = {"prediction": made.model_dump(mode="json", by_alias=True)}
        harm = "; ".join(made.warnings)
        _record(store, run_id, replay_prediction.STEP, started, harm or "no harm predicted", figures(made), details)
    made.write(target)
    for line in replay_prediction.lines(made):
        tell(line)
    return made


def check(store: str, run_id: str, target: str, tell: Callable[[str], None] = print) -> PredictionCheck:
    """Compare a run's prediction with its canary, keep the comparison in the store, and write it.

    Args:
        store: Feedback store with the run's step records.
        run_id: Run.
        target: File to write.
        tell: Receives the calibration in words.

    Returns:
        The comparison; metrics of a run without prediction or canary are unknown, with the reason.

    Raises:
        StoreError: The store cannot be read or written.
        ValueError: A record of the run is not of a known shape.
    """
    started = datetime.now(UTC)
    records = lineage.steps(store, run_id)
    prediction = replay_prediction.recorded_in(records)
    state = next((_rollout(record) for record in records if record.step == "run_canary"), None)
    inputs = _digest(prediction, state)
    left = next((record for record in records if record.step == prediction_check.STEP), None)
    if left is not None and left.details.get("inputs") == inputs:
        made = PredictionCheck.model_validate(left.details["check"])
    else:
        earlier = prediction_check.earlier_checks(lineage.of_step(store, prediction_check.STEP))
        made = prediction_check.check(run_id, prediction, state, earlier)
        outcome = f"{sum(one.outcome == 'held' for one in made.metrics)} of {len(made.metrics)} predictions held"
        details = {"check": made.model_dump(mode="json", by_alias=True), "inputs": inputs}
        _record(store, run_id, prediction_check.STEP, started, outcome, check_figures(made), details)
    made.write(target)
    for line in made.history:
        tell(prediction_check.words(line))
    return made


def _canary_of(record: StepRecord, digests: tuple[str, str]) -> bool:
    if record.step != "run_canary":
        return False
    state = _rollout(record)
    return state is not None and (state.production_digest, state.candidate_digest) == digests


def _rollout(record: StepRecord) -> RolloutState | None:
    found = record.details.get("rollout")
    return RolloutState.model_validate(found) if isinstance(found, dict) else None


def _digest(*documents: CanaryPrediction | RolloutState | None) -> str:
    parts = [document.to_json() if document is not None else "" for document in documents]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def figures(prediction: CanaryPrediction) -> dict[str, float]:
    """Return the numbers of a prediction by name."""
    found = {"prompts": float(prediction.prompts), "users": float(prediction.users)}
    for metric in prediction.metrics:
        for part in ("difference", "lower", "upper"):
            value = getattr(metric, part)
            if value is not None:
                found[f"{metric.name}_{part}"] = round(float(value), 5)
    return found


def check_figures(check: PredictionCheck) -> dict[str, float]:
    """Return the numbers of a check by name: outcomes of this run, and the share that held over all runs."""
    found = {name: float(sum(one.outcome == name for one in check.metrics)) for name in ("held", "missed", "unknown")}
    for line in check.history:
        if line.name == prediction_check.ALL and line.share is not None:
            found |= {"checked_in_all": float(line.checked), "held_in_all": line.share}
    return found


def _record(
    store: str,
    run_id: str,
    step: str,
    started: datetime,
    outcome: str,
    metrics: dict[str, float],
    details: dict[str, object],
) -> None:
    lineage.record_step(
        store,
        StepRecord(
            run_id=run_id,
            step=step,
            started_at=started,
            finished_at=datetime.now(UTC),
            outcome=outcome,
            metrics=metrics,
            details=details,
        ),
    )
