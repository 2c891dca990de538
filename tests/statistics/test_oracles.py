"""Against MAPIE and ppi_py, whose answers lie in golden/ with the scripts that asked them."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from flywheel.components.statistics.betting import betting_interval
from flywheel.components.statistics.multiplicity import bonferroni, holm
from flywheel.components.statistics.precision_threshold import choose_threshold
from flywheel.components.statistics.prediction_powered import ppi_mean, ppi_paired_difference

GOLDEN = Path(__file__).parent / "golden"
PPI = json.loads((GOLDEN / "ppi.json").read_text(encoding="utf-8"))
MAPIE = json.loads((GOLDEN / "mapie.json").read_text(encoding="utf-8"))


def test_the_golden_files_name_the_packages_they_come_from():
    assert PPI["packages"]["ppi-python"] and MAPIE["packages"]["MAPIE"]


@pytest.mark.parametrize("case", PPI["cases"], ids=lambda case: case["name"])
def test_ppi_agrees_with_ppi_py(case):
    """Same estimate; our interval holds theirs and is wider by Student's t and two pseudo-labels, by no more."""
    if "arms" in case:
        arms = case["arms"]
        found = ppi_paired_difference(arms["judge_unlabelled"], arms["judge_labelled"], arms["human_labelled"])
    else:
        found = ppi_mean(case["wide"], case["judge"], case["human"])
    lower, upper = case["interval"]
    theirs = (upper - lower) / 2 / stats.norm.isf(0.025)
    assert found.estimate == pytest.approx(case["estimate"], abs=0.01 * theirs)
    assert found.interval.lower <= lower
    assert found.interval.upper >= min(upper, 1.0)
    n = len(case["human"])
    caution = np.sqrt(theirs**2 * n / (n - 1) + 2 / n**2)  # pseudo-labels: 2 / n added to the variance of one label
    assert found.standard_error == pytest.approx(caution, rel=0.02)


@pytest.mark.parametrize("case", MAPIE["rejected"], ids=lambda case: f"{case['p_values'][0]:.4f}-{case['delta']}")
def test_adjusted_p_values_reject_what_mapie_rejects(case):
    for adjust, name in ((bonferroni, "bonferroni"), (holm, "bonferroni_holm")):
        ours = np.flatnonzero(np.array(adjust(case["p_values"])) <= case["delta"])
        assert ours.tolist() == sorted(case[name])


def test_the_cases_tell_the_rules_apart():
    assert any(case["bonferroni"] != case["bonferroni_holm"] for case in MAPIE["rejected"])
    assert {case["threshold"] is None for case in MAPIE["thresholds"]} == {True, False}


@pytest.mark.parametrize("case", MAPIE["thresholds"], ids=lambda case: str(case["threshold"]))
def test_threshold_is_the_one_of_mapies_fixed_sequence(case):
    found = choose_threshold(
        case["scores"], case["correct"], case["target"], case["delta"], fractions=case["fractions"]
    )
    assert found.threshold == case["threshold"]


@pytest.mark.parametrize("case", MAPIE["sequences"], ids=lambda case: case["name"])
def test_betting_is_about_as_tight_as_mapies_tuned_empirical_bernstein_sequence(case):
    """Both cover the same mean at all looks. MAPIE's is told the variance and the look to be tight at; ours is not."""
    values = np.array(case["values"])
    for look, lower, upper in zip(case["looks"], case["lower"], case["upper"], strict=True):
        found = betting_interval(values[:look], 0.05)
        assert found.upper - found.lower <= 1.1 * (upper - lower)
        assert found.lower <= upper and lower <= found.upper
