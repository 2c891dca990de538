"""Detectors on worlds whose truth is known: each change is found and named, and nothing is found in small logs."""

from collections.abc import Callable

import numpy as np
import orjson
import pyarrow as pa
import pytest

from flywheel.components.monitoring.drift_check import DriftReport, check_drift
from flywheel.components.store.tables import SCHEMAS


def codes(report: DriftReport) -> set[str]:
    return {reason.split(":")[0] for reason in report.reasons}


def test_a_stable_log_is_quiet(log: Callable) -> None:
    report = check_drift(*log(4))
    assert (report.outcome, codes(report)) == ("quiet", {"no_change_shown"})
    assert {test.name for test in report.tests} >= {"topics", "prompts", "latency (ms)"}
    assert [alarm.outcome for alarm in report.quality] == ["quiet"] * 3


def test_moved_topics_are_found_and_named(log: Callable) -> None:
    report = check_drift(*log(1, users=200, turns=900, moved=0.4))
    assert {"topic_shift", "prompt_shift"} <= codes(report)
    assert report.topics is not None and report.prompts is not None
    grown = report.topics.topics[0]
    assert "lamp" in grown.name and grown.lower > 0 and "lamp" in grown.example
    assert sum(topic.reference for topic in report.topics.topics) == pytest.approx(1)
    assert sum(topic.change for topic in report.topics.topics) == pytest.approx(0)
    assert report.prompts.auc > 0.55
    assert "lamp" in report.prompts.exemplars[0]


def test_given_topics_are_used(log: Callable) -> None:
    interactions, feedback = log(1, users=200, turns=900, moved=0.4)
    topics = ["lamp" if "lamp" in prompt else "other" for prompt in interactions["prompt"].to_pylist()]
    report = check_drift(interactions, feedback, topics=topics)
    assert report.topics is not None
    current = np.array([at.timestamp() for at in interactions["timestamp"].to_pylist()])
    mask = current > current.max() - 7 * 86_400
    lamp = np.array(topics) == "lamp"
    found = next(topic for topic in report.topics.topics if topic.name == "lamp")
    assert found.change == pytest.approx(lamp[mask].mean() - lamp[~mask].mean())
    assert report.alarmed("topics")
    with pytest.raises(ValueError, match="topics must name every interaction"):
        check_drift(interactions, feedback, topics=["lamp"])


def test_bad_feedback_fires_with_its_time(log: Callable) -> None:
    report = check_drift(*log(2, users=200, turns=900, bad_now=0.3))
    assert "bad_feedback_rose" in codes(report)
    alarm = report.quality[0]
    assert alarm.outcome == "alarm" and alarm.reference is not None
    first = next(look for look in alarm.looks if look.lower > alarm.tolerance)
    assert alarm.fired_at == first.at
    assert alarm.looks[-1].value == pytest.approx(alarm.reference + alarm.looks[-1].change)
    assert 0.1 < alarm.looks[-1].change < 0.35


def test_slow_and_failing_serving_is_told_apart_from_bad_answers(log: Callable) -> None:
    report = check_drift(*log(3, users=200, turns=900, slower=2.0, errors_now=0.15))
    assert {"errors_rose", "latency_rose"} <= codes(report)
    assert not codes(report) & {"bad_feedback_rose", "topic_shift"}
    ratio = report.quality[2].looks[-1].change
    assert 1.7 < ratio < 2.4


def test_better_is_no_alarm(log: Callable) -> None:
    report = check_drift(*log(5, users=200, turns=900, bad=0.3, bad_now=0.1, slower=0.5))
    assert [alarm.outcome for alarm in report.quality] == ["quiet"] * 3


@pytest.mark.parametrize("rows", [0, 1, 60])
def test_too_little_is_unknown_never_quiet(log: Callable, rows: int) -> None:
    interactions, feedback = log(1)
    report = check_drift(interactions.slice(0, rows), feedback)
    assert (report.outcome, codes(report)) == ("unknown", {"not_enough_data"})


def test_empty_tables_are_unknown() -> None:
    report = check_drift(SCHEMAS["interactions"].empty_table(), SCHEMAS["feedback"].empty_table())
    assert report.outcome == "unknown"
    assert "holds 0 interactions" in report.reasons[0]


def test_prompts_without_words_and_equal_prompts_do_not_break_it(log: Callable) -> None:
    interactions, feedback = log(1)
    for text in ("", "12 34", "same question"):
        column = pa.array([text] * interactions.num_rows)
        report = check_drift(interactions.set_column(6, "prompt", column), feedback)
        assert report.outcome == "quiet"
        assert ("not_measured" in codes(report)) == (text != "same question")
        assert not report.alarmed("topics") and not report.alarmed("prompts")


def test_a_log_without_automated_signals_says_missing(log: Callable) -> None:
    interactions, feedback = log(1)
    ratings = feedback.filter(pa.compute.equal(feedback["kind"], "rating"))
    report = check_drift(interactions, ratings)
    assert [alarm.outcome for alarm in report.quality] == ["quiet", "missing", "missing"]
    assert "latency (ms)" not in {test.name for test in report.tests}
    assert codes(report) == {"no_change_shown", "not_measured"}
    assert "errors, latency" in report.reasons[-1]


def test_the_same_log_gives_the_same_report_whatever_its_order(log: Callable) -> None:
    interactions, feedback = log(6, moved=0.3)
    shuffled = interactions.take(np.random.default_rng(1).permutation(interactions.num_rows))
    first, second = (orjson.dumps(check_drift(rows, feedback).to_json()) for rows in (interactions, shuffled))
    assert first == second
    assert b"NaN" not in first


def test_prompts_without_consent_are_never_shown(log: Callable) -> None:
    interactions, feedback = log(1, users=200, turns=900, moved=0.4)
    hidden = pa.array([f"{prompt} secret" for prompt in interactions["prompt"].to_pylist()])
    place = interactions.column_names.index("consent")
    refused = interactions.set_column(6, "prompt", hidden).set_column(
        place, "consent", pa.array([False] * interactions.num_rows)
    )
    report = check_drift(refused, feedback)
    assert report.prompts is not None and report.topics is not None
    assert report.prompts.exemplars == []
    assert {topic.example for topic in report.topics.topics} == {""}


@pytest.mark.parametrize("alpha", [0, 0.0001, 0.9, float("nan")])
def test_an_alpha_that_cannot_be_kept_is_refused(log: Callable, alpha: float) -> None:
    with pytest.raises(ValueError, match="alpha must lie in"):
        check_drift(*log(1), alpha=alpha)


def test_a_long_log_is_thinned_and_a_small_current_window_kept(log: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    from flywheel.components.monitoring import domain_classifier, prompt_features

    monkeypatch.setattr(prompt_features, "MAX_ROWS", 400)
    monkeypatch.setattr(domain_classifier, "MAX_USERS", 60)
    report = check_drift(*log(1, users=100, turns=900, moved=0.6))
    assert report.alarmed("topics") and report.topics is not None
    assert sum(topic.rows for topic in report.topics.topics) == 400
    monkeypatch.setattr(domain_classifier, "MAX_USERS", 10)
    blind = check_drift(*log(4))
    assert blind.prompts is None
    assert any(reason.startswith("not_measured: prompts") for reason in blind.reasons)
