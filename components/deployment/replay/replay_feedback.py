"""Predict how feedback would change, from the log alone: the direct method, with users as the unit.

The log knows no propensities (a served model answers greedily: each logged answer was given with probability one,
every other with probability zero), so inverse-propensity weights do not exist. What remains of a doubly robust
estimate (Dudik, Langford & Li 2011, arXiv:1103.4601) is: where a replayed answer equals the logged one, the reaction
that was observed; elsewhere the regression of `reaction_model`. Prompts that both models answer alike change nothing.
An answer on which the log is silent may be taken like the best or like the worst known answers (partial
identification): the interval spans both, the estimate is the middle, and when most changed answers are of that kind
there is no prediction.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flywheel.components.contracts.prediction import PredictedMetric
from flywheel.components.curation.texts.normal_form import normal_form
from flywheel.components.deployment.replay.reaction_evidence import Asked, Evidence
from flywheel.components.deployment.replay.reaction_model import ReactionModel, fit
from flywheel.components.deployment.replay.replay_sample import LEAST_USERS, ReplayLog

DRAWS = 400
LEAST_EVENTS = 10
MOST_UNSUPPORTED = 0.5
_EDGES = (0.02, 0.98)  # quantiles of the fitted chances: what the best and the worst known answers get

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class _Side:
    """One model's answers: the expected reaction to each, by observation or by model."""

    observed: Floats  # the logged reaction where the answer is the logged one, else 0
    modelled: NDArray[np.bool_]
    features: Floats
    known: NDArray[np.bool_]  # observed, or the log has evidence on the answer

    def values(self, coefficients: Floats) -> Floats:
        """Expected reaction of each answer; a leading axis of draws stays."""
        score = np.clip(coefficients @ self.features.T, -40, 40)
        return np.asarray(np.where(self.modelled, 1 / (1 + np.exp(-score)), self.observed))


