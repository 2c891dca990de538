import math

import numpy as np
import pytest
from scipy import stats

from flywheel.components.statistics.permutation import two_sample_permutation_p


def distance(x, y):
    return abs(float(x.mean() - y.mean()))


def test_matches_scipy_on_plain_rows():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=60), rng.normal(0.35, 1, size=80)
    ours = two_sample_permutation_p(distance, x, y, permutations=4999)
    oracle = stats.permutation_test((x, y), distance, n_resamples=4999, alternative="greater", rng=rng).pvalue
    assert ours == pytest.approx(oracle, abs=0.02)


def test_a_shift_is_found_and_p_is_never_zero():
    rng = np.random.default_rng(1)
    assert two_sample_permutation_p(distance, rng.normal(size=50), rng.normal(3, 1, 50)) == 1 / 1000


def test_chatty_users_are_one_unit():
    rng = np.random.default_rng(2)
    taste = rng.normal(size=20)
    x, y = np.repeat(taste[:10], 100), np.repeat(taste[10:], 100)
    naive = two_sample_permutation_p(distance, x, y)
    grouped = two_sample_permutation_p(distance, x, y, np.repeat(np.arange(10), 100), np.repeat(np.arange(10, 20), 100))
    assert naive < 0.05 < 0.1 < grouped


def test_users_in_both_samples_swap_their_blocks():
    rng = np.random.default_rng(3)
    taste = np.repeat(rng.normal(0, 5, 30), 4)
    users = np.repeat(np.arange(30), 4)
    x, y = taste + rng.normal(size=120), taste + 0.8 + rng.normal(size=120)
    paired = two_sample_permutation_p(distance, x, y, users, users)
    apart = two_sample_permutation_p(distance, x, y, users, users + 1000)
    assert paired < 0.01 < apart


def test_rows_of_one_user_stay_together():
    seen = []

    def record(x, y):
        seen.append((set(x.tolist()), set(y.tolist())))
        return 0.0

    labels = np.array(["a", "a", "b", "c", "c", "d"])
    rows = np.arange(6)
    two_sample_permutation_p(record, rows[:3], rows[3:], labels[:3], labels[3:], permutations=99)
    assert len({tuple(sorted(left)) for left, _ in seen}) > 3
    for left, right in seen:
        assert {0, 1} <= left or {0, 1} <= right
        assert {3, 4} <= left or {3, 4} <= right
        assert left | right == set(range(6)) and not left & right


def test_row_indices_serve_a_kernel():
    rng = np.random.default_rng(4)
    points = np.concatenate([rng.normal(size=(40, 3)), rng.normal(1.0, 1, (40, 3))])
    kernel = np.exp(-((points[:, None] - points[None]) ** 2).sum(-1) / 3)

    def mmd(a, b):
        return kernel[np.ix_(a, a)].mean() + kernel[np.ix_(b, b)].mean() - 2 * kernel[np.ix_(a, b)].mean()

    assert two_sample_permutation_p(mmd, np.arange(40), np.arange(40, 80), permutations=199) == 1 / 200


def test_seed_decides():
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=30), rng.normal(0.3, 1, size=30)
    runs = [two_sample_permutation_p(distance, x, y, permutations=199, seed=seed) for seed in (1, 1, 2)]
    assert runs[0] == runs[1] != runs[2]


@pytest.mark.parametrize(
    "call",
    [
        lambda: two_sample_permutation_p(distance, [], [1.0]),
        lambda: two_sample_permutation_p(distance, [math.nan], [1.0]),
        lambda: two_sample_permutation_p(distance, 1.0, [1.0]),
        lambda: two_sample_permutation_p(distance, np.ones((3, 2)), np.ones((3, 4))),
        lambda: two_sample_permutation_p(distance, [1.0, 2.0], [1.0], ["a", "b"], None),
        lambda: two_sample_permutation_p(distance, [1.0, 2.0], [1.0], ["a"], ["b"]),
        lambda: two_sample_permutation_p(distance, [1.0, 2.0], [1.0], ["a", None], ["b"]),
        lambda: two_sample_permutation_p(distance, [1.0, 2.0], [1.0], ["a", "a"], ["a"]),
        lambda: two_sample_permutation_p(distance, [1.0, 2.0], [1.0], permutations=5),
        lambda: two_sample_permutation_p(lambda x, y: math.nan, [1.0, 2.0], [1.0]),
    ],
)
def test_bad_input_raises(call):
    with pytest.raises(ValueError, match="must|needs|empty|holds?|differ|groups|NaN"):
        call()
