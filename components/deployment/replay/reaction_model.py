"""The chance that an answer gets a reaction: a logistic regression on the log's evidence, with users as the unit.

Fitted by penalised maximum likelihood (Newton's method) to logged turns, each described by what *other* users made of
the same answer, so that it is calibrated for answers whose own user has not spoken yet. The uncertainty comes from a
bootstrap over users with one Newton step each from the fit (the one-step bootstrap; Shao & Tu, The Jackknife and
Bootstrap, 1995, section 8.3), which costs matrix products instead of refits.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_PENALTY = 1.0  # on every coefficient but the first: a feature seen in a handful of turns does not run away
_STEPS = 50


@dataclass(frozen=True)
class ReactionModel:
    """A fitted model.

    Attributes:
        coefficients: Shape (p,).
        gradients: Each user's part of the gradient at the fit, shape (users, p).
        hessians: Each user's part of the Hessian at the fit, shape (users, p, p).
    """

    coefficients: Floats
    gradients: Floats
    hessians: Floats

    def chances(self, features: Floats) -> Floats:
        """Return the chance of the reaction for each row of features, shape (n,)."""
        return _logistic(features @ self.coefficients)

    def resampled(self, weights: Floats) -> Floats:
        """Return the coefficients under other weights of the users.

        Args:
            weights: How often each user was drawn, shape (draws, users).

        Returns:
            Coefficients, shape (draws, p).
        """
        p = self.coefficients.size
        gradient = weights @ self.gradients - _penalty(p) * self.coefficients
        hessian = np.tensordot(weights, self.hessians, axes=1) + np.diag(_penalty(p) + 1e-9)
        return np.asarray(self.coefficients + np.linalg.solve(hessian, gradient[..., None])[..., 0])


def fit(features: Floats, reacted: NDArray[np.bool_], users: Ints) -> ReactionModel:
    """Fit the model.

    Args:
        features: Shape (n, p); the first column is one.
        reacted: Whether each turn's user reacted, shape (n,); both values must occur.
        users: Code of each turn's user, 0 to users - 1, shape (n,).

    Returns:
        The model.

    Raises:
        ValueError: All turns reacted, or none.
    """
    y = reacted.astype(np.float64)
    if y.min() == y.max():
        raise ValueError("a reaction that every turn or no turn shows cannot be fitted")
    p = features.shape[1]
    beta = np.zeros(p)
    beta[0] = np.log(y.mean() / (1 - y.mean()))
    loss = _loss(beta, features, y)
    for _ in range(_STEPS):
        chance = _logistic(features @ beta)
        gradient = features.T @ (y - chance) - _penalty(p) * beta
        hessian = (features.T * (chance * (1 - chance))) @ features + np.diag(_penalty(p) + 1e-9)
        step, scale = np.linalg.solve(hessian, gradient), 1.0
        while scale > 1e-6 and (better := _loss(beta + scale * step, features, y)) > loss:
            scale /= 2
        if scale <= 1e-6 or loss - better < 1e-10 * max(1.0, loss):
            break
        beta, loss = beta + scale * step, better
    chance = _logistic(features @ beta)
    count = int(users.max()) + 1
    gradients, hessians = np.zeros((count, p)), np.zeros((count, p, p))
    np.add.at(gradients, users, (y - chance)[:, None] * features)
    np.add.at(hessians, users, (chance * (1 - chance))[:, None, None] * features[:, :, None] * features[:, None, :])
    return ReactionModel(beta, gradients, hessians)


def _penalty(p: int) -> Floats:
    penalty = np.full(p, _PENALTY)
    penalty[0] = 0.0
    return penalty


def _loss(beta: Floats, features: Floats, y: Floats) -> float:
    score = features @ beta
    return float(np.logaddexp(0, score).sum() - y @ score + 0.5 * (_penalty(beta.size) * beta**2).sum())


def _logistic(score: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(score, -40, 40))))
