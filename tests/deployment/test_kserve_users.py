"""Real users behind a gateway: turns from the store, who is left out, and when nobody is to be trusted."""

import json
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from flywheel.components.contracts.rollout import Action, RolloutState
from flywheel.components.deployment.canary.policy import CanaryPolicy
from flywheel.components.deployment.canary.turn import Turn, bucket
from flywheel.components.deployment.cluster.arms import ArmNames, arm_names, backends
from flywheel.components.deployment.cluster.prometheus import PrometheusError
from flywheel.components.deployment.cluster.state import ClusterRollout
from flywheel.components.deployment.cluster.store_turns import Seen, StoreTurns
from flywheel.components.deployment.cluster.users import Limits, Users, one_armed, placed
from flywheel.components.intake import ingest
from flywheel.components.store.errors import StoreError

SINCE = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
DIGESTS = "aa" * 32, "bb" * 32
SHARES = (0.05, 0.5, 1.0)
NAMES = ArmNames(frozenset({DIGESTS[0], "v1"}), frozenset({DIGESTS[1], "v2"}))


def state(step=1, mode="Standard"):
    rollout = RolloutState(
        run_id="r", service="assistant", production_digest=DIGESTS[0], candidate_digest=DIGESTS[1], shares=SHARES
    )
    return ClusterRollout(
        rollout=rollout,
        mode=mode,
        phase="ramping",
        step=step,
        candidate="c-bbbbbbbb",
        candidate_uri="s3://models/2",
        production_uri="s3://models/1",
        production_revision="assistant-predictor-00004",
        candidate_revision="assistant-predictor-00005",
    )


def event(number, user, second, arm=None, version="assistant", **signals):
    record = {
        "schema": "flywheel.feedback/v1",
        "interaction": f"i{number}",
        "user": user,
        "timestamp": (SINCE + timedelta(seconds=second)).isoformat(),
        "model_version": version,
        "messages": [{"role": "user", "content": "What does akora cost?"}],
        "response": signals.pop("response", "akora costs 11."),
        "attributes": {"service": "assistant"} | ({"arm": arm} if arm else {}),
    }
    return record | {"signals": signals}


@pytest.fixture
def intake(tmp_path, monkeypatch):
    """Send events through intake into a store."""
    monkeypatch.setenv("FLYWHEEL_PSEUDONYM_KEY", "k" * 32)
    store = str(tmp_path / "store")

    def send(*events):
        log = tmp_path / f"log{len(list(tmp_path.iterdir()))}.jsonl"
        log.write_text("".join(json.dumps(one) + "\n" for one in events))
        ingest.ingest(str(log), store, "run-1")
        return store

    return send


def test_events_become_turns(intake):
    store = intake(
        event(1, "u1", -10, "candidate", rating=-1),  # before the share was set
        event(2, "u1", 5, "candidate", "whatever", rating=-1, latency_ms=120.0, tokens=9),
        event(3, "u2", 6, version=DIGESTS[0], correction="akora costs 12.", implicit=["rephrase", "copy"]),
        event(4, "u1", 7, version="v2", error="HTTP 503: overloaded"),
        event(5, "u3", 8, version="somebody-else's"),
        event(6, "u2", 9, "production", DIGESTS[1], response="Write to anna.larsen@example.com", latency_ms=80),
        event(7, "u1", 500, "candidate", rating=1),  # after the look
    )
    seen = StoreTurns(store, "assistant", DIGESTS).read(NAMES, SINCE, SINCE + timedelta(seconds=60), 0.5)
    assert [(turn.arm, turn.asked_at, turn.number, turn.share) for turn in seen.turns] == [
        ("candidate", 5, 0, 0.5),
        ("production", 6, 0, 0.5),
        ("candidate", 7, 1, 0.5),
        ("production", 9, 1, 0.5),
    ]
    first, second, third, fourth = seen.turns
    assert (first.rating, first.latency_ms, first.tokens, first.digest) == (-1, 120.0, 9, DIGESTS[1])
    assert (second.correction, second.implicit, second.complained) == ("akora costs 12.", ("rephrase", "copy"), True)
    assert (third.status, third.error) == (503, True)
    assert (fourth.digest, fourth.safety) == (DIGESTS[1], True)  # the wrong weights, and an address nobody gave it
    assert not first.safety
    assert (seen.unattributed, seen.without_latency) == (1, 1)
    assert first.subject != "u1"  # a pseudonym


