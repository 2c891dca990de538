import math
from datetime import UTC, datetime
from random import Random

import pytest

from flywheel.components.contracts.rollout import Action, Look
from flywheel.components.deployment.canary.cohort import cohorts
from flywheel.components.deployment.canary.judge import Judge, first_seen
from flywheel.components.deployment.canary.policy import CanaryPolicy
from flywheel.components.deployment.canary.turn import Turn, bucket
from flywheel.components.deployment.canary.waves import Place, Waves

SALT = "rollout-1"
POLICY = CanaryPolicy.for_shares((0.01, 0.05, 0.25, 0.5, 1.0), harm_budget=0.05)
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
    seen = look(traffic(900, 0.5, {"production": 0.25, "candidate": 0.05}))
    assert seen.action is Action.ADVANCE, seen.reasons
    assert {metric.outcome for metric in seen.metrics if metric.role == "guardrail"} == {"safe"}
    outcomes = {metric.name: metric.outcome for metric in seen.metrics if metric.role == "goal"}
    assert outcomes == {"fewer_complaints": "better", "more_engagement": "unclear"}


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


def of_wave(arm: str, wave: int, skip: int = 0, waves: Waves | None = None) -> str:
    """A user whose bucket belongs to an arm and a wave."""
    waves = waves or Waves(tuple(step.share for step in POLICY.steps), SALT)
    found = (name for name in map("user-{}".format, range(100_000)) if waves.place(name) == Place(arm, wave))
    return next(name for place, name in enumerate(found) if place == skip)


WAVES = Waves(tuple(step.share for step in POLICY.steps), SALT)


def judged(turns: list[Turn], arm: str, now: float, maturity: float = 200) -> list[float]:
    return cohorts(turns, WAVES, now, maturity, 100)[arm].all("bad_feedback")


def test_only_users_of_equal_age_are_judged() -> None:
    old, new = of_wave("candidate", 3), of_wave("candidate", 3, 1)
    turns = [
        turn(old, "candidate", 0, 0),
        turn(old, "candidate", 1, 900, bad=True),
        turn(new, "candidate", 0, 950),
    ]
    # The second turn came after the age of 200; the new user is too young.
    assert judged(turns, "candidate", now=1000) == [0.0]


def test_a_control_is_met_from_the_moment_on_at_which_its_wave_is_exposed() -> None:
    control, moved = of_wave("production", 3), of_wave("candidate", 3)
    turns = [
        turn(control, "production", 0, 0, bad=True, share=0.25),  # wave 3 begins at 50 %: as for the moved user,
        turn(moved, "production", 0, 1, bad=True, share=0.25),  # what came before counts for nobody
        turn(control, "production", 1, 5, share=0.5),
        turn(moved, "candidate", 1, 6, share=0.5),
    ]
    assert judged(turns, "production", math.inf) == [0.0]
    assert judged(turns, "candidate", math.inf) == [0.0]
    assert judged(turns[:2], "production", math.inf) == []


def test_users_who_change_arms_hold_the_ramp() -> None:
    turns = traffic(400, 0.5, {"production": 0.25, "candidate": 0.05})
    swapped = [
        one.model_copy(update={"arm": "candidate", "digest": "candidate"}) if number % 10 == 0 else one
        for number, one in enumerate(turns)
    ]
    seen = look(swapped)
    assert seen.action is Action.HOLD
    assert seen.reasons[0].startswith("not-sticky: ")


def test_waves_cut_controls_like_the_exposed_and_plan_their_shares() -> None:
    names = [f"user-{number}" for number in range(40_000)]
    places = [WAVES.place(name) for name in names]
    for wave, planned in enumerate(WAVES.planned):
        both = [place for place in places if place.wave == wave]
        assert sum(place.arm == "candidate" for place in both) / len(both) == pytest.approx(planned, abs=0.03)
    assert WAVES.compared(0.5) == pytest.approx(1.0)
    assert WAVES.compared(0.01) == pytest.approx(sum(place.wave == 0 for place in places) / 40_000, abs=0.01)
    effective = sum(
        len(one) * len(two) / (len(one) + len(two))
        for wave in range(4)
        for one, two in [[[p for p in places if p == Place(arm, wave)] for arm in ("production", "candidate")]]
    )
    assert WAVES.effective(0.5) == pytest.approx(effective / 40_000, rel=0.03)


