"""What a run decided, in one word and one sentence, read from its step records."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from flywheel.components.contracts.lineage import StepRecord

_WORDS = {
    "bad_feedback": "bad feedback per user",
    "dissatisfaction": "silent dissatisfaction per user",
    "feedback_rate": "approving feedback per user",
    "engagement": "questions per user",
    "errors": "server errors per user",
    "latency": "latency",
    "latency_p95": "slow answers per user",
    "cost": "answer length",
}


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        decision: promoted, rolled back, held, or failed (the run did not come to a decision).
        reason: Why, in one sentence without a full stop.
        step: Step that settled it; for a failed run the last step that finished, "" when none did.
    """

    decision: Literal["promoted", "rolled back", "held", "failed"]
    reason: str
    step: str = ""


def decide(records: Sequence[StepRecord]) -> Outcome:
    """Say how a run ended.

    The step furthest in the loop settles it: a promotion, the canary, the verdict, a broken data contract, the trigger.

    Args:
        records: The run's step records in order of time.

    Returns:
        The outcome; `failed` when the run stopped where no decision is taken.
    """
    by_step = {record.step: record for record in records}
    for settle in (_promotion, _canary, _verdict, _contract, _trigger):
        outcome = settle(by_step)
        if outcome is not None:
            return outcome
    if not records:
        return Outcome("failed", "the run stopped before its first step finished; the step log says why")
    return Outcome("failed", f"the run stopped after {records[-1].step}; the step log says why", records[-1].step)


def _promotion(steps: Mapping[str, StepRecord]) -> Outcome | None:
    record = steps.get("promote_model")
    if record is None:
        return None
    verdict = _details(steps, "decide_verdict", "verdict")
    better = [metric for metric in verdict.get("metrics", []) if metric.get("outcome") == "superior"]
    guards = sum(metric.get("outcome") == "non_inferior" for metric in verdict.get("metrics", []))
    parts = [f"shown better at {_name(metric)} ({_change(metric)})" for metric in better[:1]]
    if guards:
        parts.append(f"shown no worse on all {guards} guardrails")
    looks = _details(steps, "run_canary", "rollout").get("looks", [])
    if looks:
        users = looks[-1].get("users", {}).get("candidate")
        parts.append(f"safe with {users:,} users on the canary" if users else "safe on the canary")
    return Outcome("promoted", ", ".join(parts) or str(record.details.get("reason") or "promoted"), "promote_model")


def _canary(steps: Mapping[str, StepRecord]) -> Outcome | None:
    record = steps.get("run_canary")
    if record is None or record.outcome not in ("rollback", "hold"):
        return None
    rollout = _details(steps, "run_canary", "rollout")
    looks = rollout.get("looks", [])
    reasons = rollout.get("reasons") or (looks[-1].get("reasons", []) if looks else [])
    if record.outcome == "hold":
        why = "; ".join(_without_code(reason) for reason in reasons) or "the canary did not settle"
        return Outcome("held", f"the canary did not show the candidate safe: {why}", "run_canary")
    harmed = [metric for metric in (looks[-1].get("metrics", []) if looks else []) if metric.get("outcome") == "harm"]
    why = "; ".join(_harm(metric) for metric in harmed)
    why = why or "; ".join(_without_code(reason) for reason in reasons) or "the canary rolled back"
    return Outcome("rolled back", why + _exposure(looks), "run_canary")