def test_late_feedback_joins_its_turn(intake):
    intake(event(1, "u1", 5, "candidate", latency_ms=10.0))
    late = event(1, "u1", 900, rating=-1)
    store = intake({key: late[key] for key in ("schema", "interaction", "user", "timestamp", "signals")})
    seen = StoreTurns(store, "assistant", DIGESTS).read(NAMES, SINCE, SINCE + timedelta(seconds=60), 0.5)
    assert [(turn.rating, turn.latency_ms) for turn in seen.turns] == [(-1, 10.0)]


def test_names_of_the_arms():
    standard, knative = state(), state(mode="Knative")
    assert backends(standard) == {"production": "assistant-predictor", "candidate": "assistant-c-bbbbbbbb-predictor"}
    assert backends(knative)["candidate"] == "assistant-predictor-00005"
    names = arm_names(knative)
    for version, arm in (
        (DIGESTS[0], "production"),
        ("s3://models/2", "candidate"),
        ("assistant-predictor-00004", "production"),
        ("assistant", None),
    ):
        assert names.arm_of(version) == arm
    assert names.arm_of("assistant", "candidate") == "candidate"
    both = ArmNames(frozenset({"same"}), frozenset({"same"}))
    assert both.arm_of("same") is None


def turn(subject, arm, at=0, number=0, share=0.5, **values):
    given = {"status": 200, "latency_ms": 100.0, "response": "yes", "digest": DIGESTS[arm == "candidate"]} | values
    return Turn.model_validate(
        {"subject": subject, "number": number, "arm": arm, "share": share, "asked_at": at, **given}
    )


def test_users_of_both_arms_are_left_out():
    turns = [turn("a", "candidate"), turn("b", "candidate"), turn("b", "production"), turn("c", "production")]
    clean, both, touched = one_armed(turns)
    assert ([one.subject for one in clean], both, touched) == (["a", "c"], 1, 2)


def test_placed_users_have_the_buckets_of_their_arms():
    turns = [turn(f"u{n}", "candidate" if n % 20 == 0 else "production", share=0.05) for n in range(400)]
    turns += [one.model_copy(update={"number": 1}) for one in turns]
    named = placed(turns, "salt")
    for before, after in zip(turns, named, strict=True):
        assert (bucket(after.subject, "salt") < 0.05) == (before.arm == "candidate")
    assert len({one.subject for one in named}) == 400


class Fixed:
    def __init__(self, seen):
        self.seen = seen

    def read(self, names, since, until, share):
        if isinstance(self.seen, Exception):
            raise self.seen
        return self.seen


class Told:
    def __init__(self, kills=(), unknown=()):
        self._kills, self._unknown = kills, unknown

    def kills(self, arms, since, now):
        if isinstance(self._kills, Exception):
            raise self._kills
        return self._kills

    def unknown(self, arms, since, now):
        return self._unknown


def traffic(seed, users=6000, share=0.5, bad=(0.05, 0.05), sticky=True, turns=3):
    """Users behind a gateway, each with an error-free, equally fast answer; `bad`: rate of thumbs down by arm."""
    random, made = Random(seed), []
    for user in range(users):
        own = random.random() < share
        for number in range(turns):
            on = own if sticky else random.random() < share
            rating = -1 if random.random() < bad[on] else 1 if random.random() < 0.2 else None
            made.append(
                turn(
                    f"u{user}", "candidate" if on else "production", number, number, share, rating=rating, tokens=10
                ).model_copy(update={"latency_ms": 100.0 * random.lognormvariate(0, 0.1)})
            )
    return made


def looked(turns, step=1, alarms=None, policy=None, seen=None):
    rules = policy or CanaryPolicy.for_shares(SHARES, 0.03).model_copy(update={"maturity": 10.0})
    users = Users(Fixed(seen or Seen(turns)), rules, "assistant:x", DIGESTS, alarms)
    return users.look(state(step), SINCE, SINCE + timedelta(hours=1))


