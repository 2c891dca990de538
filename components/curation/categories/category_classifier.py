"""Classify corrections as factual, tone or clarity, with a calibrated confidence.

A logistic regression over edit features and hashed edit tokens, trained on the packaged seed labels and on whatever
labels the user has. Its confidence is made honest by temperature scaling on out-of-fold scores (Guo et al. 2017, "On
calibration of modern neural networks"); folds are split by question, so that no question is on both sides.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from flywheel.components.curation.categories.category import CATEGORIES
from flywheel.components.curation.categories.confidence import calibration_error, fit_temperature, softmax
from flywheel.components.curation.categories.description import HASHED, Description, describe
from flywheel.components.curation.categories.llm_annotator import Annotator, vote_weights
from flywheel.components.curation.texts.normal_form import normal_form, tokens
from flywheel.components.store.tables import row_id

FOLDS = 5
ENOUGH_LABELS = 150  # with as many labels of its own, a project is calibrated on them alone
_SEED = 11
_INVERSE_REGULARISATION = 0.3
_ANNOTATED = 400  # labelled rows that a language model is asked about, to know what its word is worth
_LEAST_ANNOTATED = 60  # answers among them, below which it is not known

# prompt, response, correction, and optionally comment, category; of reviewed ones also `calibrates` (False: chosen for
# review by the router, not at random), `audited_at` (ISO time) and `edited` (people changed the wording)
Edit = dict[str, Any]


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
        correct: Whether it is right; an audited one is when people took it as it was.
        audited: When people answered, ISO time; "" for labels.
        encoder: Name of the encoder.
        annotator_answers: Calibration rows that a language model voted on; None without one.
        rows: The calibration rows.
        chances: Their calibrated out-of-fold probabilities, a list of K per row.
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
    audited: list[str]
    encoder: str = HASHED
    annotator_answers: int | None = None
    rows: list[Edit] = field(default_factory=list)
    chances: list[list[float]] = field(default_factory=list)


class CategoryClassifier:
    """A fitted classifier; make one with `train`."""

    def __init__(self, fit: "_Fit", temperature: float, encoder: str, vote: "_Vote | None") -> None:
        self._fit, self._temperature, self._encoder, self._vote = fit, temperature, encoder, vote

    def predict(self, edits: Sequence[Edit]) -> tuple[list[str], list[float]]:
        """Classify edits.

        Returns:
            Category and calibrated confidence in [0, 1] of each edit; confidence 0 where a language model was to vote
            and gave no readable answer.
        """
        if not edits:
            return [], []
        logits = self._fit.logits(describe(edits, self._encoder))
        silent = np.zeros(len(edits), dtype=bool)
        if self._vote is not None:
            logits, silent = self._vote.added(logits, edits)
        chances = softmax(logits / self._temperature)
        confidence = np.where(silent, 0.0, chances.max(axis=1))
        return [CATEGORIES[best] for best in chances.argmax(axis=1)], confidence.tolist()


@dataclass(frozen=True)
class _Fit:
    """A fitted regression with the scale of its features."""

    model: Any
    center: np.ndarray
    scale: np.ndarray

    def logits(self, described: Description) -> np.ndarray:
        return np.asarray(self.model.decision_function(described.matrix(self.center, self.scale)))


@dataclass(frozen=True)
class _Vote:
    """A language model and what its votes weigh; `weights` None: not known, so that nothing may rest on it."""

    annotator: Annotator
    weights: np.ndarray | None

    def added(self, logits: np.ndarray, edits: Sequence[Edit]) -> tuple[np.ndarray, np.ndarray]:
        """Logits with the votes, and which edits got none."""
        if self.weights is None:
            return logits, np.ones(len(edits), dtype=bool)
        votes = self.annotator.annotate(edits)
        silent = np.array([vote is None for vote in votes], dtype=bool)
        columns = np.array([vote or 0 for vote in votes], dtype=np.int64)
        return np.where(silent[:, None], logits, logits + self.weights.T[columns]), silent


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


def train(
    own: Sequence[Edit] = (),
    seed: Sequence[Edit] | None = None,
    encoder: str = HASHED,
    annotator: Annotator | None = None,
) -> tuple[CategoryClassifier, Quality]:
    """Fit the classifier and measure it out of fold.

    Args:
        own: The user's labels and people's reviews; from `ENOUGH_LABELS` on, calibration rests on them alone.
        seed: Labels to start from; the packaged ones by default.
        encoder: Encoder beside the edit features (`encoders.NAMES`).
        annotator: A language model that votes too; calibration then rests on the labelled rows that it voted on.

    Returns:
        The classifier fitted on all labels, and its out-of-fold quality on the calibration rows.

    Raises:
        ValueError: There are fewer than `FOLDS` labelled questions in some category, or no such encoder.
        ModuleNotFoundError: The encoder's extra is not installed.
    """
    start = seed_labels() if seed is None else list(seed)
    edits = sorted([*((edit, False) for edit in start), *((edit, True) for edit in own)], key=_sort_key)
    owned = np.array([is_own for _, is_own in edits], dtype=bool)
    rows = [edit for edit, _ in edits]
    truth = np.array([CATEGORIES.index(row["category"]) for row in rows], dtype=np.int64)
    described = describe(rows, encoder)
    logits, fold_of = _out_of_fold(described, truth, _groups(rows, truth))
    used = np.array([row.get("calibrates", True) for row in rows], dtype=bool)
    if (owned & used).sum() >= ENOUGH_LABELS:
        used &= owned
    vote = None
    answers = None
    if annotator is not None:
        logits, used, vote = _with_votes(annotator, rows, logits, truth, fold_of, used)
        answers = int(used.sum()) if vote.weights is not None else 0
    logits, labels, fold_of = logits[used], truth[used], fold_of[used]
    calibrated = np.zeros_like(logits)
    for fold in np.unique(fold_of):
        here = fold_of == fold
        rest = ~here if (~here).any() else here  # own labels may all be of one question
        calibrated[here] = softmax(logits[here] / fit_temperature(logits[rest], labels[rest]))
    predicted = calibrated.argmax(axis=1)
    kept = [row for row, use in zip(rows, used, strict=True) if use]
    correct = (predicted == labels) & ~np.array([row.get("edited", False) for row in kept], dtype=bool)
    confusion = np.zeros((len(CATEGORIES), len(CATEGORIES)), dtype=np.int64)
    np.add.at(confusion, (labels, predicted), 1)
    temperature = fit_temperature(logits, labels)
    quality = Quality(
        labels=len(rows),
        own_labels=int(owned.sum()),
        calibrated_on="own labels" if owned[used].all() else "seed and own labels" if own else "seed labels",
        accuracy=float((predicted == labels).mean()),
        error_before=calibration_error(softmax(logits).max(axis=1), correct),
        error_after=calibration_error(calibrated.max(axis=1), correct),
        temperature=temperature,
        confusion=confusion.tolist(),
        predicted=[CATEGORIES[index] for index in predicted],
        scores=calibrated.max(axis=1).tolist(),
        correct=correct.tolist(),
        audited=[row.get("audited_at", "") for row in kept],
        encoder=encoder,
        annotator_answers=answers,
        rows=kept,
        chances=calibrated.tolist(),
    )
    return CategoryClassifier(_fit(described, truth), temperature, encoder, vote), quality


def _groups(rows: Sequence[Edit], truth: np.ndarray) -> list[str]:
    """The question of each row; refused when some category has too few of them."""
    groups = [_question_shape(row["prompt"]) for row in rows]
    for index, name in enumerate(CATEGORIES):
        if len({group for group, label in zip(groups, truth, strict=True) if label == index}) < FOLDS:
            raise ValueError(f"too few labelled corrections of category {name}: give at least {FOLDS} questions")
    return groups


def _out_of_fold(described: Description, truth: np.ndarray, groups: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Logits of each row by a model that saw none of its question, shape (n, categories); and its fold."""
    from sklearn.model_selection import StratifiedGroupKFold

    logits = np.zeros((len(truth), len(CATEGORIES)))
    fold_of = np.zeros(len(truth), dtype=np.int64)
    folds = StratifiedGroupKFold(n_splits=FOLDS, shuffle=True, random_state=_SEED)
    for fold, (learn, test) in enumerate(folds.split(described.dense, truth, groups)):
        logits[test] = _fit(described.take(learn), truth[learn]).logits(described.take(test))
        fold_of[test] = fold
    return logits, fold_of


