"""The matured users of both arms, as values by measure and wave.

The unit is the user. A user's value is taken over the turns of the first `maturity` time units after the user entered
the comparison, once, when that time has passed: users of both arms are judged at equal age, and late feedback is late
in both.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from flywheel.components.deployment.canary.measures import Measure, values_of
from flywheel.components.deployment.canary.turn import Arm, Turn
from flywheel.components.deployment.canary.waves import Place

_BURN_IN = 200  # production's first answered turns set what counts as slow


class Places(Protocol):
    """Who belongs where: `Waves` in a canary; the version met first where somebody else assigned the users."""

    def place(self, subject: str) -> Place:
        """Return a user's arm in the comparison and the wave."""
        ...

    def arm(self, subject: str, share: float) -> Arm:
        """Return the arm that should serve a user at a share."""
        ...

    def begins_at(self, wave: int) -> float:
        """Return the share from which on a wave's users are compared."""
        ...


@dataclass
class Cohort:
    """Values of one arm's matured users."""

    values: dict[tuple[Measure, int], list[float]] = field(default_factory=dict)  # (measure, wave) -> one a user
    users: int = 0  # matured

    def add(self, measure: Measure, values: Sequence[float], wave: int = 0) -> None:
        """Add users' values of one measure; `users` is counted by who adds whole users."""
        self.values.setdefault((measure, wave), []).extend(values)

    def of(self, measure: Measure, wave: int) -> list[float]:
        """Values of one measure in one wave."""
        return self.values.get((measure, wave), [])

    def all(self, measure: Measure) -> list[float]:
        """Values of one measure in all waves."""
        return [value for (name, _), values in self.values.items() if name == measure for value in values]


@dataclass(frozen=True)
class Groups:
    """Both arms, and how many turns were on an arm that the user's bucket does not allow."""

    production: Cohort
    candidate: Cohort
    strayed: int = 0

    def __getitem__(self, arm: Arm) -> Cohort:
        return self.candidate if arm == "candidate" else self.production


def cohorts(turns: Sequence[Turn], waves: Places, now: float, maturity: float, return_gap: float) -> Groups:
    """Collect the matured users of both arms.

    Args:
        turns: All turns so far, in the order in which they were seen.
        waves: Where each user belongs.
        now: The traffic's clock; infinite when no more traffic will come.
        maturity: Age at which a user is judged, in the clock's unit.
        return_gap: Silence after which a further turn is a return.

    Returns:
        Production's and candidate's cohort.
    """
    grouped: dict[str, list[Turn]] = {}
    strayed = 0
    for turn in turns:
        place = waves.place(turn.subject)
        if turn.arm != waves.arm(turn.subject, turn.share):
            strayed += 1
        elif turn.arm == place.arm and turn.share >= waves.begins_at(place.wave):
            grouped.setdefault(turn.subject, []).append(turn)
    slow, setters = _slow(turns)
    in_tokens = all(turn.tokens is not None for turn in turns if not turn.error)
    groups = Groups(Cohort(), Cohort(), strayed)
    for subject, own in grouped.items():
        own.sort(key=lambda turn: turn.asked_at)
        first = own[0].asked_at
        if now - first < maturity:
            continue
        aged = [turn for turn in own if turn.asked_at - first <= maturity]
        place = waves.place(subject)
        cohort = groups[place.arm]
        cohort.users += 1
        for measure, value in values_of(aged, slow, return_gap, in_tokens).items():
            if measure != "latency_p95" or subject not in setters:
                cohort.add(measure, (value,), place.wave)
    return groups


def _slow(turns: Sequence[Turn]) -> tuple[float | None, frozenset[str]]:
    """Production's 95th percentile over its first turns, and whose turns they are: those users are not judged by it."""
    first = [turn for turn in turns if turn.arm == "production" and not turn.error and turn.latency_ms > 0]
    first = first[:_BURN_IN]
    if len(first) < _BURN_IN:
        return None, frozenset()
    ordered = sorted(turn.latency_ms for turn in first)
    return ordered[int(0.95 * _BURN_IN) - 1], frozenset(turn.subject for turn in first)
