import json
from pathlib import Path

import numpy as np
import pytest

from flywheel.components.curation.label_noise.confident_learning import confident_joint, label_noise
from flywheel.components.curation.label_noise.doubtful_labels import doubtful_labels

GOLDEN = json.loads(Path(__file__).with_name("label_noise_golden.json").read_text())


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: f"{len(case['labels'])} rows")
def test_the_same_as_cleanlab(case):
    assert confident_joint(case["labels"], case["chances"]).tolist() == case["confident_joint"]
    found = label_noise(case["labels"], case["chances"])
    # cleanlab rounds the calibrated joint to whole rows
    np.testing.assert_allclose(found.joint, case["joint"], atol=1 / len(case["labels"]))
    assert sorted(found.suspects) == case["confident"]
    assert found.doubt == sorted(found.doubt, reverse=True)
    by_rate = label_noise(case["labels"], case["chances"], by="noise_rate")
    # cleanlab spreads the rounding over the cells, so the numbers of a pair of classes may differ by one
    assert len(set(by_rate.suspects) ^ set(case["noise_rate"])) <= len(case["chances"][0])


def test_planted_wrong_labels_are_found():
    rng = np.random.default_rng(5)
    truth = rng.integers(0, 3, 300)
    labels = truth.copy()
    labels[:30] = (truth[:30] + 1) % 3
    chances = np.full((300, 3), 0.05) + 0.85 * np.eye(3)[truth]
    found = label_noise(labels, chances)
    assert sorted(found.suspects) == list(range(30))
    assert [found.better[found.suspects.index(row)] for row in range(30)] == truth[:30].tolist()
    assert found.rate == pytest.approx(0.1, abs=0.01)


def test_clean_labels_raise_no_suspicion():
    truth = np.arange(90) % 3
    found = label_noise(truth, np.full((90, 3), 0.1) + 0.7 * np.eye(3)[truth])
    assert found.suspects == []
    assert found.rate == 0


@pytest.mark.parametrize(
    ("labels", "chances", "words"),
    [
        ([0, 1], [[0.5, 0.5]], "shape"),
        ([0, 2], [[0.5, 0.5]] * 2, "whole numbers from 0 to 1"),
        ([0, 1], [[0.5, 0.6]] * 2, "summing to 1"),
        ([0, 1], [[float("nan"), 1.0]] * 2, "finite"),
        ([0, 0], [[0.5, 0.5]] * 2, r"no row is labelled \[1\]"),
    ],
)
def test_bad_input_is_named(labels, chances, words):
    with pytest.raises(ValueError, match=words):
        label_noise(labels, chances)


def test_an_unknown_rule_is_refused():
    with pytest.raises(ValueError, match="'confident' or 'noise_rate'"):
        label_noise([0, 1], [[0.5, 0.5]] * 2, by="magic")


def test_the_report_names_the_texts_and_nothing_else():
    names = ("factual", "tone", "clarity")
    rows = [{"prompt": f"q{i}", "response": "r", "correction": "c", "subject": "secret"} for i in range(60)]
    given = [names[i % 2] for i in range(60)]  # nobody labelled anything as clarity
    chances = np.array([[0.9, 0.08, 0.02] if name == "factual" else [0.08, 0.9, 0.02] for name in given])
    chances[7] = [0.9, 0.05, 0.05]
    report = doubtful_labels(rows, given, names, chances)
    assert report["suspected"] == 1
    (suspect,) = report["suspects"]
    assert (suspect["index"], suspect["given"], suspect["better"]) == (7, "tone", "factual")
    assert suspect["prompt"] == "q7"
    assert "secret" not in json.dumps(report)


def test_few_labels_say_nothing():
    report = doubtful_labels([{}] * 5, ["tone"] * 5, ("tone", "clarity"), np.full((5, 2), 0.5))
    assert report["suspects"] == []
    assert "5 labels" in report["note"]
    with pytest.raises(ValueError, match="none of"):
        doubtful_labels([{}], ["rude"], ("tone",), np.ones((1, 1)))
    with pytest.raises(ValueError, match="do not fit"):
        doubtful_labels([{}], [], ("tone",), np.ones((1, 1)))


def test_only_own_labels_are_reported():
    names = ("factual", "tone")
    rows = [{"prompt": f"q{i}", "response": "r", "correction": "c"} for i in range(60)]
    given = [names[i % 2] for i in range(60)]
    chances = np.array([[0.9, 0.1] if name == "factual" else [0.1, 0.9] for name in given])
    chances[[7, 9]] = [0.9, 0.1]
    report = doubtful_labels(rows, given, names, chances, mine={9, 11})
    assert [suspect["index"] for suspect in report["suspects"]] == [9]
    assert report["suspected"] == 1


@pytest.mark.slow
def test_the_classifying_stage_doubts_a_users_wrong_labels(log, tmp_path):
    """Right labels of the user with a few turned: they are named in the step's record, with nobody's name."""
    from flywheel.components.curation.categories.category_classifier import seed_labels
    from flywheel.components.curation.stages.classify import classify
    from flywheel.components.curation.stages.deduplicate import deduplicate

    labels = [row for row in seed_labels() if row["category"] == "factual"][:200]
    own = [
        row | {"prompt": f"Now, {row['prompt']}", "category": "tone" if i < 6 else "factual"}
        for i, row in enumerate(labels)
    ]
    path = tmp_path / "labels.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in own))
    log.correct("u", "How long is it?", "It is 24 months.", "It is 36 months.")
    _, feedback = log.save(tmp_path)
    deduplicate(feedback, str(tmp_path / "k"), "r1")
    record = classify(str(tmp_path / "k"), str(tmp_path / "c"), "r1", str(path))
    doubts = record.details["doubtful_labels"]
    turned = {row["correction"] for row in own[:6]}
    named = [suspect for suspect in doubts["suspects"] if suspect["correction"] in turned]
    assert len(named) >= 3
    assert all((suspect["given"], suspect["better"]) == ("tone", "factual") for suspect in named)
    assert record.metrics["doubtful_labels"] == doubts["suspected"] <= 12
    assert "chances" not in record.details["calibration"]
