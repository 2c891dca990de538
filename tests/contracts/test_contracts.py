from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from flywheel.components.contracts.dataset import DatasetManifest
from flywheel.components.contracts.feedback import FeedbackRecord, Signals
from flywheel.components.contracts.lineage import RowCounts, StepRecord
from flywheel.components.contracts.tables import FeedbackSnapshot, TableReference
from flywheel.components.contracts.verdict import Decision, MetricResult, Verdict

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def metric(role, outcome):
    return MetricResult(
        name=f"{role}-{outcome}",
        role=role,
        direction="higher",
        n=10,
        clusters=10,
        production=0.5,
        candidate=0.6,
        difference=0.1,
        lower=0.0,
        upper=0.2,
        confidence=0.95,
        margin=-0.02,
        test="t",
        p_value=0.01,
        alpha=0.05,
        outcome=outcome,
    )


def verdict(decision, *metrics):
    return Verdict(
        run_id="r",
        decision=decision,
        reasons=("ok: ok",),
        metrics=metrics,
        candidate_digest="c",
        production_digest="p",
        scores_digest="s",
        spec_digest="d",
        error_rate="5 %",
    )


@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50), st.integers(0, 50), st.integers(-3, 3))
def test_conservation_law(accepted, duplicates, review, quarantined, off):
    total = accepted + duplicates + review + quarantined
    values = {
        "rows_in": max(0, total + off),
        "accepted": accepted,
        "duplicates": duplicates,
        "in_review": review,
        "quarantined": {"bad": quarantined},
    }
    if values["rows_in"] == total:
        assert RowCounts(**values).rows_in == total
    else:
        with pytest.raises(ValidationError, match="conservation law broken"):
            RowCounts(**values)


def test_a_missing_metric_can_never_promote():
    verdict(Decision.PROMOTE, metric("primary", "superior"), metric("guardrail", "non_inferior"))
    for outcome in ("missing", "inferior", "inconclusive"):
        with pytest.raises(ValidationError, match="cannot promote"):
            verdict(Decision.PROMOTE, metric("primary", "superior"), metric("guardrail", outcome))
    with pytest.raises(ValidationError, match="cannot promote"):
        verdict(Decision.PROMOTE, metric("guardrail", "non_inferior"))
    assert verdict(Decision.HOLD, metric("primary", "missing")).decision == "hold"


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_documents_refuse_numbers_that_decide_nothing(number):
    with pytest.raises(ValidationError):
        Signals(latency_ms=number)


def test_manifest_with_a_leak_is_no_manifest():
    with pytest.raises(ValidationError):
        DatasetManifest(
            run_id="r",
            digest="d",
            candidates=None,
            splits={},
            sources={},
            recipe={},
            feedback_ids=(),
            leaked_groups=1,
        )


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "must name the interaction"),
        ({"interaction": "i"}, "needs messages with a response, or signals"),
        ({"response": "x"}, "no user message"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, "no user message"),
        ({"messages": [{"role": "user", "content": "  "}]}, "no user message"),
    ],
)
def test_records_that_say_nothing(fields, words):
    with pytest.raises(ValidationError, match=words):
        FeedbackRecord(timestamp=NOW, **fields)


def test_round_trip_through_a_file(tmp_path):
    reference = TableReference(store="s3://b/x", table="feedback", version=3)
    snapshot = FeedbackSnapshot(interactions=reference.model_copy(update={"table": "interactions"}), feedback=reference)
    snapshot.write(tmp_path / "deep" / "snapshot.json")
    assert FeedbackSnapshot.read(tmp_path / "deep" / "snapshot.json") == snapshot
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["snapshot.json"]


def test_a_broken_file_is_named(tmp_path):
    (tmp_path / "x.json").write_text('{"schema": "flywheel.step/v2"}')
    with pytest.raises(ValueError, match=r"x\.json is not a valid StepRecord"):
        StepRecord.read(tmp_path / "x.json")
