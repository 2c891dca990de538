import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.components.statistics.reviewer_agreement import by_reviewer, krippendorff_alpha

# Krippendorff (2011), "Computing Krippendorff's alpha-reliability", sections A, B and C; one row per observer.
BINARY = ["0100000010", "1110010000"]
TWO_OBSERVERS = ["aabbdcccedda", "babbbcccedd" + "d"]
FOUR_OBSERVERS = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
    [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
]


def of(observers):
    return krippendorff_alpha(list(zip(*observers, strict=True)))


@pytest.mark.parametrize(("observers", "published"), [(BINARY, 0.095), (TWO_OBSERVERS, 0.692), (FOUR_OBSERVERS, 0.743)])
def test_alpha_is_that_of_the_published_tables(observers, published):
    found = of(observers)
    assert found.alpha == pytest.approx(published, abs=5e-4)
    assert found.low < found.alpha < found.high


def test_units_with_one_answer_do_not_count():
    assert (of(FOUR_OBSERVERS).units, of(FOUR_OBSERVERS).answers) == (11, 40)


def test_perfect_agreement_is_one_and_chance_is_near_zero():
    assert of(["aabbc", "aabbc"]).alpha == 1
    generator = np.random.default_rng(5)
    found = krippendorff_alpha(generator.integers(0, 3, size=(3000, 3)).tolist())
    assert abs(found.alpha) < 0.03 and found.low < 0 < found.high


def test_systematic_disagreement_is_below_zero():
    assert of(["ab" * 20, "ba" * 20]).alpha < -0.9


@pytest.mark.parametrize("units", [[], [["a"], [None, "b"]], [["a", "a"], ["a", "a"]]])
def test_where_nothing_can_be_said_there_is_no_number(units):
    found = krippendorff_alpha(units)
    assert (found.alpha, found.low, found.high) == (None, None, None)


def test_one_unit_has_an_alpha_and_no_interval():
    found = krippendorff_alpha([["a", "b", "a"]])
    assert found.alpha is not None and found.low is None


@given(st.lists(st.lists(st.sampled_from(["x", "y", "z", None]), min_size=1, max_size=4), max_size=8), st.randoms())
@settings(max_examples=60, deadline=None)
def test_the_order_of_units_reviewers_and_names_does_not_matter(units, dice):
    mixed = [dice.sample(unit, len(unit)) for unit in dice.sample(units, len(units))]
    renamed = [[{"x": 1, "y": 2, "z": 3}.get(value) for value in unit] for unit in mixed]
    one, other = krippendorff_alpha(units, draws=5).alpha, krippendorff_alpha(renamed, draws=5).alpha
    assert one == other if one is None else other == pytest.approx(one)


@pytest.mark.simulation
def test_the_interval_holds_the_true_alpha_about_as_often_as_stated():
    generator, true, held = np.random.default_rng(8), 0.6, 0
    for number in range(200):
        truth = generator.integers(0, 2, 80)
        guess = generator.integers(0, 2, (3, 80))
        knows = generator.random((3, 80)) < np.sqrt(true)  # two reviewers agree beyond chance when both know
        found = krippendorff_alpha(np.where(knows, truth, guess).T.tolist(), 0.9, draws=300, seed=number)
        held += found.low <= true <= found.high
    assert 0.83 <= held / 200 <= 0.97


def test_answers_by_reviewer_are_arranged_and_bad_parameters_refused():
    assert by_reviewer({"b": {"r2": "x", "r1": "y"}, "a": {"r2": "x"}}) == [["x"], ["y", "x"]]
    with pytest.raises(ValueError, match="confidence"):
        krippendorff_alpha([], confidence=1.0)
    with pytest.raises(ValueError, match="draws"):
        krippendorff_alpha([], draws=0)
