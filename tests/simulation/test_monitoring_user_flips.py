"""Why users' signs are flipped and not their blocks swapped: windows of unequal length."""

import numpy as np
import pytest
from scipy import stats

from flywheel.components.monitoring import user_flips
from flywheel.components.statistics.permutation import two_sample_permutation_p

WORLDS = 300


def p_values(seed: int, spread: float) -> tuple[float, float]:
    """p-values of the swap and of the flips in a stable world: 60 users, 20 rows each before, 3 now."""
    random = np.random.default_rng(seed)
    level = random.beta(2 / spread, 6 / spread, 60)
    before, now = (np.repeat(np.arange(60), 1 + random.poisson(rows, 60)) for rows in (20, 2))
    old, new = (random.random(who.size) < level[who] for who in (before, now))
    swapped = two_sample_permutation_p(
        lambda x, y: abs(x.mean() - y.mean()), old, new, before, now, permutations=199, seed=seed
    )
    values = np.concatenate([old, new]).astype(np.float64)[:, None]
    sums = user_flips.user_sums(values, np.arange(values.size) >= old.size, np.concatenate([before, now]))
    return swapped, user_flips.flip_p(lambda moved: np.abs(moved[:, 0]), sums, 499, seed)[1]


@pytest.mark.simulation
def test_flips_keep_the_level_where_swaps_do_not() -> None:
    alike = np.array([p_values(seed, 1 / 30) for seed in range(WORLDS)])
    apart = np.array([p_values(seed, 1.0) for seed in range(WORLDS)])
    most = stats.binom.isf(0.001, WORLDS, 0.05)
    assert (alike[:, 1] <= 0.05).sum() <= most
    assert (apart[:, 1] <= 0.05).sum() <= most
    assert (alike[:, 0] <= 0.05).mean() > 0.1  # the usual permutation, were it used
