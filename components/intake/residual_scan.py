"""An independent look for personal data that scrubbing missed: own simple patterns, sharing no code with `privacy`.

Two hands find more than one: a fault in the recognizers cannot hide here. High precision on purpose, because one match
stops the pipeline; it is a net under the recognizers and no measure of their recall.
"""

import re
from collections import Counter
from collections.abc import Iterator

_IBAN_LENGTH = {
    "AT": 20, "BE": 16, "CH": 21, "CZ": 24, "DE": 22, "DK": 18, "ES": 24, "FI": 18, "FR": 27, "GB": 22,
    "IE": 22, "IT": 27, "LU": 20, "NL": 18, "NO": 15, "PL": 28, "PT": 25, "SE": 24,
}  # fmt: skip
_PATTERNS: dict[str, re.Pattern[str]] = {
    "email": re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){0,5}\.[A-Za-z]{2,24}"),
    "card": re.compile(
        r"(?<![\w.+-])(?:\d{13,19}|\d{4}[ -]\d{4}[ -]\d{4}[ -]\d{1,4}(?:[ -]\d{1,3})?|\d{4}[ -]\d{6}[ -]\d{4,5})(?!\w)"
    ),
    "iban": re.compile(r"(?<!\w)[A-Z]{2}\d{2}(?:(?: [A-Z0-9]{4}){2,7}(?: [A-Z0-9]{1,3})?|[A-Z0-9]{11,30})(?!\w)"),
    "ip": re.compile(
        r"(?<![\w.])(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?!\w|\.\w)"
    ),
    "mac": re.compile(r"(?<![\w:.-])(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}(?![\w:.-])"),
    "ssn": re.compile(r"(?<![\w-])(?!000|666|9)\d{3}-(?!00)\d\d-(?!0000)\d{4}(?![\w-])"),
    "phone": re.compile(
        r"(?<![\w+.])\+\d{1,3}[ -]?\(?\d{2,4}\)?(?:[ -]?\d{2,4}){2,4}(?!\w)"
        r"|(?<![\w-])\([2-9]\d\d\) \d{3}-\d{4}(?![\w-])"
    ),
    "secret": re.compile(
        r"\bsk-[A-Za-z0-9]{20,200}\b|\bghp_[A-Za-z0-9]{30,200}\b|\bAKIA[0-9A-Z]{16}\b"
        r"|\beyJ[\w-]{10,2000}\.[\w-]{10,2000}\.[\w-]{5,1000}"
    ),
    "name": re.compile(
        r"\b[Mm]y name is (?!(?:Not|The|An?|On|In|No|Still|Wrong|Also|Of|Now|Mr|Mrs|Ms"
        r"|Dr)\b)[A-Z][a-z]{2,20} [A-Z][a-z]{2,20}\b"
    ),
}
_NEEDS = {"email": "@", "phone": "+(", "mac": ":", "ip": ".", "ssn": "-", "name": "y name is "}
_THOUSANDS = re.compile(r"\+\d{1,3}(?: \d{3})+\Z")
_JSON_BLANK = re.compile(r"\\[nrtbf]")


def scan(text: str) -> Iterator[str]:
    """Yield the type of each piece of personal data in a text; placeholders such as `[EMAIL_1]` are none.

    Args:
        text: Plain text, or JSON text as the store's columns hold it.

    Yields:
        email, card, iban, ip, mac, ssn, phone, secret or name, once per match.
    """
    if "\\" in text:
        text = _JSON_BLANK.sub(" ", text)  # an escaped newline must not look like the letter n
    for kind, pattern in _PATTERNS.items():
        need = _NEEDS.get(kind)
        if need is not None and not (need in text if len(need) > 2 else any(sign in text for sign in need)):
            continue
        for match in pattern.finditer(text):
            if _holds(kind, match.group()):
                yield kind


def count(texts: Iterator[str]) -> Counter[str]:
    """Count matches by type over texts."""
    total: Counter[str] = Counter()
    for text in texts:
        total.update(scan(text))
    return total


def _holds(kind: str, found: str) -> bool:
    if kind == "card":
        digits = [int(character) for character in found if character.isdigit()]
        doubled = [digit if index % 2 == 0 else sum(divmod(2 * digit, 10)) for index, digit in enumerate(digits[::-1])]
        return digits[0] in (3, 4, 5, 6) and sum(doubled) % 10 == 0 and len(set(digits)) > 1
    if kind == "iban":
        bare = found.replace(" ", "")
        turned = "".join(str(int(character, 36)) for character in bare[4:] + bare[:4])
        return _IBAN_LENGTH.get(bare[:2]) == len(bare) and int(turned) % 97 == 1
    if kind == "phone":
        return not _THOUSANDS.match(found) and sum(character.isdigit() for character in found) >= 9
    return True
