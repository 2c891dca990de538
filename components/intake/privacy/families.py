"""Families of recognizers: each with the trigger that tells where in a text it may find something.

A trigger may fire for nothing (that costs time); it may never stay silent where a recognizer of its family would match
(that costs privacy): tests compare gated with ungated results.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from flywheel.components.intake.privacy import bank, credentials, identity, names, network, phones, places, triggers
from flywheel.components.intake.privacy.spans import Recognizer

Hits = tuple[np.ndarray, np.ndarray]  # starts and ends, int64, in bytes of the joined texts


@dataclass(frozen=True)
class Family:
    """Recognizers that look at the same windows.

    Attributes:
        name: For messages and tests.
        recognizers: In order of trust.
        trigger: Joined texts (UTF-8) -> where something may be.
        before: Bytes of context that a recognizer may need before a hit; the window then grows to the next space.
        after: Bytes of context that it may need behind the hit's end.
    """

    name: str
    recognizers: tuple[Recognizer, ...]
    trigger: Callable[[bytes], Hits]
    before: int
    after: int


# In order of trust: what an earlier family took, a later one cannot see.
FAMILIES: tuple[Family, ...] = (
    Family("keys in blocks", credentials.BLOCKS, triggers.key_blocks, 0, 6000),
    Family("tokens", (*credentials.RECOGNIZERS, *network.RECOGNIZERS, *bank.ROUTING), triggers.tokens, 120, 160),
    Family("accounts", bank.RECOGNIZERS, triggers.accounts, 80, 40),
    Family("identities", identity.RECOGNIZERS, triggers.identities, 80, 40),
    Family("telephones", phones.RECOGNIZERS, triggers.telephones, 80, 30),
    Family("places", places.RECOGNIZERS, triggers.places, 110, 110),
    Family("names", names.RECOGNIZERS, triggers.names, 24, 100),
)
