"""Confidence that means what it says: temperature scaling, and how far a confidence is off.

Source: Guo et al. (2017), "On calibration of modern neural networks".
"""

import numpy as np

_BINS = 10


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
