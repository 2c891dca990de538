import math

import numpy as np
import pytest

from flywheel.components.curation.guards import corroboration
from flywheel.components.curation.guards.corroboration import Corroboration, fit, stopped_p


def log_of(seed: int, true: int = 60, errors: int = 30, mean: float = 0.3, spread: float = 12.0, rate: float = 0.003):
    """(supporters, askers) of claims drawn from the two laws, given that somebody made them."""
    rng = np.random.default_rng(seed)
    made = []
    while len(made) < true:
        n = int(rng.integers(2, 120))
        x = rng.binomial(n, rng.beta(mean * spread, (1 - mean) * spread))
        made += [(int(x), n)] * (x > 0)
    while len(made) < true + errors:
        n = int(rng.integers(2, 120))
        x = rng.binomial(n, rate)
        made += [(int(x), n)] * (x > 0)
    return made


@pytest.mark.parametrize("seed", range(4))
def test_the_laws_of_a_log_are_found(seed):
    law = fit(log_of(seed))
    assert law is not None
    assert law.mean == pytest.approx(0.3, abs=0.06)
    assert law.true_share == pytest.approx(2 / 3, abs=0.1)
    assert law.error_rate < 0.02


def test_the_laws_sum_to_one():
    law = Corroboration(0.8, 0.3, 12.0, 0.01, 50)
    x = np.arange(1, 21)
    for logs in law._log_laws(x, np.full(20, 20)):
        assert np.exp(logs).sum() == pytest.approx(1)
    assert law.pushed_p(1, 20) == pytest.approx(1)


def test_a_lone_claim_is_doubtful_when_many_could_have_made_it():
    law = Corroboration(0.8, 0.3, 12.0, 0.002, 50)
    doubts = [law.error_probability(1, n) for n in (1, 5, 20, 60)]
    assert doubts == sorted(doubts)
    assert doubts[-1] > 0.9
    assert law.error_probability(18, 60) < 1e-6


def test_a_claim_that_everybody_makes_is_pushed():
    law = Corroboration(0.8, 0.2, 20.0, 0.002, 50)
    assert law.pushed_p(12, 13) < 1e-4
    assert law.pushed_p(12, 60) > 0.3


def test_a_log_whose_questions_never_repeat_is_given_credit():
    assert fit([(1, 1)] * 500) is None
    assert fit([(3, 9)] * (corroboration.LEAST_CLAIMS - 1)) is None


def test_claims_that_stop_while_the_answer_goes_on():
    exact = math.comb(14, 12) / math.comb(62, 12)
    assert stopped_p(12, 62, 48) == pytest.approx(exact)
    assert stopped_p(12, 62, 0) == 1
    assert stopped_p(5, 5, 3) == pytest.approx(1 / math.comb(8, 5))


def test_very_many_askers_are_no_trouble():
    law = Corroboration(0.8, 0.3, 12.0, 0.002, 50)
    assert law.error_probability(300_000, 1_000_000) < 1e-6
    assert law.pushed_p(999_000, 1_000_000) < 1e-6
