"""What the log says about an answer that a model would give now, as numbers that a regression can weigh.

Evidence on an answer comes from other users than the one it is asked for: who liked that answer, who rejected it,
which accepted corrections say it or contradict it, and how those took it who were given it. Only evidence on the same
question counts: turns with the same words, and turns that got the same logged answer (people ask one thing in many
words). The same answer to something else is no evidence: "12 months" may be right there and wrong here. Users are
counted, not turns, so that nobody's opinion counts twice.
"""

import math
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flywheel.components.deployment.replay.replay_sample import LoggedTurn

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
        self._given: dict[Hashable, dict[str, list[LoggedTurn]]] = defaultdict(lambda: defaultdict(list))
        self._shares: dict[Hashable, tuple[dict[str, float], float]] = {}
        lengths = []
        for turn in turns:
            user, place, answer = turn.subject, turn.question, turn.answer
            lengths.append(math.log1p(len(answer.split())))
            for key in (answer, (place, answer)):
                self._given[key][user].append(turn)
                if turn.complained:
                    self._rejected.add(key, user)
            if turn.liked:
                self._liked.add(answer, user)
                self._endorse(place, answer, user)
            if turn.correction and turn.correction != answer:
                self._endorse(place, turn.correction, user)
                self._fixed.add(answer, user)
                self._fixed.add((answer, turn.correction), user)
        self._length = float(np.mean(lengths)) if lengths else 0.0

    def _endorse(self, place: str, answer: str, user: str) -> None:
        self._liked.add(("question", place), user)
        self._liked.add((place, answer), user)

    def features(
        self, asked: Sequence[Asked], outcome: str, rate: float
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Describe answers.

        Args:
            asked: The answers.
            outcome: Attribute of a logged turn whose rate among those given an answer is one of the features.
            rate: The outcome's rate over the log, in (0, 1).

        Returns:
            Features, shape (n, 6), and whether there is evidence on each answer itself (not only on others to the same
            question), shape (n,).
        """
        rows = np.zeros((len(asked), len(FEATURES)))
        known = np.zeros(len(asked), dtype=bool)
        for number, one in enumerate(asked):
            user, place, answer, logged = one.other_than, one.turn.question, one.answer, one.turn.answer
            yes, no = self._liked.count((place, answer), user), self._rejected.count((place, answer), user)
            other = max(0, self._liked.count(("question", place), user) - yes)
            key: Hashable = answer if answer == logged else (place, answer)
            if answer == logged:
                said = self._liked.count(answer, user)
                against = self._rejected.count(answer, user) + self._fixed.count(answer, user)
            else:  # the logged answer stands for its question: its corrections speak for theirs, its friends against
                said = self._fixed.count((logged, answer), user)
                against = max(0, self._fixed.count(logged, user) - said) + self._liked.count(logged, user)
            users, bad = self._received(key, user, outcome)
            shrunk = (bad + _PRIOR * rate) / (users + _PRIOR)
            known[number] = bool(answer) and yes + no + said + users > 0
            rows[number] = (
                1.0,
                math.log((yes + 0.5) / (no + other + 0.5)),
                math.log((said + 0.5) / (against + 0.5)),
                math.log(shrunk / (1 - shrunk)) - math.log(rate / (1 - rate)),
                0.0 if known[number] else 1.0,
                math.log1p(len(answer.split())) - self._length,
            )
        return rows, known

    def _received(self, key: Hashable, other_than: str, outcome: str) -> tuple[int, float]:
        """Other users who were given an answer, and the sum of their shares of turns with the outcome."""
        found = self._shares.get((outcome, key))
        if found is None:
            given = self._given.get(key, {})
            own = {user: sum(getattr(turn, outcome) for turn in turns) / len(turns) for user, turns in given.items()}
            found = self._shares[outcome, key] = (own, sum(own.values()))
        own, total = found
        mine = own.get(other_than)
        return (len(own), total) if mine is None else (len(own) - 1, max(0.0, total - mine))
