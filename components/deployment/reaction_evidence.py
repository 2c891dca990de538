"""What the log says about an answer that a model would give now, as numbers that a regression can weigh.

Evidence on an answer comes from other users than the one it is asked for: who liked that answer to that question, who
rejected it, which accepted corrections say it or contradict it, and how those took it who were given it. Users are
counted, not turns, so that nobody's opinion counts twice.
"""

import math
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flywheel.components.deployment.replay_sample import LoggedTurn

FEATURES = ("one", "on_question", "on_answer", "rate_of_answer", "no_evidence", "length")
_PRIOR = 2.0  # users' worth of the overall rate that an answer's own rate is drawn to


@dataclass(frozen=True)
class Asked:
    """An answer whose reception is in question.

    Attributes:
        turn: The logged turn whose question it answers.
        answer: Its normal form.
        other_than: User whose own word does not count; "" counts everybody.
    """

    turn: LoggedTurn
    answer: str
    other_than: str


class _Users:
    """Sets of users by key, asked without one of them."""

    def __init__(self) -> None:
        self._found: dict[Hashable, set[str]] = defaultdict(set)

    def add(self, key: Hashable, user: str) -> None:
        self._found[key].add(user)

    def count(self, key: Hashable, other_than: str) -> int:
        found = self._found.get(key)
        return 0 if not found else len(found) - (other_than in found)


class Evidence:
    """The log's word on answers.

    Args:
        turns: The log.
    """

    def __init__(self, turns: Iterable[LoggedTurn]) -> None:
        self._liked, self._rejected, self._fixed = _Users(), _Users(), _Users()
        self._given: dict[str, dict[str, list[LoggedTurn]]] = defaultdict(lambda: defaultdict(list))
        lengths = []
        for turn in turns:
            user, place, answer = turn.subject, turn.question, turn.answer
            self._given[answer][user].append(turn)
            lengths.append(math.log1p(len(answer.split())))
            if turn.liked:
                self._endorse(place, answer, user)
            if turn.complained:
                self._rejected.add(("question", place, answer), user)
                self._rejected.add(("answer", answer), user)
            if turn.correction and turn.correction != answer:
                self._endorse(place, turn.correction, user)
                self._fixed.add(answer, user)
                self._fixed.add((answer, turn.correction), user)
        self._shares: dict[tuple[str, str], tuple[dict[str, float], float]] = {}
        self._length = float(np.mean(lengths)) if lengths else 0.0

    def _endorse(self, place: str, answer: str, user: str) -> None:
        self._liked.add(("question", place), user)
        self._liked.add(("question", place, answer), user)
        self._liked.add(("answer", answer), user)

    def features(
        self, asked: Sequence[Asked], outcome: str, rate: float
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Describe answers.

        Args:
            asked: The answers.
            outcome: Attribute of a logged turn whose rate among those given an answer is one of the features.
            rate: The outcome's rate over the log, in (0, 1).

        Returns:
            Features, shape (n, 6), and whether there is any evidence on each answer, shape (n,).
        """
        rows = np.zeros((len(asked), len(FEATURES)))
        known = np.zeros(len(asked), dtype=bool)
        for number, one in enumerate(asked):
            user, place, answer, logged = one.other_than, one.turn.question, one.answer, one.turn.answer
            yes = self._liked.count(("question", place, answer), user)
            no = self._rejected.count(("question", place, answer), user)
            other = max(0, self._liked.count(("question", place), user) - yes)
            fixed = self._fixed.count((logged, answer), user)
            said = self._liked.count(("answer", answer), user)
            against = self._rejected.count(("answer", answer), user) + self._fixed.count(answer, user)
            if answer != logged:  # the correction of the logged answer contradicts any third answer as well
                against += max(0, self._fixed.count(logged, user) - fixed)
            users, bad = self._received(answer, user, outcome)
            shrunk = (bad + _PRIOR * rate) / (users + _PRIOR)
            known[number] = bool(answer) and yes + no + other + said + against + fixed + users > 0
            rows[number] = (
                1.0,
                math.log((yes + 0.5) / (no + other + 0.5)),
                math.log((said + fixed + 0.5) / (against + 0.5)),
                math.log(shrunk / (1 - shrunk)) - math.log(rate / (1 - rate)),
                0.0 if known[number] else 1.0,
                math.log1p(len(answer.split())) - self._length,
            )
        return rows, known

    def _received(self, answer: str, other_than: str, outcome: str) -> tuple[int, float]:
        """Other users who were given the answer, and the sum of their shares of turns with the outcome."""
        shares = self._shares.get((outcome, answer))
        if shares is None:
            given = self._given.get(answer, {})
            own = {user: sum(getattr(turn, outcome) for turn in turns) / len(turns) for user, turns in given.items()}
            shares = self._shares[outcome, answer] = (own, sum(own.values()))
        own, total = shares
        mine = own.get(other_than)
        return (len(own), total) if mine is None else (len(own) - 1, max(0.0, total - mine))
