import math
from datetime import UTC, datetime
from random import Random

import pytest

from flywheel.components.contracts.rollout import Action, Look
from flywheel.components.deployment.guardrails import cohorts
from flywheel.components.deployment.judge import Judge, first_seen
from flywheel.components.deployment.policy import CanaryPolicy
from flywheel.components.deployment.turn import Turn, bucket

SALT = "rollout-1"
POLICY = CanaryPolicy.for_shares((0.01, 0.05, 0.25, 0.5, 1.0))
LAST = POLICY.steps[-1]
NOW = datetime(2026, 11, 21, tzinfo=UTC)


def turn(subject: str, arm: str, number: int = 0, asked_at: int = 0, bad: bool = False, **fields) -> Turn:
    base = {"share": 0.5, "status": 200, "latency_ms": 40.0, "digest": arm, "response": "yes"}
    return Turn.model_validate(
        {"subject": subject, "number": number, "arm": arm, "asked_at": asked_at, **base, **fields}
        | ({"rating": -1} if bad else {})
    )


def traffic(users: int, share: float, bad: dict[str, float], seed: int = 0, **fields) -> list[Turn]:
    random, turns = Random(seed), []
    for number in range(users):
        subject = f"user-{number}"
        arm = "candidate" if bucket(subject, SALT) < share else "production"
        for part in range(3):
            noise = 40 * math.exp(random.gauss(0, 0.3))
            turns.append(
                turn(
                    subject,
                    arm,
                    part,
                    len(turns),
                    random.random() < bad[arm],
                    **{"latency_ms": noise, "share": share, **fields},
                )
            )
    return turns


def look(turns: list[Turn], step=LAST, policy: CanaryPolicy = POLICY) -> Look:
    return Judge(policy, SALT, "candidate", "production").look(turns, step, math.inf, NOW)


def test_a_better_candidate_advances() -> None:
    seen = look(traffic(600, 0.5, {"production": 0.25, "candidate": 0.05}))
    assert seen.action is Action.ADVANCE
    assert {metric.outcome for metric in seen.metrics} == {"safe"}


def test_a_harmful_candidate_is_rolled_back_with_the_numbers() -> None:
    seen = look(traffic(800, 0.05, {"production": 0.1, "candidate": 0.6}), POLICY.steps[1])
    assert seen.action is Action.ROLLBACK
    assert seen.reasons[0].startswith("harm: bad_feedback 0.")


def test_too_few_users_hold() -> None:
    seen = look(traffic(30, 0.5, {"production": 0.0, "candidate": 0.0}))
    assert seen.action is Action.HOLD
    assert any(reason.startswith("too-few-users") for reason in seen.reasons)


def test_no_traffic_at_all_holds() -> None:
    seen = look([])
    assert seen.action is Action.HOLD
    assert {metric.outcome for metric in seen.metrics} == {"missing"}


def test_a_slow_candidate_is_rolled_back() -> None:
    turns = traffic(600, 0.5, {"production": 0.05, "candidate": 0.05})
    slow = [t.model_copy(update={"latency_ms": t.latency_ms * 3}) if t.arm == "candidate" else t for t in turns]
    seen = look(slow)
    assert seen.action is Action.ROLLBACK
    assert seen.reasons[0].startswith("harm: latency")


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"status": 502, "response": "", "digest": ""}, "kill-errors"),
        ({"response": "  "}, "kill-empty-answers"),
        ({"safety": True}, "kill-personal-data"),
        ({"digest": "production"}, "wrong-model"),
    ],
)
def test_kill_switches_need_no_statistics(fields: dict, code: str) -> None:
    turns = [turn(f"user-{number}", "candidate", asked_at=number, **fields) for number in range(6)]
    seen = look(turns, POLICY.steps[0])
    assert seen.action is Action.ROLLBACK
    assert seen.reasons[0].startswith(code)


def test_one_error_kills_nothing() -> None:
    assert look([turn("user-1", "candidate", status=502, response="", digest="")]).action is Action.HOLD


def test_a_wrong_split_is_never_trusted() -> None:
    turns = traffic(800, 0.5, {"production": 0.25, "candidate": 0.05})
    lost = [t for t in turns if t.arm == "production" or int(t.subject.split("-")[1]) % 3]
    seen = look(lost)
    assert seen.action is Action.HOLD
    assert seen.reasons[0].startswith("sample-ratio-mismatch")


def test_users_are_counted_for_the_split_where_they_were_first_seen() -> None:
    turns = [
        turn("a", "production", 0, 0, share=0.05),
        turn("a", "candidate", 1, 5, share=0.5),
        turn("b", "candidate", 0, 6, share=0.5),
    ]
    assert first_seen(turns) == [([1, 0], [0.95, 0.05]), ([0, 1], [0.5, 0.5])]


def test_a_time_out_holds_and_never_ships() -> None:
    policy = POLICY.model_copy(update={"most_requests_per_step": 10})
    seen = look(traffic(60, 0.5, {"production": 0.2, "candidate": 0.2}), policy=policy)
    assert seen.action is Action.HOLD
    assert seen.reasons[0].startswith("time-out")


def test_only_users_of_equal_age_are_judged() -> None:
    turns = [
        turn("old", "candidate", 0, 0),
        turn("old", "candidate", 1, 900, bad=True),
        turn("new", "candidate", 0, 950),
    ]
    judged = cohorts(turns, frozenset(), now=1000, maturity=200)["candidate"]
    assert judged.bad_feedback == [0.0]  # the second turn came after the age of 200; the new user is too young


def test_users_who_were_moved_are_no_controls() -> None:
    turns = [
        turn("moved", "production", 0, 0, bad=True),
        turn("moved", "candidate", 1, 5),
        turn("control", "production"),
    ]
    judged = cohorts(turns, frozenset({"control"}), now=math.inf, maturity=200)
    assert judged["production"].bad_feedback == [0.0]
    assert judged["candidate"].bad_feedback == [0.0]


def test_assignment_is_sticky_and_uniform() -> None:
    places = [bucket(f"user-{number}", SALT) for number in range(4000)]
    assert all(0 <= place < 1 for place in places)
    for share in (0.05, 0.25, 0.5):
        assert sum(place < share for place in places) / 4000 == pytest.approx(share, abs=0.03)
    assert places[:50] == [bucket(f"user-{number}", SALT) for number in range(50)]
    other = [bucket(f"user-{number}", "rollout-2") for number in range(4000)]
    both = sum(a < 0.5 and b < 0.5 for a, b in zip(places, other, strict=True)) / 4000
    assert both == pytest.approx(0.25, abs=0.03)  # another rollout draws other users
