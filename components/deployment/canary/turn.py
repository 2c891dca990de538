"""One turn of the canary as the judge and the store see it, and the bucket that decides a user's arm."""

import hashlib
from typing import Literal

from flywheel.components.contracts.document import Document

Arm = Literal["production", "candidate"]


class Turn(Document):
    """One request, its answer and what its user did next. `asked_at` is on the traffic's clock (requests so far)."""

    subject: str
    number: int  # of the user's questions, from 0
    arm: Arm
    share: float = 0.0  # of the users on the candidate when the question was asked
    asked_at: int
    status: int  # HTTP
    latency_ms: float
    digest: str = ""  # of the model that says it answered
    response: str = ""
    wrong: bool | None = None  # against what the user knows; None: the user cannot tell
    rating: Literal[-1, 0, 1] | None = None
    correction: str | None = None
    comment: str | None = None
    implicit: tuple[Literal["regenerate", "rephrase", "abandon", "copy", "click"], ...] = ()
    tokens: int | None = None  # of the answer; None: the server does not count
    safety: bool = False  # the answer holds personal data that the question did not
    time: str = ""  # ISO 8601, UTC

    @property
    def error(self) -> bool:
        """Whether the server failed."""
        return self.status >= 500

    @property
    def empty(self) -> bool:
        """Whether the server answered without text."""
        return self.status < 400 and not self.response.strip()

    @property
    def complained(self) -> bool:
        """Whether the user said so in words or with a thumb: explicit bad feedback."""
        return self.rating == -1 or self.correction is not None

    @property
    def dissatisfied(self) -> bool:
        """Whether the user showed it without a word: asked again, in other words, or left."""
        return not {"regenerate", "rephrase", "abandon"}.isdisjoint(self.implicit)

    @property
    def bad(self) -> bool:
        """Whether the user showed dissatisfaction in either way."""
        return self.complained or self.dissatisfied


def bucket(subject: str, salt: str) -> float:
    """Place a user on [0, 1): uniform over users, the same for a user in the whole rollout.

    Args:
        subject: User id.
        salt: Rollout id; another rollout draws other users first.

    Returns:
        Keyed BLAKE2b of the subject as a fraction. A user is on the candidate if and only if it is below the share,
        so nobody flips back while the share grows.
    """
    key = hashlib.blake2b(salt.encode(), digest_size=32).digest()
    return int.from_bytes(hashlib.blake2b(subject.encode(), key=key, digest_size=8).digest()) / 2**64
