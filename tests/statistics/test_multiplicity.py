import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from flywheel.components.statistics.multiplicity import bonferroni, holm, intersection_union, split_alpha

p_lists = st.lists(st.floats(0, 1), min_size=1, max_size=30)


@given(p_lists)
@settings(max_examples=40, deadline=None)
def test_holm_and_bonferroni_match_statsmodels(p):
    np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1], atol=1e-12)
    np.testing.assert_allclose(bonferroni(p), multipletests(p, method="bonferroni")[1], atol=1e-12)


@given(p_lists)
def test_holm_is_never_weaker_than_bonferroni_nor_stronger_than_the_raw_value(p):
    for raw, stepped, blunt in zip(p, holm(p), bonferroni(p), strict=True):
        assert raw <= stepped + 1e-15 <= blunt + 2e-15


def test_holm_by_hand():
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])


def test_intersection_union_is_the_worst():
    assert intersection_union([0.01, 0.2, 0.03]) == 0.2


def test_alpha_is_split_by_weight():
    assert split_alpha(0.05, [1, 1, 2]) == pytest.approx([0.0125, 0.0125, 0.025])
    shares = split_alpha(0.05, {"safety": 3, "latency": 1})
    assert shares == pytest.approx({"safety": 0.0375, "latency": 0.0125})


@pytest.mark.parametrize("function", [holm, bonferroni, intersection_union])
@pytest.mark.parametrize("p", [[], [math.nan], [1.2], [-0.1]])
def test_bad_p_values_raise(function, p):
    with pytest.raises(ValueError, match="p_values"):
        function(p)


@pytest.mark.parametrize(("alpha", "weights"), [(0, [1]), (0.05, []), (0.05, [1, 0]), (0.05, [math.nan])])
def test_bad_split_raises(alpha, weights):
    with pytest.raises(ValueError, match="alpha|weights"):
        split_alpha(alpha, weights)
