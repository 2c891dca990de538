import numpy as np
import pytest

from flywheel.components.curation.categories.category_classifier import CATEGORIES
from flywheel.components.curation.routing import audit, router


def calibration(accuracy: float, n: int = 900, seed: int = 1):
    """Calibrated scores of a classifier whose rows are right with the score as probability, on average `accuracy`."""
    rng = np.random.default_rng(seed)
    scores = np.clip(rng.normal(accuracy, 0.03, n), 0.34, 0.999)
    return {
        "predicted": [CATEGORIES[i % 3] for i in range(n)],
        "scores": scores.tolist(),
        "correct": (rng.random(n) < scores).tolist(),
    }


def route(rows, known=None, **more):
    return router.route(rows, known or calibration(0.97), "run", 9.0, **more)


def test_a_good_classifier_accepts_and_states_its_error_rate(candidate):
    result = route([candidate(question=f"q{i}", by=(f"u{i}",)) for i in range(20)])
    assert result.routes() == {"accept": 20, "review": 0, "discard": 0}
    assert {row["reason"] for row in result.rows} == {""}
    assert "at least 90%" in result.error_rate
    assert len({row["candidate_id"] for row in result.rows}) == 20


def test_a_weak_classifier_abstains(candidate):
    result = route([candidate()], calibration(0.7))
    assert all(choice.threshold is None for choice in result.thresholds.values())
    assert result.rows[0]["route"] == "review"
    assert result.rows[0]["reason"] == "no_threshold"
    assert "No threshold could be guaranteed" in result.error_rate


def test_few_labels_abstain(candidate):
    assert route([candidate()], calibration(0.99, n=30)).rows[0]["reason"] == "no_threshold"


def test_a_few_wrong_labels_at_the_top_do_not_make_it_abstain():
    known = calibration(0.97, n=900, seed=4)
    best = np.argsort(known["scores"])[::-1]
    for index in best[[0, 40, 80]]:
        known["correct"][index] = False
    assert all(choice.threshold is not None for choice in router.thresholds(known, 0.9, 0.9).values())


def test_low_confidence_goes_to_review(candidate):
    rows = [candidate(confidence=0.35), candidate(confidence=0.99, question="p", by=("b",))]
    assert [row["reason"] for row in route(rows).rows] == ["low_confidence", ""]


def test_spam_poison_and_cap_have_their_reasons(candidate):
    rows = [
        candidate(correction="asdf asdf", claim=()),
        candidate(("36",), tuple("abcdef")),
        candidate(("48",), ("x",)),
    ]
    rows += [candidate(by=("greedy",), question=f"g{i}", hours=i) for i in range(9)]
    result = route(rows)
    assert [row["reason"] for row in result.rows[:3]] == ["gibberish", "", "contradicted"]
    assert result.reasons()["subject_cap"] == 4
    assert sum(result.routes().values()) == len(rows)
    assert sum(result.reasons("discard").values()) == result.routes()["discard"]


def test_the_audit_share_is_random_by_id_and_stable(candidate):
    asked = "How long is the warranty of the Borel {}?"
    rows = [candidate(question=f"q{i}", by=(f"u{i}",), prompt=asked.format(i)) for i in range(3000)]
    first, again = route(rows), route(rows[::-1])
    assert first.audit == again.audit
    assert 0.01 <= len(first.audit) / 3000 <= 0.035
    assert len(route(rows[:40]).audit) == audit.LEAST
    assert set(first.audit) <= {row["candidate_id"] for row in first.rows if row["route"] == "accept"}


def test_no_rows_and_bad_parameters():
    assert route([]).routes() == {"accept": 0, "review": 0, "discard": 0}
    with pytest.raises(ValueError, match="target_precision"):
        route([], target=1.0)
    with pytest.raises(ValueError, match="confidence"):
        route([], confidence=0.0)
    with pytest.raises(ValueError, match="max_share_per_subject"):
        route([], max_share=0.0)
