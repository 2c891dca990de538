import math

import numpy as np
import pytest

from flywheel.components.statistics.binomial_bounds import clopper_pearson
from flywheel.components.statistics.prediction_powered import (
    ppi_mean,
    ppi_noninferiority_p,
    ppi_paired_difference,
    ppi_superiority_p,
)


def world(seed, n_judge=2000, n_human=150, good=0.7, tpr=0.92, fpr=0.35):
    rng = np.random.default_rng(seed)
    truth = rng.random(n_judge + n_human) < good
    judge = np.where(truth, rng.random(truth.size) < tpr, rng.random(truth.size) < fpr).astype(float)
    return judge[n_human:], judge[:n_human], truth[:n_human].astype(float)


def test_bias_is_removed_where_the_judge_alone_fails():
    wide, judge, human = world(0)
    result = ppi_mean(wide, judge, human)
    assert abs(wide.mean() - 0.7) > 0.03
    assert result.interval.contains(0.7)
    assert (
        not wide.mean() - 1.96 * wide.std() / math.sqrt(2000) < 0.7 < wide.mean() + 1.96 * wide.std() / math.sqrt(2000)
    )


def test_narrower_than_humans_alone():
    wide, judge, human = world(1, tpr=0.95, fpr=0.1)
    alone = 1.96 * human.std(ddof=1) / math.sqrt(human.size)
    assert ppi_mean(wide, judge, human).interval.width / 2 < 0.75 * alone


def test_weight_minimises_the_variance():
    wide, judge, human = world(2, n_judge=5000, n_human=800)
    lam = ppi_mean(wide, judge, human).lam
    grid = np.linspace(0, 1, 1001)
    variances = [(human - w * judge).var() / 800 + w**2 * np.concatenate([wide, judge]).var() / 5000 for w in grid]
    assert lam == pytest.approx(grid[int(np.argmin(variances))], abs=0.03)


def test_error_rates_are_reported():
    judge = [1, 1, 1, 0, 1, 0, 0, 0, 1, 1]
    human = [1, 1, 1, 1, 0, 0, 0, 0, 1, 1]
    result = ppi_mean([1, 0, 1], judge, human)
    assert result.judge_tpr == pytest.approx(5 / 6)
    assert result.judge_fpr == pytest.approx(1 / 4)
    assert (result.n_human, result.n_judged) == (10, 3)
    assert result.judge_tpr_interval == clopper_pearson(5, 6)
    assert result.judge_fpr_interval == clopper_pearson(1, 4)


def test_error_rate_intervals_count_users_and_pairs_not_answers():
    """Labels of few users, and the two answers to a prompt, are no more evidence about the judge than the users are."""
    wide, judge, human = world(7, 300, 80)
    single = ppi_mean(wide, judge, human).judge_tpr_interval
    users = ppi_mean(wide, judge, human, clusters_labelled=np.arange(80) // 8).judge_tpr_interval
    assert users.lower < single.lower and users.upper > single.upper
    paired = ppi_paired_difference((wide, wide), (judge, judge), (human, human))
    assert paired.judge_tpr_interval == single


def test_error_rates_without_both_kinds_or_with_graded_labels_are_none():
    assert ppi_mean([1, 0], [1.0] * 10, [1.0] * 10).judge_fpr is None
    assert ppi_mean([1, 0], [1.0] * 10, [1.0] * 10).judge_fpr_interval is None
    assert ppi_mean([1, 0], np.linspace(0, 1, 10), np.linspace(0.2, 0.8, 10)).judge_tpr is None


def test_a_useless_judge_is_ignored():
    rng = np.random.default_rng(3)
    human = (rng.random(400) < 0.6).astype(float)
    result = ppi_mean(np.full(1000, 0.5), np.full(400, 0.5), human)
    assert result.lam == 0 and result.estimate == pytest.approx(human.mean())
    assert ppi_mean(rng.random(1000), 1 - human, human).lam == 0  # an inverted judge gets no weight either


def test_ten_perfect_labels_do_not_prove_a_perfect_judge():
    result = ppi_mean(np.ones(5000), np.ones(10), np.ones(10))
    assert result.interval.lower < 0.75 and result.interval.upper == 1.0


def test_clusters_widen():
    wide, judge, human = world(4, 300, 60)
    single = ppi_mean(wide, judge, human)
    repeated = ppi_mean(
        np.tile(wide, 5), np.tile(judge, 5), np.tile(human, 5), 0.95, list(range(300)) * 5, list(range(60)) * 5
    )
    assert repeated.standard_error == pytest.approx(single.standard_error, rel=0.1)
    assert ppi_mean(np.tile(wide, 5), np.tile(judge, 5), np.tile(human, 5)).standard_error < 0.6 * single.standard_error


def test_paired_difference_of_equal_arms_is_zero_and_of_a_worse_one_negative():
    wide, judge, human = world(5)
    same = ppi_paired_difference((wide, wide), (judge, judge), (human, human))
    assert same.estimate == 0 and same.interval.contains(0)
    rng = np.random.default_rng(6)
    broken = human * (rng.random(human.size) < 0.8)
    broken_judge = np.where(broken == human, judge, 0.0)
    broken_wide = wide * (rng.random(wide.size) < 0.85)
    worse = ppi_paired_difference((broken_wide, wide), (broken_judge, judge), (broken, human))
    assert worse.interval.upper < 0
    assert ppi_noninferiority_p(worse, 0.05) > 0.9
    assert ppi_noninferiority_p(same, 0.1) < 0.01
    assert ppi_superiority_p(worse) > 0.9 and ppi_superiority_p(same) == 0.5
    assert ppi_superiority_p(ppi_paired_difference((wide, broken_wide), (judge, broken_judge), (human, broken))) < 0.01


def test_no_human_labels_no_number():
    with pytest.raises(ValueError, match="at least 10 labels"):
        ppi_mean(np.ones(100), [], [])
    with pytest.raises(ValueError, match="at least 10 labels"):
        ppi_mean(np.ones(100), np.ones(9), np.ones(9))


@pytest.mark.parametrize(
    "call",
    [
        lambda: ppi_mean([], np.ones(10), np.ones(10)),
        lambda: ppi_mean(np.ones(5), np.ones(11), np.ones(10)),
        lambda: ppi_mean(np.ones(5), np.full(10, math.nan), np.ones(10)),
        lambda: ppi_mean(np.full(5, 3.0), np.ones(10), np.ones(10)),
        lambda: ppi_mean(np.ones(5), np.ones(10), np.ones(10), 0),
        lambda: ppi_paired_difference((np.ones(5), np.ones(4)), (np.ones(10),) * 2, (np.ones(10),) * 2),
        lambda: ppi_paired_difference((np.ones(5),) * 2, (np.ones(10), np.ones(11)), (np.ones(10), np.ones(11))),
    ],
)
def test_bad_input_raises(call):
    with pytest.raises(ValueError, match="must|needs|differ|holds"):
        call()
