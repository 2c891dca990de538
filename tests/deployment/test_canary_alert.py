import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from flywheel.components.contracts.rollout import Action, Look, RolloutState
from flywheel.components.deployment.canary.canary_alert import alert_of, raise_alert


def state(decision: str, *reasons: str, looks: int = 1) -> RolloutState:
    look = Look(
        at=datetime(2026, 11, 21, tzinfo=UTC), share=0.25, users={"production": 50, "candidate": 20},
        requests={"production": 90, "candidate": 30}, metrics=(), action=Action.HOLD, reasons=reasons,
    )  # fmt: skip
    return RolloutState.model_validate(
        {
            "run_id": "r",
            "service": "assistant",
            "production_digest": "p",
            "candidate_digest": "c",
            "shares": (0.25, 1.0),
            "looks": (look,) * looks,
            "decision": decision,
            "reasons": reasons,
        }
    )


@pytest.mark.parametrize(
    ("decision", "reason", "kind", "severity", "code", "words"),
    [
        ("hold", "time-out: none", "canary_hold", "warning", "canary_time_out", "more requests"),
        ("hold", "traffic-ended: x", "canary_hold", "warning", "canary_traffic_ended", "more users"),
        ("hold", "not-sticky: x", "canary_hold", "warning", "canary_not_sticky", "one arm only"),
        ("rollback", "kill-errors: 5", "canary_rollback", "critical", "canary_kill_errors", "production serves"),
    ],
)
def test_a_canary_that_did_not_promote_alerts(decision, reason, kind, severity, code, words) -> None:
    alert = alert_of(state(decision, reason))
    assert alert is not None
    assert (alert.kind, alert.severity, alert.reason) == (kind, severity, code)
    assert reason in alert.summary
    assert words in alert.what_to_do
    assert alert.evidence["share"] == 0.25


def test_a_promotion_alerts_nobody_and_a_candidate_that_never_served_does() -> None:
    assert alert_of(state("promote", "safe: x")) is None
    assert alert_of(state("running")) is None
    early = alert_of(state("rollback", "candidate-server-failed: x", looks=0))
    assert early is not None
    assert early.evidence["share"] is None


def test_a_repeated_step_alerts_once_where_it_is_told_or_in_the_store(tmp_path: Path) -> None:
    held, store = state("hold", "time-out: none"), str(tmp_path / "store")
    assert raise_alert(held, "", store) == 1
    assert raise_alert(held, "", store) == 0
    assert raise_alert(held, str(tmp_path / "mine.jsonl"), store) == 1
    assert raise_alert(held, "", "s3://bucket/store") == 0  # nowhere to write to
    (line,) = (tmp_path / "store" / "alerts.jsonl").read_text().splitlines()
    assert json.loads(line)["reason"] == "canary_time_out"
