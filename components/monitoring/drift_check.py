"""All detectors on one log, with one error rate: at most alpha false alarms per stable window."""

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from flywheel.components.monitoring import domain_classifier, numeric_drift, quality_alarm, topic_shift, user_flips
from flywheel.components.monitoring.prompt_features import prompt_features, thin
from flywheel.components.monitoring.topics import TopicShift
from flywheel.components.monitoring.windows import Windows, cut
from flywheel.components.statistics.multiplicity import holm, split_alpha

BAD_FEEDBACK_TOLERANCE = 0.02  # two more bad answers in a hundred
ERROR_TOLERANCE = 0.01
LATENCY_TOLERANCE = 1.2  # a fifth slower

INTERACTION_COLUMNS = ["interaction_id", "subject", "timestamp", "prompt", "response", "consent"]
FEEDBACK_COLUMNS = ["feedback_id", "interaction_id", "kind", "name", "value"]


@dataclass(frozen=True)
class InputTest:
    """One test of the family that looks at inputs.

    Attributes:
        name: topics, prompts, or a number's name.
        p_value: p-value of its own.
        adjusted: Holm's adjusted p-value within the family.
        alarm: Whether the adjusted p-value is at most the family's share of alpha.
    """

    name: str
    p_value: float
    adjusted: float
    alarm: bool


