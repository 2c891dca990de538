import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar

from flywheel.components.statistics.paired_binary import (
    mcnemar_exact,
    noninferiority_p,
    score_statistic,
    superiority_p,
    tango_interval,
)


@st.composite
def tables(draw, largest=400):
    n = draw(st.integers(1, largest))
    b = draw(st.integers(0, n))
    return b, draw(st.integers(0, n - b)), n


@given(st.integers(0, 200), st.integers(0, 200))
def test_mcnemar_matches_statsmodels(b, c):
    oracle = mcnemar([[5, b], [c, 5]], exact=True).pvalue
    assert mcnemar_exact(b, c) == pytest.approx(oracle if b + c else 1.0, rel=1e-9)


@given(st.integers(0, 100), st.integers(0, 100))
def test_mcnemar_is_symmetric(b, c):
    assert mcnemar_exact(b, c, "greater") == pytest.approx(mcnemar_exact(c, b, "less"), rel=1e-12)
    assert mcnemar_exact(b, c) == mcnemar_exact(c, b)
    assert superiority_p(b, c) == mcnemar_exact(b, c, "greater")


def test_more_positive_flips_are_evidence_for_the_candidate():
    assert superiority_p(2, 15) < 0.01 < 0.99 < superiority_p(15, 2)


@pytest.mark.parametrize(
    ("b", "c", "n", "lower", "upper"),
    [
        # Airway hyper-responsiveness (Bentur 2009) in Fagerland, Lydersen & Laake (2014), Stat. Med. 33:2850.
        (7, 1, 21, -0.517, -0.026),
        # Crossover trial of soft contact lens care in Tango (1998), table II.
        (1, 0, 44, -0.118, 0.059),
    ],
)
def test_tango_published_examples(b, c, n, lower, upper):
    interval = tango_interval(b, c, n)
    assert interval.lower == pytest.approx(lower, abs=6e-4)
    assert interval.upper == pytest.approx(upper, abs=6e-4)


def restricted_score(b, c, n, difference):
    """Score statistic with the restricted estimate found by brute force on the likelihood."""
    q = np.linspace(max(0, -difference) + 1e-9, (1 - difference) / 2 - 1e-9, 400_001)
    likelihood = b * np.log(q) + c * np.log(q + difference) + (n - b - c) * np.log(1 - 2 * q - difference)
    best = q[likelihood.argmax()]
    return (c - b - n * difference) / math.sqrt(n * (2 * best + difference * (1 - difference)))


@pytest.mark.parametrize(("b", "c", "n"), [(3, 9, 50), (40, 20, 160), (12, 10, 300), (1, 30, 80)])
@pytest.mark.parametrize("difference", [-0.3, -0.05, 0.02, 0.2])
def test_score_statistic_uses_the_restricted_likelihood(b, c, n, difference):
    assert float(score_statistic(b, c, n, difference)) == pytest.approx(
        restricted_score(b, c, n, difference), rel=1e-4, abs=1e-4
    )


@given(tables())
def test_interval_limits_solve_the_score_equation(table):
    b, c, n = table
    interval = tango_interval(b, c, n)
    estimate = (c - b) / n
    assert -1 <= interval.lower <= estimate <= interval.upper <= 1
    z = stats.norm.ppf(0.975)
    if interval.lower > -1:
        assert float(score_statistic(b, c, n, interval.lower)) == pytest.approx(z, abs=1e-5)
    if interval.upper < 1:
        assert float(score_statistic(b, c, n, interval.upper)) == pytest.approx(-z, abs=1e-5)


@given(tables())
def test_interval_is_antisymmetric(table):
    b, c, n = table
    here, mirrored = tango_interval(b, c, n), tango_interval(c, b, n)
    assert here.lower == pytest.approx(-mirrored.upper, abs=1e-9)
    assert here.upper == pytest.approx(-mirrored.lower, abs=1e-9)


def test_no_discordance_still_has_width():
    interval = tango_interval(0, 0, 30)
    z2 = stats.norm.ppf(0.975) ** 2
    assert interval.upper == pytest.approx(z2 / (30 + z2), rel=1e-6)


@given(tables(), st.sampled_from(["exact", "score"]), st.sampled_from([0.01, 0.02, 0.05, 0.2]))
@settings(max_examples=150, deadline=None)
def test_noninferiority_is_monotone(table, method, margin):
    b, c, n = table
    p = noninferiority_p(b, c, n, margin, method)
    assert 0 <= p <= 1
    assert noninferiority_p(b, c, n, margin * 1.5, method) <= p + 1e-3
    if b + c < n:
        assert noninferiority_p(b + 1, c, n, margin, method) >= p - 1e-3
        assert noninferiority_p(b, c + 1, n, margin, method) <= p + 1e-3


