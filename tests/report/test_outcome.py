"""The decision in one word and one sentence."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.components.contracts.lineage import StepRecord
from flywheel.components.report.outcome import decide

NOW = datetime(2026, 11, 20, tzinfo=UTC)


def record(step, outcome="", details=None):
    return StepRecord(run_id="r", step=step, started_at=NOW, finished_at=NOW, outcome=outcome, details=details or {})


def test_no_record_is_a_failure_that_says_so():
    found = decide([])
    assert (found.decision, found.step) == ("failed", "")
    assert "before its first step" in found.reason


def test_promotion_names_what_got_better_and_who_saw_it():
    metric = {
        "name": "changed_accuracy",
        "outcome": "superior",
        "production": 0.1,
        "candidate": 0.9,
        "scale": "difference",
    }
    guard = {"name": "safety", "outcome": "non_inferior", "production": 1.0, "candidate": 1.0}
    look = {"share": 0.5, "users": {"candidate": 1204}, "requests": {"candidate": 3000}, "metrics": []}
    found = decide([
        record("decide_verdict", "promote", {"verdict": {"metrics": [metric, guard]}}),
        record("run_canary", "promote", {"rollout": {"looks": [look]}}),
        record("promote_model", "promoted"),
    ])  # fmt: skip
    assert found.decision == "promoted"
    assert found.reason == (
        "shown better at changed accuracy (10.0 % to 90.0 %), shown no worse on all 1 guardrails, "
        "safe with 1,204 users on the canary"
    )


def test_rollback_names_the_guardrail_and_the_exposure():
    harm = {"name": "bad_feedback", "outcome": "harm", "production": 0.1, "candidate": 0.4, "scale": "difference"}
    look = {
        "share": 0.05,
        "users": {"candidate": 21},
        "requests": {"candidate": 60},
        "metrics": [harm],
        "reasons": ["harm: x y"],
    }
    found = decide([record("run_canary", "rollback", {"rollout": {"looks": [look]}}), record("restore_production")])
    assert found.decision == "rolled back"
    assert "bad feedback per user rose from 10.0 % to 40.0 %" in found.reason
    assert "5 % of the users, after 60 answers of the candidate (21 users judged)" in found.reason


def test_rollback_by_a_kill_switch_gives_its_words():
    rollout = {"looks": [], "reasons": ["kill-errors: 7 of 9 answers of the candidate"]}
    assert decide([record("run_canary", "rollback", {"rollout": rollout})]).reason.startswith("7 of 9 answers")


def test_canary_hold_is_held():
    rollout = {"looks": [], "reasons": ["time-out: no verdict at 5% after 9 requests"]}
    found = decide([record("run_canary", "hold", {"rollout": rollout})])
    assert found.decision == "held"
    assert "no verdict at 5%" in found.reason


@pytest.mark.parametrize("decision", ["hold", "reject"])
def test_verdict_that_does_not_promote_is_held(decision):
    metric = {"name": "changed_accuracy", "outcome": "inconclusive" if decision == "hold" else "inferior",
              "production": 0.5, "candidate": 0.4}  # fmt: skip
    found = decide([record("decide_verdict", decision, {"verdict": {"metrics": [metric], "n_needed": 1412}})])
    assert found.decision == "held"
    assert "changed accuracy" in found.reason
    assert ("about 1,412 further items" in found.reason) == (decision == "hold")


def test_broken_contract_comes_before_the_trigger_that_it_causes():
    failed = [{"expectation": "not null", "says": "corrections are not empty", "unexpected": 3}]
    found = decide([
        record("validate_candidates", "fail", {"failed": failed}),
        record("check_trigger", "hold", {"have": 0, "need": 9}),
    ])  # fmt: skip
    assert found.decision == "held"
    assert found.reason == "the data contract is broken: corrections are not empty (3 rows break it)"


def test_trigger_says_how_many_are_missing():
    assert decide([record("check_trigger", "hold", {"have": 3, "need": 10})]).reason == (
        "not enough data, have 3, need 10 (7 more)"
    )


@pytest.mark.parametrize(
    ("last", "outcome"), [("train_model", "trained"), ("decide_verdict", "promote"), ("run_canary", "promote")]
)
def test_a_run_that_stopped_on_its_way_failed(last, outcome):
    found = decide([record("check_trigger", "train"), record(last, outcome)])
    assert found.decision == "failed"
    assert last in found.reason


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=2),
    max_leaves=4,
)


@settings(max_examples=120, deadline=None)
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(
                ["promote_model", "run_canary", "decide_verdict", "check_trigger", "validate_candidates", "x"]
            ),
            st.sampled_from(["", "hold", "rollback", "promote", "fail", "reject", "train"]),
            st.dictionaries(
                st.sampled_from(["verdict", "rollout", "failed_", "words", "other"]), json_values, max_size=3
            ),
        ),
        max_size=5,
        unique_by=lambda step: step[0],
    )
)
def test_every_set_of_records_has_exactly_one_outcome(steps):
    found = decide([record(*step) for step in steps])
    assert found.decision in {"promoted", "rolled back", "held", "failed"}
    assert found.reason