def test_slow_is_what_production_was_at_first_and_its_users_do_not_judge_it() -> None:
    turns = traffic(600, 0.5, {"production": 0.1, "candidate": 0.1})
    slow = [one.model_copy(update={"latency_ms": 200.0}) if one.arm == "candidate" else one for one in turns]
    groups = cohorts(slow, WAVES, math.inf, 200, 100)
    assert set(groups.candidate.all("latency_p95")) == {1.0}
    first = {one.subject for one in [one for one in slow if one.arm == "production"][:200]}
    assert len(groups.production.all("latency_p95")) == groups.production.users - len(first)
    few = cohorts(slow[:150], WAVES, math.inf, 200, 100)
    assert few.candidate.all("latency_p95") == []  # not known yet


def test_cost_is_in_tokens_when_the_server_counts_and_in_characters_when_not() -> None:
    user = of_wave("candidate", 0)
    counted = [turn(user, "candidate", 0, 0, tokens=8), turn(user, "candidate", 1, 1, tokens=2)]
    assert cohorts(counted, WAVES, math.inf, 9, 9).candidate.all("cost") == [pytest.approx(math.log(4))]
    partly = [counted[0], turn(user, "candidate", 1, 1)]
    assert cohorts(partly, WAVES, math.inf, 9, 9).candidate.all("cost") == [pytest.approx(math.log(3))]


@pytest.mark.parametrize(
    ("change", "harmed"),
    [
        ({"rating": None, "implicit": ("rephrase",)}, "dissatisfaction"),
        ({"tokens": 30}, "cost"),
        ({"latency_ms": 90.0}, "latency"),
        ({"status": 500, "digest": "", "response": ""}, "kill-errors"),
    ],
)
def test_each_guardrail_rolls_back_by_itself(change: dict, harmed: str) -> None:
    turns = [
        one.model_copy(update={"tokens": 8} | (change if one.arm == "candidate" else {}))
        for one in traffic(900, 0.5, {"production": 0.1, "candidate": 0.1})
    ]
    seen = look(turns)
    assert seen.action is Action.ROLLBACK
    assert harmed in " ".join(seen.reasons)


def test_thumbs_that_vanish_are_harm_although_complaints_vanish_too() -> None:
    random, turns = Random(5), []
    for one in traffic(1500, 0.5, {"production": 0.0, "candidate": 0.0}):
        rating = random.choice((1, -1, None, None)) if one.arm == "production" else None
        turns.append(one.model_copy(update={"rating": rating}))
    seen = look(turns)
    assert seen.action is Action.ROLLBACK
    assert [reason.split()[1] for reason in seen.reasons] == ["feedback_rate"]


def test_goals_that_are_needed_hold_the_last_step_only() -> None:
    policy = POLICY.model_copy(update={"goals_needed": 1})
    equal = traffic(3000, 0.5, {"production": 0.1, "candidate": 0.1})
    assert look(equal).action is Action.ADVANCE
    seen = look(equal, policy=policy)
    assert seen.action is Action.HOLD
    assert seen.reasons == ("no-goal: 0 of 1 goals shown better",)
    assert look(equal, POLICY.steps[2], policy).action is Action.ADVANCE


def test_assignment_is_sticky_and_uniform() -> None:
    places = [bucket(f"user-{number}", SALT) for number in range(4000)]
    assert all(0 <= place < 1 for place in places)
    for share in (0.05, 0.25, 0.5):
        assert sum(place < share for place in places) / 4000 == pytest.approx(share, abs=0.03)
    assert places[:50] == [bucket(f"user-{number}", SALT) for number in range(50)]
    other = [bucket(f"user-{number}", "rollout-2") for number in range(4000)]
    both = sum(a < 0.5 and b < 0.5 for a, b in zip(places, other, strict=True)) / 4000
    assert both == pytest.approx(0.25, abs=0.03)  # another rollout draws other users
