"""Claims that a coalition could have made alone: as few users stand behind them as may have agreed to lie.

Accounts with weeks of honest behaviour, who make a wrong claim as often and for as long as users make true ones, look
like customers who know better: whatever a group shows about itself it can fake. So the guard asks for what it cannot
fake. A claim is *confirmed* when

* more users make it than a coalition of `SHARE` of the users has members, or
* those who read the answer and are no part of the coalition would have liked it more if it were right: so few of them
  did that a right answer has that with a probability of at most `FALSE_SUPPORT` (`approval`). Of the silent readers, as
  many as the coalition has members left are taken to be its own, told to keep silent.

Of any other claim the log cannot tell whether users or a coalition made it; one person's word on one of its rows
settles all of them (`poison_guard.examine`, confirmed). Where fewer than `LEAST_CORRECTIONS` corrections or 1 / (2
`SHARE`) users are, a coalition of that share is nobody, and no claim waits.

A bound of what any so large coalition reaches, and no test of how it behaves: the same thought as in Levine & Feizi
(2021), Deep Partition Aggregation, ICLR: what holds whatever a limited number of contributors did.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flywheel.components.curation.guards.approval import Approval

SHARE = 0.02
"""Users that may have agreed to lie, of all of a log; the default, which a user of the component can change."""

UNCONFIRMED = "unconfirmed"
LEAST_CORRECTIONS = 100  # an attack of 1 % of fewer is none
FALSE_SUPPORT = (
    0.05  # chance that the silence of others speaks for a claim although the answer is right: of 1 %, 0.05 %
)


@dataclass(frozen=True)
class Audience:
    """Who uses what the log shows.

    Attributes:
        users: Users of the whole log.
        corrections: Corrections of the whole log, duplicates included.
        approval: How they up-vote right answers; None when the log shows too little.
        share: Share of the users that may have agreed to lie, in [0, 0.5).

    Raises:
        ValueError: The share is out of range.
    """

    users: int
    corrections: int
    approval: Approval | None = None
    share: float = SHARE

    def __post_init__(self) -> None:
        if not 0 <= self.share < 0.5:
            raise ValueError(f"coalition_share must lie in [0, 0.5), got {self.share}; 0 turns the guard off")

    def coalition(self) -> int:
        """Most members of a coalition; 0: there is none to fear."""
        return math.floor(self.share * self.users + 0.5) if self.corrections >= LEAST_CORRECTIONS else 0

    def confirms(self, believed: int, supporters: int, silent: int, endorsers: int) -> bool:
        """Whether a claim has what a coalition cannot give it.

        Args:
            believed: Users behind the claim whose word counts.
            supporters: All users behind it.
            silent: Users who got the answer since the claim was first made and corrected nothing.
            endorsers: Users who up-voted the answer since.
        """
        most = self.coalition()
        if believed > most:
            return True
        independent = silent - max(0, most - supporters)
        return self.approval is not None and self.approval.unliked_p(independent, endorsers) <= FALSE_SUPPORT


def audience_of(note: Mapping[str, Any], share: float = SHARE) -> Audience:
    """Read the note of `stages.deduplicate`.

    Args:
        note: users, corrections and approval (the fields of `Approval`, or None).
        share: Share of the users that may have agreed to lie, in [0, 0.5).
    """
    approval = Approval(**note["approval"]) if note["approval"] else None
    return Audience(int(note["users"]), int(note["corrections"]), approval, share)


def in_words(users: int) -> str:
    """An unconfirmed claim for the person who is asked about it.

    Args:
        users: Users who make the claim.
    """
    say = "1 user says this" if users == 1 else f"{users} users say this"
    return f"{say}, few enough to have agreed on it; the answer settles all rows that say the same"
