"""Personal data that must not have survived intake, found by patterns of its own.

The patterns are written apart from intake's on purpose: a gap in one of them is not a gap in the other. They are
narrow (checksums, dialling prefixes, routable addresses), because a false match stops a training run.
"""

import ipaddress
import re

_EMAIL = re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})+")
# International numbers (E.164: the country code begins with 1-9) and North American ones (area and exchange with 2-9).
_PHONE = re.compile(
    r"(?<![\w+])\+[1-9][\d ().\-]{7,20}\d\b|(?<![\w-])(?:\([2-9]\d\d\) ?|[2-9]\d\d-)[2-9]\d\d-\d{4}(?![\w-])"
)
_CARD = re.compile(r"(?<![\w-])\d(?:[ -]?\d){12,18}(?![\w-])")
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b")
_SSN = re.compile(r"(?<![\w-])(?!000|666|9\d\d)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\w-])")
_ADDRESS = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.]*\d)")
# Issuer prefixes of Visa, Mastercard, American Express, Diners Club, JCB, Discover and UnionPay with their lengths.
_ISSUER = re.compile(
    r"4\d{12}(?:\d{3}){0,2}|(?:5[1-5]|2[2-7])\d{14}|3[47]\d{13}|3(?:0[0-5]|[68]\d)\d{11}|35\d{14}|6(?:011|2|4[4-9]|5)\d{11,17}"
)
_DIGITS = re.compile(r"\d")


def kinds(text: str) -> list[str]:
    """Name the kinds of personal data in a text.

    Args:
        text: Text to look at.

    Returns:
        Kinds found, each once, in a fixed order; empty when there are none. The data itself is never returned.
    """
    return [kind for kind, _ in _matches(text)]


def flag(*texts: str | None) -> str:
    """Project texts to the flag that the contracts check: the kinds found, or "none".

    Args:
        texts: Texts of one row; None counts as empty.

    Returns:
        "none", or the kinds joined by "+", as "email+phone".
    """
    return "+".join(kinds("\n".join(text for text in texts if text))) or "none"


def mask(text: str) -> str:
    """Replace personal data by its kind in brackets, so that an example row can be shown.

    Args:
        text: Text to show.

    Returns:
        The text without the matches.
    """
    for kind, found in _matches(text):
        for value in found:
            text = text.replace(value, f"[{kind}]")
    return text


def _matches(text: str) -> list[tuple[str, list[str]]]:
    found: list[tuple[str, list[str]]] = []
    if "@" in text:
        found.append(("email", _EMAIL.findall(text)))
    if _DIGITS.search(text):  # most sentences hold no digit: one cheap look saves the rest
        found += [
            ("iban", [value for value in _IBAN.findall(text) if _iban(value)]),
            ("card", [value for value in _CARD.findall(text) if _card(value)]),
            ("ssn", _SSN.findall(text)),
            ("phone", [value for value in _PHONE.findall(text) if 9 <= len(_DIGITS.findall(value)) <= 15]),
            ("ip", [value for value in _ADDRESS.findall(text) if _routable(value)]),
        ]
    return [(kind, values) for kind, values in found if values]


def _card(number: str) -> bool:
    """Issuer prefix, length and check digit of a payment card (ISO/IEC 7812-1, annex B)."""
    compact = "".join(_DIGITS.findall(number))
    if not _ISSUER.fullmatch(compact):
        return False
    digits = [int(digit) for digit in reversed(compact)]
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[1::2]]
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0


def _iban(number: str) -> bool:
    """Check digits of bank accounts (ISO 13616: mod 97 is 1)."""
    compact = number.replace(" ", "")
    if not 15 <= len(compact) <= 34:
        return False
    return int("".join(str(int(letter, 36)) for letter in compact[4:] + compact[:4])) % 97 == 1


def _routable(address: str) -> bool:
    try:
        return ipaddress.IPv4Address(address).is_global
    except ipaddress.AddressValueError:
        return False