def _verdict(steps: Mapping[str, StepRecord]) -> Outcome | None:
    record = steps.get("decide_verdict")
    if record is None or record.outcome not in ("hold", "reject"):
        return None
    verdict = _details(steps, "decide_verdict", "verdict")
    metrics = verdict.get("metrics", [])
    if record.outcome == "reject":
        worse = [f"{_name(metric)} ({_change(metric)})" for metric in metrics if metric.get("outcome") == "inferior"]
        why = f"the candidate is shown worse at {', '.join(worse)}" if worse else "the gauntlet rejected the candidate"
        return Outcome("held", why, "decide_verdict")
    open_ones = [_name(metric) for metric in metrics if metric.get("outcome") in ("inconclusive", "missing")]
    if open_ones:
        more = f" and {len(open_ones) - 2} more" if len(open_ones) > 2 else ""
        why = f"the gauntlet could not settle {', '.join(open_ones[:2])}{more}"
    else:
        why = "; ".join(str(reason) for reason in verdict.get("reasons", [])[:2]) or "the gauntlet did not settle"
    needed = verdict.get("n_needed")
    return Outcome(
        "held", why + (f"; about {needed:,} further items would settle it" if needed else ""), "decide_verdict"
    )


def _contract(steps: Mapping[str, StepRecord]) -> Outcome | None:
    for step in ("validate_training_data", "validate_candidates"):
        record = steps.get(step)
        if record is None or record.outcome != "fail":
            continue
        failed = record.details.get("failed") or []
        named = ", ".join(_expectation(one) for one in failed[:2])
        return Outcome("held", f"the data contract is broken: {named or 'see the contract'}", step)
    return None


def _trigger(steps: Mapping[str, StepRecord]) -> Outcome | None:
    record = steps.get("check_trigger")
    if record is None or record.outcome == "train":
        return None
    have, need = record.details.get("have"), record.details.get("need")
    words = str(record.details.get("words") or record.outcome)
    if words in ("", "hold") and have is not None and need is not None:
        words = f"not enough data, have {have}, need {need} ({need - have} more)"
    return Outcome("held", words or "the trigger said hold", "check_trigger")


def _details(steps: Mapping[str, StepRecord], step: str, key: str) -> dict[str, Any]:
    """A document in a step's details; empty when the step or the document is missing."""
    found = steps[step].details.get(key) if step in steps else None
    return found if isinstance(found, dict) else {}


def _name(metric: Mapping[str, Any]) -> str:
    return str(metric.get("name", "a metric")).replace("_", " ")


def _change(metric: Mapping[str, Any]) -> str:
    before, after = metric.get("production"), metric.get("candidate")
    if before is None or after is None:
        return "not measured"
    if metric.get("scale") == "ratio":
        return f"{before:.1f} to {after:.1f}"
    return f"{100 * before:.1f} % to {100 * after:.1f} %"


def _harm(metric: Mapping[str, Any]) -> str:
    name = _WORDS.get(str(metric.get("name")), _name(metric))
    moved = "fell" if metric.get("better") == "higher" else "rose"
    return f"{name} {moved} from {_value(metric, 'production')} to {_value(metric, 'candidate')}"


def _value(metric: Mapping[str, Any], arm: str) -> str:
    value = metric.get(arm)
    if value is None:
        return "unknown"
    if metric.get("scale") == "ratio":
        return f"{value:.0f} ms" if metric.get("name") == "latency" else f"{value:.1f}"
    return f"{100 * value:.1f} %"


def _exposure(looks: Sequence[Mapping[str, Any]]) -> str:
    if not looks:
        return ""
    last = looks[-1]
    answers = last.get("requests", {}).get("candidate")
    users = last.get("users", {}).get("candidate")
    seen = f", after {answers:,} answers of the candidate" if answers is not None else ""
    judged = f" ({users:,} users judged)" if users is not None else ""
    return f"; found at {100 * last.get('share', 0):g} % of the users{seen}{judged}"


def _expectation(one: Any) -> str:
    if not isinstance(one, dict):
        return str(one)
    what = str(one.get("says") or one.get("check") or one.get("expectation") or "an expectation")
    rows = one.get("unexpected")
    return f"{what} ({rows:,} rows break it)" if isinstance(rows, int) and rows else what


def _without_code(reason: Any) -> str:
    text = str(reason)
    code, separator, words = text.partition(": ")
    return words if separator and " " not in code else text
