from datetime import UTC, datetime
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.components.deployment.replay.reaction_evidence import Asked, Evidence
from flywheel.components.deployment.replay.reaction_model import fit
from flywheel.components.deployment.replay.replay_feedback import FeedbackReplay
from flywheel.components.deployment.replay.replay_sample import LoggedTurn, ReplayLog

NOW = datetime(2026, 11, 1, tzinfo=UTC)


def turn(number, user, question="q", answer="a", **signs):
    return LoggedTurn(
        interaction=f"{number:05d}", subject=user, messages=({"role": "user", "content": question},), response=answer,
        question=question, answer=answer, at=NOW, **signs,
    )  # fmt: skip


def a_log(users=60, turns=4, bad=0.4, seed=0, corrected=True):
    """Half of the questions are answered wrong; wrong answers draw complaints, and corrections that were accepted."""
    random = Random(seed)
    made = []
    for number in range(users * turns):
        question = random.randrange(20)
        wrong = question % 2 == 1
        complained = random.random() < (bad if wrong else 0.05)
        liked = not wrong and not complained and random.random() < 0.3
        correction = f"right {question}" if corrected and wrong and complained and random.random() < 0.7 else ""
        made.append(
            turn(number, f"u{number % users}", f"question {question}", f"{'wrong' if wrong else 'right'} {question}",
                 complained=complained, liked=liked, approved=liked, correction=correction)
        )  # fmt: skip
    return ReplayLog(tuple(made), tuple(made))


def logged(log):
    return [one.answer for one in log.sample]


def fixed(log):
    return [one.answer.replace("wrong", "right") for one in log.sample]


def test_a_fix_that_users_asked_for_lowers_complaints() -> None:
    log = a_log()
    found = FeedbackReplay(log, logged(log), fixed(log)).predict("bad_feedback", "complained", margin=0.01)
    assert found.status == "predicted"
    assert found.production == pytest.approx(np.mean([one.complained for one in log.turns]), abs=1e-9)
    assert found.difference == pytest.approx(-0.175, abs=0.06)  # half of the turns from 40 % to 5 %
    assert found.lower < -0.175 < found.upper < 0
    assert found.margin == 0.01
    worse = FeedbackReplay(log, fixed(log), logged(log)).predict("bad_feedback", "complained")
    assert worse.difference == pytest.approx(-found.difference, abs=1e-9)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), bad=st.floats(0.15, 0.9), swap=st.booleans())
def test_a_candidate_like_production_changes_nothing(seed: int, bad: float, swap: bool) -> None:
    log = a_log(seed=seed, bad=bad)
    answers = fixed(log) if swap else logged(log)
    found = FeedbackReplay(log, answers, [text.upper() + " " for text in answers]).predict("bad_feedback", "complained")
    assert found.status == "predicted"
    assert found.difference == 0
    assert found.lower < 0 < found.upper  # no change in a sample is no proof of none
    assert found.upper == pytest.approx(-found.lower)
    assert found.upper < 0.1


def test_the_same_log_gives_the_same_prediction_in_any_order() -> None:
    log = a_log()
    one = FeedbackReplay(log, logged(log), fixed(log), seed=3).predict("bad_feedback", "complained")
    backwards = ReplayLog(log.turns[::-1], log.sample)
    other = FeedbackReplay(backwards, logged(log), fixed(log), seed=3).predict("bad_feedback", "complained")
    assert other.difference == pytest.approx(one.difference, abs=1e-6)
    assert other.lower == pytest.approx(one.lower, abs=1e-6)


def test_fewer_users_give_a_wider_interval() -> None:
    few, many = a_log(users=40), a_log(users=400)
    widths = [
        found.upper - found.lower
        for log in (few, many)
        for found in [FeedbackReplay(log, logged(log), fixed(log)).predict("bad_feedback", "complained")]
    ]
    assert widths[1] < 0.6 * widths[0]


def test_answers_like_nothing_in_the_log_are_not_guessed_at() -> None:
    log = a_log()
    found = FeedbackReplay(log, logged(log), ["something else"] * len(log.sample)).predict("bad_feedback", "complained")
    assert found.status == "missing"
    assert found.reason.startswith("unsupported: 240 of 240 changed answers")
    assert found.difference is None