def _with_votes(
    annotator: Annotator,
    rows: Sequence[Edit],
    logits: np.ndarray,
    truth: np.ndarray,
    fold_of: np.ndarray,
    used: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, _Vote]:
    """Add the votes on a random part of the calibration rows, weighed by the labels of the other folds.

    Returns:
        Logits; the rows that have a vote; the annotator with its weights on all of them. Without enough answers the
        rows stay as they were and the weights are None.
    """
    places = sorted(np.flatnonzero(used).tolist(), key=lambda place: row_id(rows[place]["correction"], place))
    asked = np.array(sorted(places[:_ANNOTATED]), dtype=np.int64)
    said = annotator.annotate([rows[place] for place in asked])
    answered = np.array([vote is not None for vote in said], dtype=bool)
    if answered.sum() < _LEAST_ANNOTATED:
        return logits, used, _Vote(annotator, None)
    asked, votes = asked[answered], np.array([vote for vote in said if vote is not None], dtype=np.int64)
    logits = logits.copy()
    for fold in np.unique(fold_of[asked]):
        rest, here = fold_of[asked] != fold, fold_of[asked] == fold
        logits[asked[here]] += vote_weights(votes[rest], truth[asked[rest]]).T[votes[here]]
    voted = np.zeros_like(used)
    voted[asked] = True
    return logits, voted, _Vote(annotator, vote_weights(votes, truth[asked]))


def _question_shape(prompt: str) -> str:
    """A question without its names and numbers: one template is one question, whatever is asked about."""
    return " ".join(token for token in tokens(prompt)[1:] if token.islower()) or normal_form(prompt)


def _sort_key(labelled: tuple[Edit, bool]) -> tuple[str, bool]:
    edit = labelled[0]
    names = ("prompt", "response", "correction", "comment", "category")
    return row_id(*(normal_form(str(edit.get(name) or "")) for name in names)), labelled[1]


def _fit(described: Description, truth: np.ndarray) -> _Fit:
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    center, scale = described.scale()
    model = LogisticRegression(C=_INVERSE_REGULARISATION, max_iter=500, class_weight="balanced")
    with threadpool_limits(1):  # sums of several threads come in any order; at this size they only spin
        return _Fit(model.fit(described.matrix(center, scale), truth), center, scale)
