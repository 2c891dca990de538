"""Classify corrections as factual, tone or clarity, with a calibrated confidence.

A logistic regression over edit features and hashed edit tokens, trained on the packaged seed labels and on whatever
labels the user has. Its confidence is made honest by temperature scaling on out-of-fold scores (Guo et al. 2017, "On
calibration of modern neural networks"); folds are split by question, so that no question is on both sides.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from flywheel.components.curation.categories.edit_features import edit_tokens, features
from flywheel.components.curation.texts.normal_form import normal_form, tokens
from flywheel.components.store.tables import row_id

CATEGORIES = ("factual", "tone", "clarity")
FOLDS = 5
ENOUGH_LABELS = 150  # with as many labels of its own, a project is calibrated on them alone
_SEED = 11
_HASHES = 2**12
_INVERSE_REGULARISATION = 0.3
_BINS = 10

Edit = dict[str, Any]  # prompt, response, correction, and optionally comment, category


@dataclass(frozen=True)
class Quality:
    """Out-of-fold quality of the classifier.

    Attributes:
        labels: Labelled rows in training.
        own_labels: Those of them that the user gave.
        calibrated_on: "own labels", "seed labels" or "seed and own labels".
        accuracy: Share of calibration rows classified right.
        error_before: Expected calibration error (10 bins) of the raw confidence, in [0, 1].
        error_after: The same after temperature scaling, the temperature fitted on other folds.
        temperature: What the logits are divided by.
        confusion: Rows true category, columns predicted, in the order of `CATEGORIES`.
        predicted: Predicted category of each calibration row.
        scores: Its calibrated confidence.
        correct: Whether it is right.
    """

    labels: int
    own_labels: int
    calibrated_on: str
    accuracy: float
    error_before: float
    error_after: float
    temperature: float
    confusion: list[list[int]]
    predicted: list[str]
    scores: list[float]
    correct: list[bool]


class CategoryClassifier:
    """A fitted classifier; make one with `train`."""

    def __init__(self, model: Any, center: np.ndarray, scale: np.ndarray, temperature: float) -> None:
        self._model, self._center, self._scale, self._temperature = model, center, scale, temperature

    def predict(self, edits: Sequence[Edit]) -> tuple[list[str], list[float]]:
        """Classify edits.

        Returns:
            Category and calibrated confidence in [0, 1] of each edit.
        """
        if not edits:
            return [], []
        dense, hashed = _describe(edits)
        logits = self._model.decision_function(_matrix(dense, hashed, self._center, self._scale))
        chances = softmax(logits / self._temperature)
        return [CATEGORIES[best] for best in chances.argmax(axis=1)], chances.max(axis=1).tolist()


def seed_labels() -> list[Edit]:
    """The packaged labelled corrections: many domains, written for this project, no user data."""
    text = (
        files("flywheel.components.curation.categories").joinpath("seed_corrections.jsonl").read_text(encoding="utf-8")
    )
    return [json.loads(line) for line in text.splitlines() if line]


def read_labels(path: str) -> list[Edit]:
    """Read a user's labels: JSON lines of prompt, response, correction, category and optionally comment.

    Raises:
        FileNotFoundError: No such file.
        ValueError: A line is not a label; the message names the line and what is wrong.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"labels file {path} does not exist; give JSON lines or leave `labels` empty")
    labels = []
    for number, line in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            label = json.loads(line)
        except ValueError as error:
            raise ValueError(f"{path} line {number} is not JSON: {error}") from error
        if not isinstance(label, dict) or not all(
            isinstance(label.get(name), str) for name in ("prompt", "response", "correction", "category")
        ):
            raise ValueError(f"{path} line {number} must hold the texts prompt, response, correction and category")
        if label["category"] not in CATEGORIES:
            raise ValueError(f"{path} line {number}: category {label['category']!r} is none of {', '.join(CATEGORIES)}")
        labels.append(label)
    return labels


