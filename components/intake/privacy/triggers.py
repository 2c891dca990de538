r"""Where in texts something may be found: one pass of a fast pattern per family, over all texts of a batch joined.

A pattern here is the words that its recognizers begin with, and as much of what must follow as keeps ordinary prose
from firing: "regards" alone is no hit, "regards, A" is. RE2 reads about 500 MB/s while nothing fires and each hit
costs about a microsecond, so precision here is speed.
"""

from collections.abc import Iterator

import numpy as np

from flywheel.components.intake.privacy import bank, credentials, network
from flywheel.components.intake.privacy import names as person_names
from flywheel.components.intake.privacy import places as street_addresses
from flywheel.components.intake.privacy.patterns import Pattern

Hits = tuple[np.ndarray, np.ndarray]

_GAP = 4  # bytes from one digit to the next in one number, at most
_NOTHING = (np.zeros(0, np.int64), np.zeros(0, np.int64))


def _hits(compiled: Pattern, raw: bytes) -> Hits:
    places = compiled.finds(raw)
    if not places:
        return _NOTHING
    starts, ends = np.array(places, np.int64).T
    return starts, ends


_TOKENS = Pattern(f"{credentials.TRIGGER}|{network.TRIGGER}|{bank.ROUTING_TRIGGER}")


def key_blocks(raw: bytes) -> Hits:
    """Private keys in PEM blocks."""
    places = list(_occurrences(raw, credentials.BLOCK_TRIGGER))
    starts = np.array(places, np.int64)
    return starts, starts + 10


def tokens(raw: bytes) -> Hits:
    """Keys, passwords, tokens, addresses of the net."""
    return _hits(_TOKENS, raw)


def _occurrences(raw: bytes, wanted: bytes) -> Iterator[int]:
    place = raw.find(wanted)
    while place >= 0:
        yield place
        place = raw.find(wanted, place + 1)


_last: tuple[bytes, np.ndarray] = (b"", np.zeros(0, np.int64))


def _digits(raw: bytes) -> np.ndarray:
    """Places of the digits; remembers the last texts, since four families ask for the same."""
    global _last  # noqa: PLW0603
    last, digits = _last
    if last is not raw:
        digits = np.flatnonzero(np.frombuffer(raw, np.uint8) - np.uint8(48) < 10)
        _last = (raw, digits)
    return digits


def _digit_runs(raw: bytes, least: int) -> Hits:
    """Runs of digits without gaps longer than `_GAP`."""
    digits = _digits(raw)
    if len(digits) < least:
        return _NOTHING
    first = np.flatnonzero(np.concatenate(([True], np.diff(digits) > _GAP)))
    last = np.concatenate((first[1:] - 1, [len(digits) - 1]))
    enough = last - first + 1 >= least
    return digits[first[enough]], digits[last[enough]] + 1


def _both(one: Hits, other: Hits) -> Hits:
    starts, ends = np.concatenate((one[0], other[0])), np.concatenate((one[1], other[1]))
    order = np.argsort(starts, kind="stable")
    return starts[order], ends[order]


def accounts(raw: bytes) -> Hits:
    """Cards and accounts: long runs of digits; bank codes of letters."""
    return _digit_runs(raw, 7)


def identities(raw: bytes) -> Hits:
    """Identity numbers and dates."""
    return _digit_runs(raw, 4)


def telephones(raw: bytes) -> Hits:
    """Telephone numbers."""
    return _digit_runs(raw, 7)


_STREET = Pattern(street_addresses.TRIGGER)
_NEAR = 90  # bytes from the street word to the house number


def places(raw: bytes) -> Hits:
    """Street words with a digit near."""
    starts, ends = _hits(_STREET, raw)
    if not len(starts):
        return _NOTHING
    digits = _digits(raw)
    near = np.searchsorted(digits, ends + _NEAR) > np.searchsorted(digits, starts - _NEAR)
    return starts[near], ends[near]


_NAMES = Pattern(person_names.TRIGGER)


def names(raw: bytes) -> Hits:
    """Introductions, greetings, signatures and titles."""
    return _hits(_NAMES, raw)