@given(tables())
def test_score_p_agrees_with_the_tango_interval(table):
    b, c, n = table
    lower = tango_interval(b, c, n, 0.9).lower
    if 1e-6 < -lower < 1 - 1e-6:
        assert noninferiority_p(b, c, n, -lower, "score") == pytest.approx(0.05, abs=1e-6)


@pytest.mark.parametrize(("n", "margin"), [(6, 0.3), (12, 0.2), (20, 0.1)])
def test_exact_p_matches_full_enumeration(n, margin):
    """Sum every table at least as favourable over the whole nuisance range; Berger-Boos may only be smaller."""
    everything = [(b, c) for b in range(n + 1) for c in range(n + 1 - b)]
    ranks = {table: float(score_statistic(*table, n, -margin)) for table in everything}
    for b, c in [(0, 0), (0, 2), (1, 2), (2, 2), (3, 1), (0, n // 2)]:
        region = [table for table in everything if ranks[table] >= ranks[b, c] - 1e-9]
        counts = np.array([(i, j, n - i - j) for i, j in region])
        worst = max(
            stats.multinomial.pmf(counts, n, [q, q - margin, 1 - 2 * q + margin]).sum()
            for q in np.linspace(margin, (1 + margin) / 2, 200)
        )
        p = noninferiority_p(b, c, n, margin)
        assert p <= 1.01 * worst + 2e-3
        assert p >= 0.25 * worst or p <= 2e-4


@pytest.mark.parametrize(("n", "margin"), [(135, 0.02), (100, 0.03), (300, 0.02), (50, 0.05)])
@pytest.mark.parametrize("extra", [0.0005, 0.02, 0.05])
def test_exact_size_is_guaranteed(n, margin, extra):
    """True size by summation, no simulation: at the margin, few positive flips, where the score test is too generous."""
    q = margin + extra
    size = 0.0
    for b in range(int(stats.binom.isf(1e-9, n, q)) + 1):
        free = n - b
        rate = (q - margin) / (1 - q)
        most = int(stats.binom.isf(1e-9, free, rate))
        needed = next((c for c in range(most + 1) if noninferiority_p(b, c, n, margin) <= 0.05), None)
        if needed is not None:
            size += stats.binom.pmf(b, n, q) * stats.binom.sf(needed - 1, free, rate)
    assert size <= 0.05


def test_zero_flips_need_enough_items():
    needed = next(n for n in range(1, 400) if noninferiority_p(0, 0, n, 0.02) <= 0.05)
    assert needed == math.ceil(math.log(0.05 - 1e-4) / math.log(0.98))  # the rule of three, not the first item


def test_a_candidate_that_breaks_nearly_everything_never_passes():
    for b in range(10, 16):
        assert noninferiority_p(b, 0, 15, 0.01) > 0.99


def test_large_samples_stay_cheap_and_right():
    assert noninferiority_p(5000, 5100, 200_000, 0.005) < 0.001
    assert noninferiority_p(6100, 5000, 200_000, 0.005) > 0.8


@pytest.mark.parametrize(
    "call",
    [
        lambda: mcnemar_exact(-1, 2),
        lambda: mcnemar_exact(1.5, 2),
        lambda: mcnemar_exact(math.nan, 2),
        lambda: mcnemar_exact(1, 2, "better"),
        lambda: tango_interval(3, 3, 5),
        lambda: tango_interval(0, 0, 0),
        lambda: tango_interval(1, 1, 5, 1.0),
        lambda: noninferiority_p(1, 1, 5, 0),
        lambda: noninferiority_p(1, 1, 5, 1),
        lambda: noninferiority_p(1, 1, 5, math.nan),
        lambda: noninferiority_p(1, 1, 5, 0.1, "wald"),
    ],
)
def test_bad_input_raises(call):
    with pytest.raises(ValueError, match="must|exceed"):
        call()


def test_all_small_tables_give_finite_answers():
    for n in (1, 2, 5):
        for b, c in itertools.product(range(n + 1), repeat=2):
            if b + c <= n:
                assert 0 < noninferiority_p(b, c, n, 0.1) <= 1
                assert tango_interval(b, c, n).contains((c - b) / n)