def test_a_few_unknown_answers_widen_the_interval() -> None:
    log = a_log()
    sure = FeedbackReplay(log, logged(log), fixed(log)).predict("bad_feedback", "complained")
    answers = ["something else" if number % 6 == 0 else text for number, text in enumerate(fixed(log))]
    unsure = FeedbackReplay(log, logged(log), answers).predict("bad_feedback", "complained")
    assert "silent answers bounded" in unsure.method
    assert unsure.upper - unsure.lower > sure.upper - sure.lower + 0.02


def test_answers_that_failed_count_as_unknown() -> None:
    log = a_log()
    found = FeedbackReplay(log, logged(log), [None] * len(log.sample)).predict("bad_feedback", "complained")
    assert found.status == "missing"


def test_an_answer_to_another_question_is_no_evidence() -> None:
    """Liked on one question, an answer says nothing about another that it does not answer."""
    turns = [turn(number, f"u{number}", "opening hours", "nine to five", liked=True) for number in range(30)]
    turns += [turn(100 + number, f"u{number}", "price", "ten euros", liked=True) for number in range(30)]
    evidence = Evidence(turns)
    asked = [Asked(turns[40], answer, "") for answer in ("ten euros", "nine to five")]
    rows, known = evidence.features(asked, "complained", 0.2)
    assert known.tolist() == [True, False]
    assert rows[0, 1] > 0 > rows[1, 1]


def test_a_users_own_word_is_no_evidence_on_the_answer_it_was_about() -> None:
    turns = [turn(0, "u0", complained=True, correction="b"), turn(1, "u1", liked=True)]
    evidence = Evidence(turns)
    (own,), _ = evidence.features([Asked(turns[0], "a", "u0")], "complained", 0.5)
    (all_of_it,), _ = evidence.features([Asked(turns[0], "a", "")], "complained", 0.5)
    assert own[1] > all_of_it[1]
    assert own[3] < 0  # one other user, who did not complain
    assert all_of_it[3] == pytest.approx(0)


@pytest.mark.parametrize(
    ("log", "code"),
    [
        (ReplayLog((), ()), "no-log"),
        (a_log(users=12, turns=20), "too-few-users: 12"),
        (a_log(bad=0.0, users=40, turns=1), "too-few-reactions"),
    ],
)
def test_a_log_that_supports_nothing_predicts_nothing(log: ReplayLog, code: str) -> None:
    found = FeedbackReplay(log, logged(log), fixed(log)).predict("bad_feedback", "complained")
    assert found.status == "missing"
    assert found.reason.startswith(code)
    assert FeedbackReplay(log, logged(log), fixed(log)).same_answers == (
        None if not log.sample else pytest.approx(0.5, abs=0.2)
    )


def test_the_regression_is_calibrated_and_matches_statsmodels() -> None:
    random = np.random.default_rng(5)
    features = np.column_stack([np.ones(800), random.standard_normal((800, 3))])
    chance = 1 / (1 + np.exp(-(features @ [-1.0, 0.8, 0.0, -0.5])))
    reacted, users = random.random(800) < chance, random.integers(0, 200, 800)
    model = fit(features, reacted, users)
    assert model.chances(features).mean() == pytest.approx(reacted.mean(), abs=1e-9)  # no penalty on the first
    sm = pytest.importorskip("statsmodels.api")
    exact = sm.Logit(reacted.astype(float), features).fit(disp=0).params
    assert model.coefficients == pytest.approx(exact, abs=0.02)  # the penalty is one turn's worth


def test_one_newton_step_is_close_to_a_refit() -> None:
    random = np.random.default_rng(6)
    features = np.column_stack([np.ones(600), random.standard_normal((600, 2))])
    reacted = random.random(600) < 1 / (1 + np.exp(-(features @ [-0.5, 1.0, -0.7])))
    users = np.arange(600) // 3
    model = fit(features, reacted, users)
    weights = random.multinomial(200, np.full(200, 1 / 200))
    again = np.repeat(np.arange(600), weights[users])
    refit = fit(features[again], reacted[again], users[again])
    (step,) = model.resampled(weights[None, :].astype(float))
    assert step == pytest.approx(refit.coefficients, abs=0.12)
    assert np.abs(step - refit.coefficients).max() < np.abs(model.coefficients - refit.coefficients).max()


def test_a_reaction_of_everybody_cannot_be_fitted() -> None:
    with pytest.raises(ValueError, match="cannot be fitted"):
        fit(np.ones((5, 1)), np.ones(5, dtype=bool), np.arange(5))