def train(own: Sequence[Edit] = (), seed: Sequence[Edit] | None = None) -> tuple[CategoryClassifier, Quality]:
    """Fit the classifier and measure it out of fold.

    Args:
        own: The user's labels; from `ENOUGH_LABELS` on, calibration rests on them alone.
        seed: Labels to start from; the packaged ones by default.

    Returns:
        The classifier fitted on all labels, and its out-of-fold quality on the calibration rows.

    Raises:
        ValueError: There are fewer than `FOLDS` labelled questions in some category.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    start = seed_labels() if seed is None else list(seed)
    edits = sorted([*((edit, False) for edit in start), *((edit, True) for edit in own)], key=_sort_key)
    owned = np.array([is_own for _, is_own in edits], dtype=bool)
    rows = [edit for edit, _ in edits]
    truth = np.array([CATEGORIES.index(row["category"]) for row in rows], dtype=np.int64)
    groups = [_question_shape(row["prompt"]) for row in rows]
    for index, name in enumerate(CATEGORIES):
        if len({group for group, label in zip(groups, truth, strict=True) if label == index}) < FOLDS:
            raise ValueError(f"too few labelled corrections of category {name}: give at least {FOLDS} questions")
    dense, hashed = _describe(rows)
    logits = np.zeros((len(rows), len(CATEGORIES)))
    fold_of = np.zeros(len(rows), dtype=np.int64)
    folds = StratifiedGroupKFold(n_splits=FOLDS, shuffle=True, random_state=_SEED)
    for fold, (learn, test) in enumerate(folds.split(dense, truth, groups)):
        model, center, scale = _fit(dense[learn], hashed[learn], truth[learn])
        logits[test] = model.decision_function(_matrix(dense[test], hashed[test], center, scale))
        fold_of[test] = fold
    used = owned if owned.sum() >= ENOUGH_LABELS else np.ones(len(rows), dtype=bool)
    logits, labels, fold_of = logits[used], truth[used], fold_of[used]
    calibrated = np.zeros_like(logits)
    for fold in range(FOLDS):
        rest, here = fold_of != fold, fold_of == fold
        calibrated[here] = softmax(logits[here] / fit_temperature(logits[rest], labels[rest]))
    model, center, scale = _fit(dense, hashed, truth)
    predicted = calibrated.argmax(axis=1)
    correct = predicted == labels
    confusion = np.zeros((len(CATEGORIES), len(CATEGORIES)), dtype=np.int64)
    np.add.at(confusion, (labels, predicted), 1)
    temperature = fit_temperature(logits, labels)
    quality = Quality(
        labels=len(rows),
        own_labels=int(owned.sum()),
        calibrated_on="own labels" if used.sum() == owned.sum() else "seed and own labels" if own else "seed labels",
        accuracy=float(correct.mean()),
        error_before=calibration_error(softmax(logits).max(axis=1), correct),
        error_after=calibration_error(calibrated.max(axis=1), correct),
        temperature=temperature,
        confusion=confusion.tolist(),
        predicted=[CATEGORIES[index] for index in predicted],
        scores=calibrated.max(axis=1).tolist(),
        correct=correct.tolist(),
    )
    return CategoryClassifier(model, center, scale, temperature), quality


def softmax(logits: np.ndarray) -> np.ndarray:
    """Row-wise softmax, shape (n, classes)."""
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def fit_temperature(logits: np.ndarray, truth: np.ndarray) -> float:
    """The temperature in [0.2, 5] that minimises the log loss of softmax(logits / temperature)."""
    from scipy.optimize import minimize_scalar

    rows = np.arange(len(truth))

    def loss(log_temperature: float) -> float:
        chances = softmax(logits / np.exp(log_temperature))
        return float(-np.log(np.maximum(chances[rows, truth], 1e-12)).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(np.log(0.2), np.log(5)), method="bounded").x))


def calibration_error(confidence: np.ndarray, correct: np.ndarray) -> float:
    """Expected calibration error over 10 equal-width bins: mean |accuracy - confidence|, in [0, 1].

    Source: Naeini, Cooper & Hauskrecht (2015), "Obtaining well calibrated probabilities using Bayesian binning".
    """
    which = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    error = 0.0
    for index in range(_BINS):
        inside = which == index
        if inside.any():
            error += float(inside.mean() * abs(correct[inside].mean() - confidence[inside].mean()))
    return error


def _question_shape(prompt: str) -> str:
    """A question without its names and numbers: one template is one question, whatever is asked about."""
    return " ".join(token for token in tokens(prompt)[1:] if token.islower()) or normal_form(prompt)


def _sort_key(labelled: tuple[Edit, bool]) -> tuple[str, bool]:
    edit = labelled[0]
    names = ("prompt", "response", "correction", "comment", "category")
    return row_id(*(normal_form(str(edit.get(name) or "")) for name in names)), labelled[1]


def _describe(edits: Sequence[Edit]) -> tuple[np.ndarray, Any]:
    from sklearn.feature_extraction import FeatureHasher

    texts = [(e["prompt"], e["response"], e["correction"], e.get("comment") or "") for e in edits]
    dense = np.array([features(*text) for text in texts])
    hasher = FeatureHasher(n_features=_HASHES, input_type="string")
    return dense, hasher.transform(edit_tokens(*text) for text in texts)


def _matrix(dense: np.ndarray, hashed: Any, center: np.ndarray, scale: np.ndarray) -> Any:
    from scipy.sparse import csr_array, hstack

    length = np.sqrt(np.asarray(hashed.multiply(hashed).sum(axis=1)).reshape(-1, 1))
    scaled = csr_array(np.clip((dense - center) / scale, -4, 4))
    return hstack([scaled, hashed.multiply(1 / np.maximum(length, 1e-9))]).tocsr()


def _fit(dense: np.ndarray, hashed: Any, truth: np.ndarray) -> tuple[Any, np.ndarray, np.ndarray]:
    from sklearn.linear_model import LogisticRegression

    center, scale = dense.mean(axis=0), np.maximum(dense.std(axis=0), 0.05)
    model = LogisticRegression(C=_INVERSE_REGULARISATION, max_iter=500, class_weight="balanced")
    return model.fit(_matrix(dense, hashed, center, scale), truth), center, scale