def test_better_candidate_advances_and_worse_one_is_rolled_back():
    look, final = looked(traffic(1, bad=(0.1, 0.02)))
    assert (look.action, final) == (Action.ADVANCE, False), look.reasons
    assert (look.users["production"], look.users["candidate"]) == (
        len(set()) + look.users["production"],
        look.users["candidate"],
    )
    assert look.users["production"] + look.users["candidate"] == 6000
    look, _ = looked(traffic(2, bad=(0.05, 0.3)))
    assert look.action is Action.ROLLBACK
    assert look.reasons[0].startswith("harm: bad_feedback")


def test_gateway_that_splits_requests_holds_for_good():
    look, final = looked(traffic(3, users=400, sticky=False))
    assert (look.action, final) == (Action.HOLD, True)
    assert look.reasons[0].startswith("contaminated: ")
    assert "make it sticky by user" in look.reasons[0]


def test_few_who_switch_are_left_out_and_counted_only():
    turns = traffic(4, users=3000)
    strays = [one.model_copy(update={"arm": "production"}) for one in turns if one.arm == "candidate"][:40]
    look, final = looked(turns + strays)
    assert not look.reasons[0].startswith("contaminated")
    assert not final
    assert sum(look.users.values()) == 3000 - len({one.subject for one in strays})


@pytest.mark.parametrize(
    ("seen", "code"),
    [
        ({"unattributed": 100}, "unattributed: the arm of 100 of 1300 events is unknown"),
        ({"without_latency": 200}, "no-latency: 200 of 1200 events have no latency_ms, which latency"),
    ],
)
def test_events_that_cannot_be_trusted_hold(seen, code):
    look, final = looked([], seen=Seen(traffic(5, users=400), **seen))
    assert (look.action, final) == (Action.HOLD, True)
    assert look.reasons[0].startswith(code)


def test_kill_switches_need_no_users():
    look, _ = looked(traffic(6, users=100), alarms=Told(kills=("kill-errors: 9 of 10",)))
    assert (look.action, look.reasons) == (Action.ROLLBACK, ("kill-errors: 9 of 10",))
    failing = [
        one.model_copy(update={"status": 503}) if one.arm == "candidate" else one for one in traffic(7, users=60)
    ]
    look, _ = looked(failing)
    assert look.action is Action.ROLLBACK
    assert look.reasons[0].startswith("kill-errors")
    requests_split = [
        one.model_copy(update={"status": 503}) if one.arm == "candidate" else one
        for one in traffic(8, users=400, sticky=False)
    ]
    look, _ = looked(requests_split)
    assert look.action is Action.ROLLBACK, "a kill switch counts answers, whoever got them"


def test_nobody_advances_on_what_prometheus_does_not_see():
    look, final = looked(traffic(1, bad=(0.1, 0.02)), alarms=Told(unknown=("no-series: nothing",)))
    assert (look.action, final, look.reasons) == (Action.HOLD, False, ("no-series: nothing",))


@pytest.mark.parametrize("error", [StoreError("gone"), PrometheusError("gone")])
def test_blind_looks_hold_and_end_when_they_go_on(error):
    store = isinstance(error, StoreError)
    policy = CanaryPolicy.for_shares(SHARES)
    users = Users(
        Fixed(error if store else Seen([])),
        policy,
        "s",
        DIGESTS,
        None if store else Told(kills=error),
        Limits(blind_looks=3),
    )
    looks = [users.look(state(), SINCE, SINCE + timedelta(hours=1)) for _ in range(3)]
    assert [final for _, final in looks] == [False, False, True]
    assert looks[2][0].reasons == ("blind: look 3 of 3 without data: gone",)


@pytest.mark.simulation
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_equal_candidates_behind_a_gateway_are_seldom_rolled_back():
    """All steps and looks together at most alpha (5 %); two looks a step."""
    policy = CanaryPolicy.for_shares(SHARES, 0.03).model_copy(update={"maturity": 0.0})
    rolled_back = 0
    for world in range(40):
        for step, share in enumerate(SHARES[:2]):
            turns = traffic(1000 * world + step, users=800, share=share, turns=2)
            for upto in (800, 1600):
                users = Users(Fixed(Seen(turns[:upto])), policy, f"w{world}", DIGESTS)
                look, _ = users.look(state(step), SINCE, SINCE + timedelta(hours=1))
                if look.action is Action.ROLLBACK:
                    rolled_back += 1
                    break
            else:
                continue
            break
    assert rolled_back <= 6  # P(more than 6 of 40 at 5 %) < 0.004