class FeedbackReplay:
    """Predicts reactions for one pair of models.

    Args:
        log: The log and its sample.
        production: Production's answers to the sample; None where it failed.
        candidate: Candidate's answers, likewise.
        seed: Seed of the bootstrap.
    """

    def __init__(
        self, log: ReplayLog, production: Sequence[str | None], candidate: Sequence[str | None], seed: int = 7
    ) -> None:
        self._log = log
        self._evidence = Evidence(log.turns)
        self._answers = [[normal_form(text or "") for text in side] for side in (production, candidate)]
        names = sorted({turn.subject for turn in log.turns})
        self._codes = {name: code for code, name in enumerate(names)}
        self._weights = np.random.default_rng(seed).multinomial(
            len(names), np.full(len(names), 1 / max(1, len(names))), size=DRAWS
        ) if names else np.zeros((DRAWS, 0))  # fmt: skip
        self._changed = np.array([one != other for one, other in zip(*self._answers, strict=True)], dtype=bool)

    @property
    def same_answers(self) -> float | None:
        """Share of the prompts that both models answered alike."""
        return 1 - float(self._changed.mean()) if self._changed.size else None

    def predict(
        self, name: str, outcome: str, margin: float | None = None, confidence: float = 0.95
    ) -> PredictedMetric:
        """Predict the change of the mean over users of a reaction's share of turns.

        Args:
            name: Name of the metric.
            outcome: Attribute of `LoggedTurn` that says whether a turn shows the reaction.
            margin: Margin of the canary, for the record.
            confidence: Coverage of the interval, in (0, 1).

        Returns:
            The prediction, `missing` with a reason where the log supports none.
        """
        sample, turns = self._log.sample, self._log.turns
        reacted = np.array([getattr(turn, outcome) for turn in turns], dtype=bool)
        why = self._unfit(reacted)
        if why:
            return _missing(name, why, margin, confidence)
        rate = float(reacted.mean())
        rows, known = self._evidence.features([Asked(turn, turn.answer, turn.subject) for turn in turns], outcome, rate)
        model = fit(rows, reacted, np.array([self._codes[turn.subject] for turn in turns]))
        before, after = (self._side(answers, outcome, rate) for answers in self._answers)
        silent = self._changed & ~(before.known & after.known)
        users, inverse = np.unique([turn.subject for turn in sample], return_inverse=True)
        means = _user_means(inverse, len(users))
        difference = (after.values(model.coefficients) - before.values(model.coefficients)) * self._changed
        least, most = self._bounds(model, before, after, model.chances(rows[known]) if known.any() else None)
        low, high = (float((means @ (difference + shift)).mean()) for shift in (least, most))
        half = self._half_width(model, before, after, means, users, confidence)
        estimate, lower, upper = (low + high) / 2, max(-1.0, low - half), min(1.0, high + half)
        if silent.sum() > MOST_UNSUPPORTED * max(1, self._changed.sum()):
            why = (
                f"unsupported: {silent.sum()} of {self._changed.sum()} changed answers are like nothing in the log; "
                f"the change may be anything between {lower:+.2f} and {upper:+.2f}"
            )
            return _missing(name, why, margin, confidence)
        spread = self._spread(reacted)
        production = float((means @ before.values(model.coefficients)).mean())
        candidate = min(1.0, max(0.0, production + estimate))
        return PredictedMetric(
            name=name,
            status="predicted",
            method=(
                "direct method: observed reaction where the answer is the logged one, else a regression on "
                f"{len(turns):,} logged turns of {len(self._codes):,} users; one-step bootstrap over users"
                + (f"; {silent.sum()} silent answers bounded" if silent.any() else "")
            ),
            prompts=len(sample),
            users=len(users),
            production=production,
            candidate=candidate,
            difference=estimate,
            lower=lower,
            upper=upper,
            confidence=confidence,
            spread_production=spread * math.sqrt(production * (1 - production)),
            spread_candidate=spread * math.sqrt(candidate * (1 - candidate)),
            margin=margin,
        )

    def _unfit(self, reacted: NDArray[np.bool_]) -> str:
        """Why the log cannot carry a prediction, "" when it can."""
        if not reacted.size:
            return "no-log: the store holds no consented interaction to replay"
        if len(self._codes) < LEAST_USERS or self._log.users < LEAST_USERS:
            return f"too-few-users: {min(len(self._codes), self._log.users)} users in the log, {LEAST_USERS} are needed"
        shown = int(reacted.sum())
        if min(shown, reacted.size - shown) < LEAST_EVENTS:
            return (
                f"too-few-reactions: {shown} of {reacted.size} logged turns show it, at least {LEAST_EVENTS} must and "
                f"{LEAST_EVENTS} must not"
            )
        return ""

    def _side(self, answers: Sequence[str], outcome: str, rate: float) -> _Side:
        sample = self._log.sample
        logged = np.array([answer == turn.answer for answer, turn in zip(answers, sample, strict=True)])
        asked = [Asked(turn, answer, "") for turn, answer in zip(sample, answers, strict=True)]
        features, known = self._evidence.features(asked, outcome, rate)
        observed = np.array([float(getattr(turn, outcome)) for turn in sample])
        return _Side(np.where(logged, observed, 0.0), ~logged, features, known | logged)

    def _bounds(
        self, model: ReactionModel, before: _Side, after: _Side, chances: Floats | None
    ) -> tuple[Floats, Floats]:
        """How far each prompt's difference may lie below and above the model's, because the log is silent on it."""
        low, high = (0.0, 1.0) if chances is None else np.quantile(chances, _EDGES)
        least, most = np.zeros(self._changed.size), np.zeros(self._changed.size)
        for side, sign in ((after, 1.0), (before, -1.0)):
            silent = self._changed & ~side.known
            value = side.values(model.coefficients)
            best, worst = (low - value) * silent, (high - value) * silent
            least += best if sign > 0 else -worst
            most += worst if sign > 0 else -best
        return least, most

    def _half_width(
        self,
        model: ReactionModel,
        before: _Side,
        after: _Side,
        means: Floats,
        users: NDArray[np.str_],
        confidence: float,
    ) -> float:
        """Half the interval from the bootstrap over users.

        Two users whose answers change from one extreme to the other are added to the variance: no change among a few
        prompts is no proof that no prompt changes.
        """
        from scipy import special

        betas = model.resampled(self._weights.astype(np.float64))
        differences = (after.values(betas) - before.values(betas)) * self._changed
        weights = self._weights[:, [self._codes[str(user)] for user in users]]
        totals = weights.sum(axis=1)
        drawn = ((differences @ means.T) * weights).sum(axis=1)[totals > 0] / totals[totals > 0]
        count = len(users)
        variance = float(drawn.var(ddof=1)) * count / (count - 1) + 2.0 / count**2
        return float(special.stdtrit(count - 1, 0.5 + confidence / 2)) * math.sqrt(variance)

    def _spread(self, reacted: NDArray[np.bool_]) -> float:
        """Standard deviation of a user's mean in the log, in units of that of a single turn; at most 1."""
        codes = np.array([self._codes[turn.subject] for turn in self._log.turns])
        means = np.bincount(codes, weights=reacted) / np.bincount(codes)
        rate = float(means.mean())
        return min(1.0, float(means.std(ddof=1)) / math.sqrt(rate * (1 - rate))) if 0 < rate < 1 else 1.0


def _user_means(inverse: NDArray[np.intp], users: int) -> Floats:
    """Matrix that turns values of prompts into means of users, shape (users, prompts)."""
    matrix = np.zeros((users, inverse.size))
    matrix[inverse, np.arange(inverse.size)] = 1.0
    return matrix / matrix.sum(axis=1, keepdims=True)


def _missing(name: str, reason: str, margin: float | None, confidence: float) -> PredictedMetric:
    return PredictedMetric(name=name, status="missing", reason=reason, margin=margin, confidence=confidence)
