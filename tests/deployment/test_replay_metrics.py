import math

import numpy as np
import pytest
from scipy import stats

from flywheel.components.deployment.replay.replay_answers import measure_latency, replay
from flywheel.components.deployment.replay.replay_metrics import error_difference, ratio_of_geometric_means
from flywheel.components.deployment.serving.greedy_generation import Answer


def test_no_error_in_a_sample_is_no_proof_of_none() -> None:
    users = [f"u{number // 2}" for number in range(200)]
    found = error_difference("errors", users, [False] * 200, [False] * 200, margin=0.005)
    assert (found.production, found.candidate, found.difference) == (0, 0, 0)
    bound = stats.beta.ppf(1 - 0.0125, 1, 100)  # Clopper-Pearson for 0 of 100 users, half the error to each direction
    assert found.upper == pytest.approx(bound, abs=1e-9)
    assert found.lower == pytest.approx(-bound, abs=1e-9)


def test_errors_of_the_candidate_alone_are_harm() -> None:
    users = [f"u{number}" for number in range(100)]
    found = error_difference("errors", users, [False] * 100, [number < 30 for number in range(100)])
    assert found.difference == pytest.approx(0.3)
    assert 0.1 < found.lower < 0.3 < found.upper < 0.45
    same = error_difference("errors", users, [True] * 100, [True] * 100)
    assert same.difference == 0
    assert same.lower < 0 < same.upper


def test_limits_of_errors_hold_the_truth() -> None:
    """Users of one to three prompts, correlated failures of both models: coverage at least nominal."""
    random, held = np.random.default_rng(3), 0
    for _ in range(300):
        sizes = random.integers(1, 4, 80)
        users = np.repeat(np.arange(80), sizes)
        prone = np.repeat(random.random(80) < 0.2, sizes)
        before = prone & (random.random(users.size) < 0.3)
        after = prone & (random.random(users.size) < 0.7)
        found = error_difference("errors", [str(user) for user in users], before.tolist(), after.tolist())
        held += found.lower <= 0.2 * 0.4 <= found.upper
    assert held / 300 >= 0.95 - 3 * math.sqrt(0.05 * 0.95 / 300)


def test_a_ratio_is_paired_by_prompt_and_clustered_by_user() -> None:
    random = np.random.default_rng(4)
    users = [f"u{number // 2}" for number in range(120)]
    before = np.exp(random.normal(3, 0.8, 120))
    after = before * 1.25 * np.exp(random.normal(0, 0.05, 120))
    found = ratio_of_geometric_means("latency", users, before.tolist(), after.tolist(), "timed")
    assert found.difference == pytest.approx(1.25, abs=0.03)
    assert 1.1 < found.lower < 1.25 < found.upper < 1.4  # unpaired it would be wider than 0.8 to 1.9
    assert found.difference == pytest.approx(found.candidate / found.production)


def test_an_equal_sample_leaves_room_for_a_difference() -> None:
    found = ratio_of_geometric_means("cost", [f"u{n}" for n in range(50)], [7.0] * 50, [7.0] * 50, "tokens")
    assert found.difference == 1
    assert 0.9 < found.lower < 1 < found.upper < 1.1


def test_ratios_need_users_and_positive_values() -> None:
    few = ratio_of_geometric_means("cost", ["a", "b"], [1.0, 2.0], [1.0, None], "tokens")
    assert few.status == "missing"
    assert few.reason == "too-few-users: measured on 1 users, 10 are needed"
    with pytest.raises(ValueError, match="cost: values must be positive"):
        ratio_of_geometric_means("cost", ["a", "b"], [0.0, 2.0], [1.0, 1.0], "tokens")


class Parrot:
    """A model that says the last word, and cannot take some prompts."""

    def __init__(self, fails: str = "") -> None:
        self.fails, self.calls = fails, []

    def answer(self, chats):
        self.calls.append(len(chats))
        if self.fails and any(self.fails in chat[-1]["content"] for chat in chats):
            raise RuntimeError("out of memory")
        return [Answer(chat[-1]["content"].split()[-1], 1, 2, True) for chat in chats]


def chats(count: int):
    return [[{"role": "user", "content": f"{'x' * (count - number)} say w{number}."}] for number in range(count)]


def test_answers_come_back_in_order_whatever_their_length() -> None:
    made = replay(Parrot(), chats(70))
    assert made.texts == [f"w{number}." for number in range(70)]
    assert made.tokens == [2] * 70
    assert not made.failures


def test_a_prompt_that_a_model_cannot_take_costs_one_answer() -> None:
    model = Parrot(fails="w13.")
    made = replay(model, chats(70))
    assert made.texts == [None if number == 13 else f"w{number}." for number in range(70)]
    assert made.failures == {"RuntimeError: out of memory": 1}
    assert model.calls.count(1) == 32  # only its batch was asked again


def test_latency_is_measured_on_both_models_and_not_where_one_failed() -> None:
    made = replay(Parrot("w0."), chats(9)), replay(Parrot(), chats(9))
    measure_latency(Parrot(), Parrot(), chats(9), made, most=5)
    timed = [[value is not None for value in side.latency_ms] for side in made]
    assert timed[0] == timed[1]
    assert sum(timed[0]) == 5
    assert not timed[0][0]
    measure_latency(Parrot(), Parrot(), chats(9), made, most=0)