@dataclass(frozen=True)
class DriftReport:
    """What all detectors say.

    Attributes:
        outcome: "alert", "quiet" or "unknown"; quiet means that no change was shown, not that there was none.
        reasons: Reason codes with words, `code: words`.
        alpha: Chance of any false alarm in a stable window.
        error_rate: The same in words.
        windows: Rows, users and times of both windows.
        tests: Tests of the inputs.
        topics: Topic shares; None if it could not be tested.
        prompts: Whether the windows' prompts can be told apart; None likewise.
        numbers: Lengths and latency.
        quality: Bad feedback, errors, latency.
    """

    outcome: str
    reasons: list[str]
    alpha: float
    error_rate: str
    windows: dict[str, Any]
    tests: list[InputTest] = field(default_factory=list)
    topics: TopicShift | None = None
    prompts: domain_classifier.DomainShift | None = None
    numbers: list[numeric_drift.NumericDrift] = field(default_factory=list)
    quality: list[quality_alarm.QualityAlarm] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Render as JSON values."""
        return asdict(self)

    def alarmed(self, name: str) -> bool:
        """Whether the input test of this name raised an alarm."""
        return any(test.name == name and test.alarm for test in self.tests)


def check_drift(
    interactions: pa.Table,
    feedback: pa.Table,
    current_days: float = 7.0,
    alpha: float = 0.01,
    seed: int = 7,
    topics: list[str] | None = None,
) -> DriftReport:
    """Compare the last days of a log with everything before.

    Half of alpha goes to the input tests (topics, prompts, lengths, latency; Holm), half to the quality alarms (bad
    feedback a quarter of alpha, errors and latency an eighth each).

    Args:
        interactions: Interactions, at least the columns INTERACTION_COLUMNS.
        feedback: Feedback, at least the columns FEEDBACK_COLUMNS without feedback_id.
        current_days: Length of the current window, days.
        alpha: Chance of any false alarm in a stable window, in [0.0005, 0.5].
        seed: Seed of everything random; the same log and seed give the same report.
        topics: Topic of each interaction, in the order given; None to find topics in the prompts.

    Returns:
        The report; outcome "unknown" when a window is too small.

    Raises:
        ValueError: An argument is out of range.
    """
    flips = user_flips.flips_for(alpha)
    if topics is not None:
        if len(topics) != interactions.num_rows:
            raise ValueError(f"topics must name every interaction: {len(topics)} for {interactions.num_rows}")
        by_id = dict(zip(interactions["interaction_id"].to_pylist(), topics, strict=True))
    log = cut(interactions, feedback, current_days)
    promise = f"at most {alpha:.2%} of stable windows raise any alarm (units: users; all detectors together)"
    if log.unknown:
        return DriftReport("unknown", [f"not_enough_data: {log.unknown}"], alpha, promise, log.described())
    given = None if topics is None else [by_id[name] for name in log.ids]
    shift, domain = _text(log, given, flips, seed)
    numbers = [
        numeric_drift.compare_number(name, values, log.current, log.users, flips, seed + place)
        for place, (name, values) in enumerate(
            [
                ("prompt length (characters)", log.prompt_chars),
                ("response length (characters)", log.response_chars),
                ("latency (ms)", log.latency_ms),
            ]
        )
    ]
    shares = split_alpha(alpha, {"inputs": 4, "bad_feedback": 2, "errors": 1, "latency": 1})
    tests = _family(shift, domain, numbers, shares["inputs"])
    quality = [
        quality_alarm.watch("bad_feedback", log.bad, log, BAD_FEEDBACK_TOLERANCE, shares["bad_feedback"]),
        quality_alarm.watch("errors", log.error, log, ERROR_TOLERANCE, shares["errors"]),
        quality_alarm.watch("latency", log.latency_ms, log, LATENCY_TOLERANCE, shares["latency"], "ratio"),
    ]
    reasons = _reasons(tests, quality, shift, domain, numbers)
    return DriftReport(
        outcome="alert" if reasons else "quiet",
        reasons=reasons or _nothing_shown(shift, domain, quality),
        alpha=alpha,
        error_rate=promise,
        windows=log.described(),
        tests=tests,
        topics=shift,
        prompts=domain,
        numbers=numbers,
        quality=quality,
    )


def _text(
    log: Windows, given: list[str] | None, flips: int, seed: int
) -> tuple[TopicShift | None, domain_classifier.DomainShift | None]:
    keep = thin(log.current, seed)
    prompts = [log.prompts[row] for row in keep]
    current, users, shown = log.current[keep], log.users[keep], log.may_be_shown[keep]
    features = prompt_features(prompts)
    domain = None
    if features is not None:
        domain = domain_classifier.compare_prompts(features, current, users, prompts, shown, flips, seed + 20)
    if given is not None:
        names, codes = np.unique(np.array([given[row] for row in keep], dtype=str), return_inverse=True)
        groups, labels = codes.astype(np.int64).ravel(), [str(name) for name in names]
        examples = [""] * len(labels)
    elif features is not None:
        groups = topic_shift.find_topics(features, seed)
        labels = topic_shift.name_topics(features, groups)
        examples = topic_shift.typical(features, groups, prompts, shown)
    else:
        return None, None
    return topic_shift.compare_topics(groups, labels, examples, current, users, flips, seed + 10), domain


def _family(
    shift: TopicShift | None,
    domain: domain_classifier.DomainShift | None,
    numbers: list[numeric_drift.NumericDrift],
    alpha: float,
) -> list[InputTest]:
    found = [(name, test.p_value) for name, test in (("topics", shift), ("prompts", domain)) if test is not None]
    found += [(number.feature, number.p_value) for number in numbers if number.p_value is not None]
    adjusted = holm([p_value for _, p_value in found])
    return [
        InputTest(name, p_value, corrected, corrected <= alpha)
        for (name, p_value), corrected in zip(found, adjusted, strict=True)
    ]


def _reasons(
    tests: list[InputTest],
    quality: list[quality_alarm.QualityAlarm],
    shift: TopicShift | None,
    domain: domain_classifier.DomainShift | None,
    numbers: list[numeric_drift.NumericDrift],
) -> list[str]:
    reasons: list[str] = []
    for alarm in quality:
        if alarm.outcome == "alarm":
            last = alarm.looks[-1]
            reasons.append(
                f"{alarm.measure}_rose: {quality_words(alarm, last)}, first shown {plain_time(alarm.fired_at)}"
            )
    for test in tests:
        if not test.alarm:
            continue
        if test.name == "topics" and shift is not None:
            top = shift.topics[0]
            words = f"{shift.total_variation:.0%} of the questions moved; most: {top.name}"
            reasons.append(f"topic_shift: {words} {top.reference:.1%} to {top.current:.1%}, p {test.adjusted:.2g}")
        elif test.name == "prompts" and domain is not None:
            reasons.append(
                f"prompt_shift: new prompts can be told from old ones, AUC {domain.auc:.2f}, p {test.adjusted:.2g}"
            )
        else:
            number = next(number for number in numbers if number.feature == test.name)
            medians = f"median {number.reference:.0f} to {number.current:.0f}, distance {number.distance:.2f}"
            reasons.append(f"number_shift: {test.name} {medians}, p {test.adjusted:.2g}")
    return reasons


def _nothing_shown(
    shift: TopicShift | None,
    domain: domain_classifier.DomainShift | None,
    quality: list[quality_alarm.QualityAlarm],
) -> list[str]:
    blind = [name for name, test in (("topics", shift), ("prompts", domain)) if test is None]
    blind += [alarm.measure for alarm in quality if alarm.outcome == "missing"]
    said = ["no_change_shown: no detector raised an alarm"]
    return said + ([f"not_measured: {', '.join(blind)} (too few rows with a value)"] if blind else [])


def plain_time(iso: str | None) -> str:
    """Say an ISO time in UTC as people read it: "2026-01-26 00:00 UTC"; "" for none."""
    return f"{iso[:16].replace('T', ' ')} UTC" if iso else ""


def quality_words(alarm: quality_alarm.QualityAlarm, look: quality_alarm.QualityLook) -> str:
    """Say a quality change in words.

    Args:
        alarm: The alarm.
        look: The look of it to describe.

    Returns:
        As "bad feedback 8.1% to 14.9% (+6.8 points, at least +4.2 points)".
    """
    name, ratio = alarm.measure.replace("_", " "), alarm.scale == "ratio"
    show = (lambda value: f"times {value:.2f}") if ratio else (lambda value: f"{100 * value:+.1f} points")
    sure = f"at least {show(look.lower)}"
    if alarm.outcome != "alarm":
        sure = f"between {show(look.lower)} and {show(look.upper)}"
    levels = f"{alarm.reference:.0f} to {look.value:.0f} ms" if ratio else f"{alarm.reference:.1%} to {look.value:.1%}"
    return f"{name} {levels} ({show(look.change)}, {sure})"
