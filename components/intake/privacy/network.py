"""E-mail, IP and MAC addresses."""

from collections.abc import Iterator

from flywheel.components.intake.privacy.checksums import internet_address
from flywheel.components.intake.privacy.patterns import Pattern, short
from flywheel.components.intake.privacy.spans import Recognizer, Span, alone, by_group

# RFC 5321 in practice, with letters of any script (RFC 6531); the local part may be quoted.
_EMAIL = Pattern(
    r"(?:(?:\"[^\"\s]{1,64}\"|[\p{L}\p{M}\p{N}!#$%&'*+/=?^_`{|}~.\-]+)\s?@\s?"
    r"(?:[\p{L}\p{N}](?:[\p{L}\p{M}\p{N}\-]*[\p{L}\p{M}\p{N}])?\.)+[\p{L}\p{M}][\p{L}\p{M}\p{N}\-]*"
    r"|[\p{L}\p{N}!#$%&'*+/=?^_`{|}~.\-]+@\[[0-9a-f:.]+\])"
)
_SPELLED = Pattern(
    r"([\p{L}\p{N}][\p{L}\p{N}._%+\-]*(?:\s(?:dot|punkt|punto|point)\s[\p{L}\p{N}_\-]+){0,3}"
    r"\s*(?:\s(?:at|arobase|arroba|chiocciola)\s|[\[({<]\s*(?:at|@|ät)\s*[\])}>])\s*"
    r"[\p{L}\p{N}\-]+(?:\s*(?:\s(?:dot|punkt|punto|point|ponto)\s|[\[({<]\s*(?:dot|punkt"
    r"|\.)\s*[\])}>])\s*[\p{L}\p{N}\-]+)+)"
)
_HALF_SPELLED = Pattern(
    r"([\p{L}\p{N}][\p{L}\p{N}._%+\-]*\s*[\[({<]\s*(?:at|ät)\s*[\])}>]\s*[\p{L}\p{N}\-]+(?:\.[\p{L}\p{N}\-]+)+"
    r"|[\p{L}\p{N}][\p{L}\p{N}._%+\-]*@[\p{L}\p{N}\-]+\s?(?:\[dot\]|\(dot\)|\sdot\s)\s?[\p{L}]{2,}"
    r"|[\p{L}\p{N}][\p{L}\p{N}._%+\-]*\s+at\s+(?:gmail|yahoo|hotmail|outlook|icloud|gmx|proton|protonmail|aol|web)"
    r"\.[\p{L}]{2,}(?:\.[\p{L}]{2,})?)"
)
_CODED = Pattern(r"([a-z0-9._+\-]{1,64}(?:%40|&#64;|&#x40;|\\u0040)[a-z0-9\-]{1,63}(?:\.[a-z0-9\-]{1,63}){1,5})")
_IPV4 = Pattern(r"\d{1,3}(?:\.\d{1,3}){3}")
_IPV6 = Pattern(r"(?:[0-9a-f]{0,4}:){2,7}(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f]{0,4})(?:%[0-9a-z]{1,15})?")
_MAC_LABEL = Pattern(r"\b(?:mac|bssid)(?: address)?\s*(?:is|[:=])?\s*([0-9a-f]{12})\b")
_MAC = Pattern(r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}|[0-9a-f]{2}(?:-[0-9a-f]{2}){5}|[0-9a-f]{4}\.[0-9a-f]{4}\.[0-9a-f]{4}")

_PLACE_WORD = short(
    r"\s(?:at|arroba|arobase)\s+(?:the|a|an|this|that|some|what|which|one|any|each|every|my|your|our|its)\s"
)
SIGN_TRIGGER = r"@|%40|&#(?:64|x40);|\\\\u0040"
SPELLED_TRIGGER = (
    r"\s(?:dot|punkt|punto|point|ponto)\s|[\[({<]\s*(?:at|ät|dot|punkt|\.)\s*[\])}>]"
    r"|\sat\s+(?:gmail|yahoo|hotmail|outlook|icloud|gmx|proton|aol|web)"
)
LABEL_TRIGGER = r"\b(?:mac|bssid)\b"
MACHINE_TRIGGER = (
    r"::|[0-9a-f]{1,4}:[0-9a-f]{0,4}:|[0-9a-f]{2}-[0-9a-f]{2}-[0-9a-f]{2}-|[0-9a-f]{4}\.[0-9a-f]{4}\.[0-9a-f]{4}"
    r"|\d\.\d{1,3}\.\d{1,3}\.\d"
)


def _spelled(text: str) -> Iterator[Span]:
    for match in _SPELLED.finditer(text):
        if not _PLACE_WORD.search(match.group()):  # "at the point where" is no address
            yield Span(*match.span(1), "EMAIL")


def _ipv4(text: str) -> Iterator[Span]:
    for start, end in _IPV4.places(text):
        numbers = [int(part) for part in text[start:end].split(".")]
        if max(numbers) <= 255 and alone(text, start, end, "."):
            yield Span(start, end, "IP")


def _ipv6(text: str) -> Iterator[Span]:
    for start, stop in _IPV6.places(text):
        one = text[stop - 1] == ":" and text[stop - 2] != ":"  # "at 2001:db8::1: refused"
        end = stop - 1 if one else stop
        address = text[start:end].partition("%")[0]
        telling = any(character.isdigit() for character in address) or address.count(":") >= 4
        if telling and internet_address(address) and alone(text, start, end, ":"):
            yield Span(start, end, "IP")


def _mac(text: str) -> Iterator[Span]:
    for start, end in _MAC.places(text):
        dotted = text[start + 4] == "."  # three groups of digits only are a version
        if alone(text, start, end, ":-.") and not (dotted and text[start:end].replace(".", "").isdigit()):
            yield Span(start, end, "MAC")


SIGNED: tuple[Recognizer, ...] = (by_group(_EMAIL, "EMAIL", 0), by_group(_CODED, "EMAIL"))
SPELLED: tuple[Recognizer, ...] = (by_group(_HALF_SPELLED, "EMAIL"), _spelled)
MACHINES: tuple[Recognizer, ...] = (_mac, _ipv6, _ipv4)
LABELLED: tuple[Recognizer, ...] = (by_group(_MAC_LABEL, "MAC"),)
