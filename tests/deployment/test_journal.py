from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from flywheel.components.contracts.rollout import Action, CanaryMetric, Look, RolloutState
from flywheel.components.deployment.canary import ramp_chart
from flywheel.components.deployment.canary.canary_record import timeline
from flywheel.components.deployment.canary.journal import Journal
from flywheel.components.deployment.canary.judge import Judge
from flywheel.components.deployment.canary.policy import CanaryPolicy
from flywheel.components.deployment.canary.rollout import Rollout
from flywheel.components.deployment.canary.turn import Turn


def turn(number: int) -> Turn:
    return Turn(subject=f"u{number}", number=0, arm="production", asked_at=number, status=200, latency_ms=1.0)


def state(looks: int, decision: str = "running") -> RolloutState:
    metric = CanaryMetric(
        name="bad_feedback",
        production=0.2,
        candidate=0.1,
        difference=-0.1,
        lower=-0.3,
        upper=0.1,
        margin=0.2,
        outcome="safe",
    )
    slow = CanaryMetric(
        name="latency",
        scale="ratio",
        production=40.0,
        candidate=41.0,
        difference=1.03,
        lower=None,
        upper=None,
        margin=1.5,
        outcome="unclear",
    )
    return RolloutState.model_validate(
        {
            "run_id": "r",
            "service": "<svc>",
            "production_digest": "p",
            "candidate_digest": "c",
            "shares": (0.5, 1.0),
            "decision": decision,
            "looks": tuple(
                Look(
                    at=datetime(2026, 11, 21, tzinfo=UTC), share=0.5, users={"production": 5, "candidate": 5},
                    requests={"production": 2 * number, "candidate": 0}, metrics=(metric, slow), action=Action.HOLD,
                    reasons=("unclear: latency <b>",),
                )
                for number in range(1, looks + 1)
            ),
        }
    )  # fmt: skip


def test_state_and_turns_come_back(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "work")
    assert journal.read() == (None, [])
    journal.write(state(1), [turn(0), turn(1)])
    journal.write(state(2), [turn(2), turn(3)])
    again, turns = Journal(tmp_path / "work").read()
    assert again == state(2)
    assert turns == [turn(number) for number in range(4)]


def test_turns_that_no_look_saw_are_cut_even_a_torn_one(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.write(state(1), [turn(0), turn(1)])
    with (tmp_path / "turns.jsonl").open("ab") as file:
        file.write(turn(9).model_dump_json().encode() + b'\n{"subject": "to')
    assert Journal(tmp_path).read()[1] == [turn(0), turn(1)]
    journal.write(state(2), [turn(2), turn(3)])
    assert [item.asked_at for item in Journal(tmp_path).read()[1]] == [0, 1, 2, 3]


def test_lost_turns_are_said(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.write(state(2), [turn(0)])
    with pytest.raises(ValueError, match="holds 1 turns, but the last look saw 4"):
        journal.read()


def test_a_retry_under_other_rules_or_weights_starts_over(tmp_path: Path) -> None:
    policy = CanaryPolicy.for_shares()
    judge = Judge(policy, "salt")

    def rollout(fresh: RolloutState) -> Rollout:
        nothing = SimpleNamespace()
        return Rollout(policy, judge, nothing, Journal(tmp_path), fresh, lambda *_: nothing, lambda: None, print)

    old = state(2).model_copy(update={"policy_digest": "one"})
    Journal(tmp_path).write(old, [turn(number) for number in range(4)])
    again = rollout(state(0).model_copy(update={"policy_digest": "one"}))
    assert (again.state, len(again.turns)) == (old, 4)
    other = state(0).model_copy(update={"policy_digest": "two"})
    assert (rollout(other).state, rollout(other).turns) == (other, [])
    journal = Journal(tmp_path)
    journal.write(state(1), [turn(7), turn(8)])
    assert [one.asked_at for one in journal.read()[1]] == [7, 8]  # none of the other rollout's turns


@pytest.mark.parametrize("looks", [0, 1, 3])
def test_the_chart_is_self_contained_and_escapes(looks: int, tmp_path: Path) -> None:
    ramp_chart.write(state(looks, "hold"), tmp_path / "ramp.html")
    page = (tmp_path / "ramp.html").read_text()
    assert "held" in page
    assert "&lt;svc&gt;" in page
    assert "<b>" not in page
    assert "<script" not in page
    assert "http" not in page
    assert page.count("<svg") == (3 if looks else 0)
    assert "nan" not in page


def test_the_timeline_holds_the_last_look_and_every_change() -> None:
    events = timeline(state(3))
    assert [event["look"] for event in events] == [3]
    assert events[0]["requests"] == 6
