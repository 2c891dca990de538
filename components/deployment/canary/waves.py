"""Waves: who is compared with whom while the share grows, decided by the users' buckets before anybody comes.

Users with a bucket below the first share form wave 0, those up to the second share wave 1, and so on; a user of wave k
enters the comparison with the first turn at which the candidate serves wave k. The control group (buckets that no share
reaches before promotion) is cut into waves in the same way: a control of wave k enters with the first turn from the
same moment on. So within a wave both arms are random draws from the same users, with the same past on production, met
from the same moment on; users of different waves are never compared with each other. To compare today's first visitors
on the candidate with everybody who ever came would be to compare newcomers with regulars, a Monday with a Friday.
"""

from dataclasses import dataclass
from itertools import pairwise

from flywheel.components.deployment.canary.turn import Arm, bucket


@dataclass(frozen=True)
class Place:
    """A user's arm in the comparison, and the wave."""

    arm: Arm
    wave: int


class Waves:
    """Places the users of one rollout.

    Args:
        shares: Shares of the ramp below 1, rising.
        salt: Rollout id, as the splitter has it.
    """

    def __init__(self, shares: tuple[float, ...], salt: str) -> None:
        self.shares = shares
        self._salt = salt
        widths = [later - earlier for earlier, later in pairwise((0.0, *shares))]
        # Controls by the square root of the wave's width (Neyman): the small waves, which come first, get more a head.
        roots = [width**0.5 for width in widths]
        self._controls = [root / sum(roots) for root in roots]
        control = 1 - shares[-1]
        self.planned = tuple(
            width / (width + control * part) for width, part in zip(widths, self._controls, strict=True)
        )
        self._places: dict[str, Place] = {}

    def place(self, subject: str) -> Place:
        """Return where a user belongs; the same in the whole rollout."""
        known = self._places.get(subject)
        if known is None:
            known = self._places[subject] = self._of(bucket(subject, self._salt))
        return known

    def arm(self, subject: str, share: float) -> Arm:
        """Return the arm that a sticky splitter gives a user at a share."""
        return "candidate" if bucket(subject, self._salt) < share else "production"

    def begins_at(self, wave: int) -> float:
        """Share from which on a wave's users are compared."""
        return self.shares[wave]

    def compared(self, share: float) -> float:
        """Share of all users that is compared once the ramp is at `share`."""
        reached = sum(one <= share + 1e-12 for one in self.shares)
        return self.shares[reached - 1] + (1 - self.shares[-1]) * sum(self._controls[:reached]) if reached else 0.0

    def effective(self, share: float) -> float:
        """Effective size of the comparison per user who comes: sum over waves of n m / (n + m)."""
        reached = sum(one <= share + 1e-12 for one in self.shares)
        widths = [later - earlier for earlier, later in pairwise((0.0, *self.shares))]
        return sum(width * (1 - self.planned[wave]) for wave, width in enumerate(widths[:reached]))

    def _of(self, at: float) -> Place:
        for wave, share in enumerate(self.shares):
            if at < share:
                return Place("candidate", wave)
        floor = self.shares[-1]
        passed, inside = 0.0, (at - floor) / (1 - floor)
        for wave, part in enumerate(self._controls):
            passed += part
            if inside < passed:
                return Place("production", wave)
        return Place("production", len(self.shares) - 1)
