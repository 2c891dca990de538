"""Route candidates: accept, review or discard, each with a reason, under a stated error rate.

A candidate is accepted when nothing speaks against it and its confidence reaches the threshold of its category. The
threshold is chosen so that the accepted ones are in the right category with the target precision at the stated
confidence (`precision_threshold`); where the labels cannot guarantee that, the category abstains and goes to review.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flywheel.components.curation.categories.category import CATEGORIES
from flywheel.components.curation.guards import language, poison_guard, spam_filter
from flywheel.components.curation.guards.trusted_items import Trusted
from flywheel.components.statistics.binomial_bounds import upper_bound
from flywheel.components.statistics.precision_threshold import ThresholdChoice, choose_threshold
from flywheel.components.store.tables import row_id

AUDIT_SHARE = 0.02
LEAST_LABELS = 20  # below, no threshold is even tried

Calibration = Mapping[str, Sequence[Any]]  # predicted, scores, correct: out-of-fold, one entry per labelled row


@dataclass(frozen=True)
class Routed:
    """What routing decided.

    Attributes:
        rows: The rows with candidate_id, route and reason, in the order given.
        thresholds: Choice per category.
        audit: Ids of accepted candidates that people should look at all the same.
        error_rate: What the routing promises, in words and numbers.
        inspection: What the poison guard saw, conflicts with both sides among it.
    """

    rows: list[dict[str, Any]]
    thresholds: dict[str, ThresholdChoice]
    audit: list[str]
    error_rate: str
    inspection: poison_guard.Inspection

    def routes(self) -> dict[str, int]:
        """Rows by route."""
        counts = Counter(row["route"] for row in self.rows)
        return {route: counts[route] for route in ("accept", "review", "discard")}

    def reasons(self, route: str | None = None) -> dict[str, int]:
        """Rows by reason, the most frequent first."""
        counts = Counter(row["reason"] for row in self.rows if row["reason"] and route in (None, row["route"]))
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def thresholds(calibration: Calibration, target: float, confidence: float) -> dict[str, ThresholdChoice]:
    """Choose the acceptance threshold of each category.

    The allowed error 1 - confidence is divided by the number of categories, so that the promise holds for all of them
    together.

    Raises:
        ValueError: `target` or `confidence` is not inside (0, 1).
    """
    for name, value in (("target_precision", target), ("confidence", confidence)):
        if not 0 < value < 1:
            raise ValueError(f"{name} must lie in (0, 1), got {value}")
    delta = (1 - confidence) / len(CATEGORIES)
    chosen = {}
    columns = (calibration["predicted"], calibration["scores"], calibration["correct"])
    for category in CATEGORIES:
        seen = [
            (score, float(right)) for predicted, score, right in zip(*columns, strict=True) if predicted == category
        ]
        if len(seen) < LEAST_LABELS:
            chosen[category] = ThresholdChoice(None, 0.0, None, None, 0)
            continue
        scores, correct = [score for score, _ in seen], [right for _, right in seen]
        chosen[category] = choose_threshold(scores, correct, target, delta, *_walk(len(seen), target, delta))
    return chosen


def route(
    rows: Sequence[Mapping[str, Any]],
    calibration: Calibration,
    run_id: str,
    median_activity: float,
    target: float = 0.9,
    confidence: float = 0.9,
    max_share: float = 0.02,
    trusted: Trusted | None = None,
) -> Routed:
    """Decide on every row.

    Args:
        rows: Classified rows (`deduplication.SCHEMA` with category and confidence).
        calibration: Out-of-fold predictions on labelled rows.
        run_id: Run; part of a candidate's id.
        median_activity: Median number of interactions of the users of the log.
        target: Precision of the category among accepted rows, in (0, 1).
        confidence: Confidence of that promise over all categories together, in (0, 1).
        max_share: Greatest share of accepted rows that one subject alone may stand behind.
        trusted: Answers that people vouch for (`trusted_items.trusted_of`); corrections against them go to review.

    Raises:
        ValueError: A parameter is out of range.
    """
    chosen = thresholds(calibration, target, confidence)
    ids = [row_id(run_id, row["interaction_id"], row["correction"]) for row in rows]
    made = [{**row, "candidate_id": name, "route": "accept", "reason": ""} for row, name in zip(rows, ids, strict=True)]

    def settle(row: dict[str, Any], to: str, reason: str) -> None:
        row["route"], row["reason"] = to, reason

    for row in made:
        texts = row["prompt"], row["response"], row["correction"]
        given = row.get("language") or ""
        row["language"] = given or language.identify(*texts[:2])
        verdict = spam_filter.judge(*texts) or language.judge(*texts, given)
        if verdict:
            settle(row, verdict.route, verdict.reason)
    clean = [row for row in made if row["route"] == "accept"]
    inspection = poison_guard.examine(clean, median_activity, trusted, [row["candidate_id"] for row in clean])
    for index, finding in inspection.findings.items():
        settle(clean[index], finding.route, finding.reason)
    for row in clean:
        threshold = chosen[row["category"]].threshold
        if row["route"] == "accept" and (threshold is None or row["confidence"] < threshold):
            settle(row, "review", "no_threshold" if threshold is None else "low_confidence")
    accepted = [row for row in clean if row["route"] == "accept"]
    for index in poison_guard.over_cap(accepted, max_share):
        settle(accepted[index], "review", "subject_cap")
    audit = sorted(
        row["candidate_id"] for row in accepted if row["route"] == "accept" and _audited(row["candidate_id"])
    )
    return Routed(made, chosen, audit, _promise(chosen, target, confidence), inspection)


def _walk(labels: int, target: float, delta: float) -> tuple[tuple[float, ...], dict[float, float]]:
    """Acceptance fractions to test, and the share of delta that each start gets; depends on the number of labels only.

    The first fraction is large enough that one wrong label among the accepted ones does not already fail the test: with
    few labels a walk from the strictest fractions would stop at the first mislabelled row.
    """
    one_error = next((n for n in range(1, labels) if upper_bound(1, n, 1 - 0.4 * delta) <= 1 - target), labels)
    first = min(1.0, math.ceil(20 * one_error / labels) / 20)
    fractions = tuple(round(first + 0.05 * step, 2) for step in range(round((1 - first) / 0.05) + 1))
    second, third = fractions[len(fractions) // 2], fractions[-1]
    starts: dict[float, float] = {}
    for start, share in ((first, 0.4), (second, 0.3), (third, 0.3)):
        starts[start] = round(starts.get(start, 0.0) + share, 6)
    return fractions, starts


def _audited(candidate_id: str) -> bool:
    """A random share by id: the same candidates on every attempt, and nobody can choose not to be looked at."""
    return int(row_id("audit", candidate_id)[:8], 16) < AUDIT_SHARE * 2**32


def _promise(chosen: Mapping[str, ThresholdChoice], target: float, confidence: float) -> str:
    abstain = [category for category, choice in chosen.items() if choice.threshold is None]
    words = (
        f"With confidence {confidence:.2f}, at least {target:.0%} of the auto-accepted corrections of every category "
        "are in the right category, for corrections like the labelled ones; whether a correction is true is no part of "
        f"the promise. Alarms of groups are false in at most {2 * poison_guard.FALSE_ALARMS:.0%} of logs. "
        f"{AUDIT_SHARE:.0%} of the accepted ones are marked for audit."
    )
    if abstain:
        words += f" No threshold could be guaranteed for {', '.join(abstain)}: all of it goes to review."
    return words
