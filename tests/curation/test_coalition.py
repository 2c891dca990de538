import numpy as np
import pyarrow as pa
import pytest

from flywheel.components.curation.guards import approval, poison_guard
from flywheel.components.curation.guards.approval import Approval
from flywheel.components.curation.guards.coalition import Audience, audience_of
from flywheel.components.curation.review.requests import requests_of
from flywheel.components.curation.review.reviewed import EMPTY
from flywheel.components.curation.routing import router
from tests.curation.review.conftest import candidate_row
from tests.curation.test_router import calibration

RATED = Approval(share=0.4, spread=400.0, answers=5000)
LARGE = Audience(users=500, corrections=400)  # a coalition of ten


def given(seed: int, share: float, spread: float, answers: int = 400, each: int = 30, users: int = 200):
    """Answers given to users at random, each liked as often as a beta says."""
    rng = np.random.default_rng(seed)
    liked = rng.beta(share * spread, (1 - share) * spread, answers)
    which = np.repeat(np.arange(answers), each)
    return which, rng.integers(0, users, which.size), rng.random(which.size) < liked[which]


@pytest.mark.parametrize(("share", "spread"), [(0.35, 20.0), (0.05, 8.0), (0.6, 30.0)])
def test_the_approval_of_a_log_is_found(share, spread):
    found = [approval.fit(*given(seed, share, spread)) for seed in range(8)]
    assert np.mean([law.share for law in found if law]) == pytest.approx(share, rel=0.12)
    assert all(law.share <= 1.05 * share for law in found if law)  # taken low
    assert np.median([law.spread for law in found if law]) == pytest.approx(spread, rel=0.2)
    assert [law.answers for law in found if law] == [12_000] * 8


def test_users_who_like_everything_do_not_speak_for_the_others():
    answers, subjects, liked = given(4, 0.02, 50.0)
    busy = np.zeros(12_000, dtype=int), np.arange(12_000) % 400, np.ones(12_000, dtype=bool)  # one user likes all
    found = approval.fit(np.r_[answers, busy[1]], np.r_[subjects + 1, busy[0]], np.r_[liked, busy[2]])
    assert found is not None
    assert found.share == pytest.approx(0.025, abs=0.01)


def test_a_log_that_shows_too_little_has_no_approval():
    answers, subjects, liked = given(5, 0.3, 20.0)
    assert approval.fit(answers[:99], subjects[:99], liked[:99]) is None
    assert approval.fit(answers, subjects, np.zeros_like(liked)) is None


@pytest.mark.parametrize(("users", "up_votes"), [(1, 0), (12, 0), (40, 3), (200, 150)])
def test_the_chance_of_so_few_up_votes_is_that_of_a_beta_binomial(users, up_votes):
    from scipy.stats import betabinom

    law = Approval(0.3, 15.0, 1000)
    assert law.unliked_p(users, up_votes) == pytest.approx(betabinom.cdf(up_votes, users, 4.5, 10.5), rel=1e-6)


def test_no_readers_show_nothing():
    assert RATED.unliked_p(0, 0) == RATED.unliked_p(-3, 0) == RATED.unliked_p(2, 2) == 1.0
    assert RATED.unliked_p(10**6, 0) <= RATED.unliked_p(50, 0) < 1e-6


def test_approval_is_measured_on_the_answers_that_nobody_corrected(log):
    for number in range(300):
        response = ("Right.", "Outdated.", "")[number % 3]
        asked = log.ask(f"u{number}", "What?", response, number)
        if number % 3 == 1 or number % 6 == 0:  # half of the right answers, all outdated ones
            log.say(asked, f"u{number}", "rating", value=1.0, hours=number)
    interactions, feedback = log.tables()
    found = approval.of_log(interactions, feedback, ["Outdated."])
    assert found is not None
    assert found.answers == 100
    assert found.share == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize(
    ("users", "corrections", "share", "size"),
    [(500, 400, 0.02, 10), (612, 400, 0.02, 12), (500, 99, 0.02, 0), (24, 400, 0.02, 0), (25, 400, 0.02, 1),
     (500, 400, 0.0, 0), (500, 400, 0.1, 50)],
)  # fmt: skip
def test_a_coalition_is_a_share_of_the_users_where_an_attack_is_possible(users, corrections, share, size):
    assert Audience(users, corrections, share=share).coalition() == size


@pytest.mark.parametrize("share", [-0.01, 0.5, 2.0, float("nan")])
def test_an_impossible_share_is_refused(share):
    with pytest.raises(ValueError, match="coalition_share must lie in"):
        Audience(500, 400, share=share)


