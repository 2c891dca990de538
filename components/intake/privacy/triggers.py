r"""Where in texts something may be found, over all texts of a batch joined.

A pattern here is the words that its recognizers begin with, and as much of what must follow as keeps ordinary prose
from firing: "regards" alone is no hit, "regards, A" is. RE2 reads about 600 MB/s while nothing fires, whatever it
looks for, and each hit costs about a microsecond. So all texts are read by one pattern, once; the patterns of the
families read the surroundings of its hits, and those of digits.
"""

import re
from collections.abc import Callable

import numpy as np

from flywheel.components.intake.privacy import bank, credentials, network
from flywheel.components.intake.privacy import names as person_names
from flywheel.components.intake.privacy import places as street_addresses
from flywheel.components.intake.privacy.patterns import Pattern
from flywheel.components.intake.privacy.windows import NOTHING, Compact, Hits, Joined

_GAP = 4  # bytes from one digit to the next in one number, at most
_SMALL = 1 << 14  # bytes that are read whole by every pattern: looking where to look would take longer
_NEAR = 90  # bytes from the street word to the house number
_AROUND = 64  # bytes about a hit of another pattern within which a hit may lie, and more up to the next space


def _hits(compiled: Pattern, raw: bytes) -> Hits:
    places = compiled.finds(raw)
    if not places:
        return NOTHING
    starts, ends = np.array(places, np.int64).T
    return starts, ends


def _in_windows(compiled: Pattern, compact: Compact) -> Hits:
    """Hits in windows only."""
    starts, ends = _hits(compiled, compact.raw)
    return compact.back(starts), compact.back(ends - 1) + 1


_COUNTS = re.compile(r"\{(\d+)(?:,\d*)?\}")


def _coarse(source: str) -> str:
    """Lengthen all repetitions of a pattern: it matches where it did, and RE2 needs far fewer states to know."""
    return _COUNTS.sub(lambda count: f"{{{min(int(count[1]), 2)},}}", source)


_BLOCK = Pattern(credentials.BLOCK_TRIGGER, ignore_case=False)
_SECRETS = Pattern(_coarse(credentials.TRIGGER))
_SIGNS = Pattern(network.SIGN_TRIGGER)
_SPELLED = Pattern(network.SPELLED_TRIGGER)
_MACHINES = Pattern(network.MACHINE_TRIGGER)
_SIGNS_OF_MACHINES = ((":", 1, 5), ("-", 3, 3), (".", 2, 5))  # bytes from one to the next
_LABELS = Pattern(f"{bank.ROUTING_TRIGGER}|{network.LABEL_TRIGGER}")
_STREET = Pattern(street_addresses.TRIGGER)
_NAMES = Pattern(person_names.TRIGGER)
_WORDS = Pattern(
    "|".join(
        (
            f"(?-i:{credentials.BLOCK_TRIGGER})",
            _coarse(credentials.TRIGGER),
            network.SIGN_TRIGGER,
            network.SPELLED_TRIGGER,
            network.LABEL_TRIGGER,
            bank.ROUTING_TRIGGER,
            person_names.COARSE_TRIGGER,
        )
    )
)


def _about_words(joined: Joined) -> Hits:
    return joined.around(*_hits(_WORDS, joined.raw), _AROUND, _AROUND)


def _about_signs(joined: Joined) -> Hits:
    near = NOTHING
    for sign, least, most in _SIGNS_OF_MACHINES:
        near = _both(near, joined.pairs(sign, least, most))
    return joined.around(*near, _AROUND, _AROUND)


def _about_digits(joined: Joined) -> Hits:
    return joined.around(*_digit_runs(joined, 1), _NEAR + _AROUND, _NEAR + _AROUND)


def _in_part(compiled: Pattern, joined: Joined, where: Callable[[Joined], Hits] = _about_words) -> Hits:
    """Hits in a part of long texts, and where something was found: a border there may make a word of what was none."""
    if len(joined.raw) <= _SMALL:
        return _hits(compiled, bytes(joined.view))
    hits = _in_windows(compiled, joined.part(where))
    if not len(joined.glued[0]):
        return hits
    return _both(hits, _in_windows(compiled, Compact.of(joined, *joined.around(*joined.glued, _AROUND, _AROUND))))


def key_blocks(joined: Joined) -> Hits:
    """Private keys in PEM blocks."""
    return _in_part(_BLOCK, joined)


def secrets(joined: Joined) -> Hits:
    """Keys, passwords, tokens."""
    return _both(_in_part(_SECRETS, joined), joined.long_words(credentials.LONG))


def mail_signs(joined: Joined) -> Hits:
    """The sign of e-mail addresses, also encoded."""
    return _in_part(_SIGNS, joined)


def spelled_mail(joined: Joined) -> Hits:
    """E-mail addresses whose signs are words."""
    return _in_part(_SPELLED, joined)


def machines(joined: Joined) -> Hits:
    """IP and MAC addresses."""
    return _in_part(_MACHINES, joined, _about_signs)


def labels(joined: Joined) -> Hits:
    """Words that say what follows: a bank's code, a MAC address."""
    return _in_part(_LABELS, joined)


def _digit_runs(joined: Joined, least: int) -> Hits:
    """Runs of digits without gaps longer than `_GAP`."""
    digits = joined.digits
    if len(digits) < least:
        return NOTHING
    first = np.flatnonzero(np.concatenate(([True], np.diff(digits) > _GAP)))
    last = np.concatenate((first[1:] - 1, [len(digits) - 1]))
    enough = last - first + 1 >= least
    return digits[first[enough]], digits[last[enough]] + 1


def _both(one: Hits, other: Hits) -> Hits:
    if not len(one[0]) or not len(other[0]):
        return one if len(one[0]) else other
    starts, ends = np.concatenate((one[0], other[0])), np.concatenate((one[1], other[1]))
    order = np.argsort(starts, kind="stable")
    return starts[order], ends[order]


def accounts(joined: Joined) -> Hits:
    """Cards and accounts: long runs of digits; bank codes of letters."""
    return _digit_runs(joined, 7)


def identities(joined: Joined) -> Hits:
    """Identity numbers and dates."""
    return _digit_runs(joined, 4)


def telephones(joined: Joined) -> Hits:
    """Telephone numbers."""
    return _digit_runs(joined, 7)


def places(joined: Joined) -> Hits:
    """Street words with a digit near."""
    digits = joined.digits
    if not len(digits):
        return NOTHING
    starts, ends = _in_part(_STREET, joined, _about_digits)
    near = np.searchsorted(digits, ends + _NEAR) > np.searchsorted(digits, starts - _NEAR)
    return starts[near], ends[near]


def names(joined: Joined) -> Hits:
    """Introductions, greetings, signatures and titles."""
    return _in_part(_NAMES, joined)
