import numpy as np
import pytest

from flywheel.components.statistics.paired_binary import noninferiority_p, tango_interval
from flywheel.components.statistics.win_rate import win_rate, win_rate_noninferiority_p, win_rate_superiority_p

WORDS = np.array(["candidate", "tie", "production"])


def judged(seed, n=200, good=0.5):
    rng = np.random.default_rng(seed)
    first = WORDS[rng.choice(3, n, p=[good, 0.2, 0.8 - good])]
    swapped = np.where(rng.random(n) < 0.8, first, WORDS[rng.choice(3, n)])
    return list(first), list(swapped)


def test_counts_by_hand():
    first = ["candidate", "candidate", "production", "tie", "candidate", "tie"]
    swapped = ["candidate", "production", "production", "tie", "tie", "tie"]
    result = win_rate(first, swapped)
    assert (result.wins, result.losses, result.ties, result.inconsistent, result.n) == (1, 1, 4, 2, 6)
    assert result.estimate == 0.5


def test_a_judge_that_loves_the_first_place_sees_no_winner():
    result = win_rate(["candidate"] * 500, ["production"] * 500)
    assert result.estimate == 0.5 and result.inconsistent == 500
    assert result.interval.contains(0.5) and result.interval.width < 0.02


def test_independent_pairs_are_close_to_tango():
    first, swapped = judged(0, 2000)
    result = win_rate(first, swapped)
    tango = tango_interval(result.losses, result.wins, 2000)
    assert result.interval.lower == pytest.approx((1 + tango.lower) / 2, abs=1e-4)
    assert result.interval.upper == pytest.approx((1 + tango.upper) / 2, abs=1e-4)


def test_swapping_the_models_mirrors():
    first, swapped = judged(1)
    mirror = {"candidate": "production", "production": "candidate", "tie": "tie"}
    here = win_rate(first, swapped)
    there = win_rate([mirror[word] for word in swapped], [mirror[word] for word in first])
    assert there.estimate == pytest.approx(1 - here.estimate)
    assert there.interval.lower == pytest.approx(1 - here.interval.upper)


def test_a_clean_sweep_is_not_certainty():
    result = win_rate(["candidate"] * 10, ["candidate"] * 10)
    assert result.estimate == 1.0
    assert 0.6 < result.interval.lower < 0.9


def test_clusters_widen_the_interval():
    first, swapped = judged(2, 100)
    single = win_rate(first, swapped)
    repeated = win_rate(first * 6, swapped * 6, list(range(100)) * 6)
    assert repeated.clusters == 100
    assert repeated.interval.width == pytest.approx(single.interval.width, rel=0.05)
    assert win_rate(first * 6, swapped * 6).interval.width < 0.6 * repeated.interval.width


def test_superiority_follows_the_preference():
    assert win_rate_superiority_p(*judged(3, 300, good=0.6)) < 0.01
    assert win_rate_superiority_p(*judged(3, 300, good=0.2)) > 0.9


@pytest.mark.parametrize(
    ("first", "swapped", "clusters"),
    [
        ([], [], None),
        (["tie"], ["tie", "tie"], None),
        (["A", "tie"], ["tie", "tie"], None),
        (["tie", "tie"], ["tie", "tie"], [1, 1]),
        (["tie", None], ["tie", "tie"], None),
    ],
)
def test_bad_input_raises(first, swapped, clusters):
    with pytest.raises(ValueError, match="verdicts|clusters"):
        win_rate(first, swapped, clusters)


def test_noninferiority_of_independent_pairs_is_the_paired_test_at_twice_the_margin():
    first, swapped = judged(6, n=40, good=0.4)
    result = win_rate(first, swapped)
    exact = noninferiority_p(result.losses, result.wins, 40, 0.3)
    assert win_rate_noninferiority_p(first, swapped, margin=0.15) == pytest.approx(exact, abs=0.03)


def test_noninferiority_follows_the_evidence():
    even, worse = judged(7, n=1500, good=0.4), judged(7, n=1500, good=0.25)
    assert win_rate_noninferiority_p(*even, margin=0.05) < 0.01
    assert win_rate_noninferiority_p(*worse, margin=0.05) > 0.9
    users = np.arange(1500) // 300
    assert win_rate_noninferiority_p(*even, users, 0.05) > win_rate_noninferiority_p(*even, margin=0.05)


@pytest.mark.parametrize("margin", [0, 0.5, -0.1, float("nan")])
def test_noninferiority_needs_a_margin(margin):
    with pytest.raises(ValueError, match="margin must lie"):
        win_rate_noninferiority_p(["tie"] * 9, ["tie"] * 9, margin=margin)