def test_only_what_a_coalition_cannot_give_confirms_a_claim():
    rated = Audience(500, 400, RATED)
    assert rated.confirms(11, 11, 0, 0)  # more than a coalition has
    assert not rated.confirms(10, 10, 0, 0)
    assert rated.confirms(10, 10, 9, 0)  # nobody of nine others liked it: 0.6^9 = 1 %
    assert not rated.confirms(10, 10, 9, 1)
    assert not rated.confirms(3, 3, 9, 0)  # seven of the nine may belong to it
    assert rated.confirms(3, 3, 16, 0)
    assert not LARGE.confirms(3, 3, 400, 0)  # nobody rates: silence says nothing
    assert not rated.confirms(9, 12, 0, 0)  # three of the twelve are not believed


def test_the_note_of_the_deduplication_is_read():
    note = {"users": 500, "corrections": 400, "approval": {"share": 0.4, "spread": 400.0, "answers": 5000}}
    assert audience_of(note) == Audience(500, 400, RATED)
    assert audience_of(note | {"approval": None}, 0.0) == Audience(500, 400, None, 0.0)


def claims(candidate):
    """Two claims of established users: three behind one, in two wordings, twelve behind the other."""
    few = [candidate(("36",), ("a", "b"), askers=40), candidate(("36", "terms"), ("c",), askers=40)]
    return [*few, candidate(("9",), tuple(f"u{i}" for i in range(12)), question="p", askers=40)]


def test_a_claim_that_a_coalition_could_have_made_alone_waits(candidate):
    rows = claims(candidate)
    inspection = poison_guard.examine(rows, 9.0, audience=LARGE)
    assert {i: (f.route, f.reason) for i, f in inspection.findings.items()} == dict.fromkeys(
        (0, 1), ("review", "unconfirmed")
    )
    assert inspection.unconfirmed == {("q", ("36",)): [0, 1]}
    assert poison_guard.inspect(rows, 9.0) == {}
    assert poison_guard.inspect(rows, 9.0, audience=Audience(500, 400, share=0.0)) == {}
    assert poison_guard.inspect(rows, 9.0, audience=Audience(500, 400, RATED)) == {}  # thirty others did not like it


def test_one_persons_word_settles_all_rows_of_a_claim(candidate):
    rows = claims(candidate)
    confirmed = poison_guard.examine(rows, 9.0, audience=LARGE, confirmed={("q", ("36",))})
    assert confirmed.findings == {}
    assert poison_guard.examine(rows, 9.0, audience=LARGE, confirmed={("q", ()), ("p", ("36",))}).unconfirmed
    waiting = router.route(rows, calibration(0.97), "run", 9.0, audience=LARGE)
    assert waiting.routes()["review"] == 2
    assert "No 10 users (2.0% of all)" in waiting.error_rate
    ((asked, users),) = waiting.asked.items()
    assert users == 3
    said = [row | {"decided": "accept" if row["candidate_id"] == asked else ""} for row in waiting.rows]
    assert router.route(said, calibration(0.97), "next", 9.0, audience=LARGE).routes()["accept"] == 3


def test_what_people_rejected_is_not_asked_for_again_as_unconfirmed(candidate):
    rows = [candidate(("36",), (name,), askers=40, correction=f"{name}: 36 months") for name in "abc"]
    rows = [row | {"decided": "reject" if row["subject"] == "a" else ""} for row in rows]
    rows.append(candidate(("9",), ("d",), question="p", askers=40))
    routed = router.route(rows, calibration(0.97), "run", 9.0, audience=LARGE)
    assert [row["reason"] for row in routed.rows] == [
        "rejected_in_review", "resembles_rejected", "resembles_rejected", "unconfirmed"
    ]  # fmt: skip
    assert routed.asked == {routed.rows[3]["candidate_id"]: 1}


def test_of_an_unconfirmed_claim_one_row_is_asked_for_and_what_most_say_first():
    rows = [candidate_row(n, route="review", reason=why) for n, why in enumerate(["unconfirmed"] * 4 + ["pushed"] * 4)]
    assert len(requests_of(rows, EMPTY)) == 8
    requests = requests_of(rows, EMPTY, asked={rows[1]["candidate_id"]: 3, rows[2]["candidate_id"]: 9})
    names = [request.candidate["interaction_id"] for request in requests]
    assert names[:2] == ["i00002", "i00001"]
    assert sorted(names[2:]) == ["i00004", "i00005", "i00006", "i00007"]


def test_texts_are_numbered_by_first_appearance_in_every_process():
    column = pa.chunked_array([["b", "a"], [], ["b", "c", "a"]], pa.string())
    assert approval._codes(column).tolist() == [0, 1, 0, 2, 1]
    assert approval._codes(pa.chunked_array([], pa.string())).size == 0
