"""Families of recognizers: each with the trigger that tells where in a text it may find something.

A trigger may fire for nothing (that costs time); it may never stay silent where a recognizer of its family would match
(that costs privacy): tests compare gated with ungated results.
"""

from collections.abc import Callable
from dataclasses import dataclass

from flywheel.components.intake.privacy import bank, credentials, identity, names, network, phones, places, triggers
from flywheel.components.intake.privacy.spans import Recognizer
from flywheel.components.intake.privacy.windows import Hits, Joined


@dataclass(frozen=True)
class Family:
    """Recognizers that look at the same windows.

    Attributes:
        name: For messages and tests.
        recognizers: In order of trust.
        trigger: Joined texts -> where something may be, in bytes.
        before: Bytes of context that a recognizer may need before a hit; the window then grows to the next space.
        after: Bytes of context that it may need behind the hit's end.
    """

    name: str
    recognizers: tuple[Recognizer, ...]
    trigger: Callable[[Joined], Hits]
    before: int
    after: int


# In order of trust: what an earlier family took, a later one cannot see.
FAMILIES: tuple[Family, ...] = (
    Family("keys in blocks", credentials.BLOCKS, triggers.key_blocks, 0, 6000),
    Family("secrets", credentials.RECOGNIZERS, triggers.secrets, 120, 160),
    Family("e-mail", network.SIGNED, triggers.mail_signs, 70, 70),
    Family("e-mail in words", network.SPELLED, triggers.spelled_mail, 120, 160),
    Family("machines", network.MACHINES, triggers.machines, 40, 60),
    Family("labels", (*bank.ROUTING, *network.LABELLED), triggers.labels, 20, 60),
    Family("accounts", bank.RECOGNIZERS, triggers.accounts, 80, 40),
    Family("identities", identity.RECOGNIZERS, triggers.identities, 80, 40),
    Family("telephones", phones.RECOGNIZERS, triggers.telephones, 80, 30),
    Family("places", places.RECOGNIZERS, triggers.places, 110, 110),
    Family("names", names.RECOGNIZERS, triggers.names, 24, 100),
)
