"""Street addresses: a house number next to a street word, in the order of several languages."""

from collections.abc import Iterator

from flywheel.components.intake.privacy.patterns import Pattern
from flywheel.components.intake.privacy.spans import Recognizer, Span, by_group

_WORD = r"\p{Lu}[\p{L}\p{M}'.\-]*"
_ENGLISH_WORDS = (
    r"(?:[Ss]treet|[Ss]t|[Aa]venue|[Aa]ve|[Rr]oad|[Rr]d|[Ll]ane|[Ll]n|[Dd]rive|[Dd]r|[Bb]oulevard"
    r"|[Bb]lvd|[Cc]ourt|[Cc]t"
    r"|[Ww]ay|[Pp]lace|[Pp]l|[Ss]quare|[Ss]q|[Tt]errace|[Pp]arkway|[Pp]kwy|[Hh]ighway|[Hh]wy"
    r"|[Cc]ircle|[Cc]lose|[Cc]rescent"
    r"|[Gg]ardens|[Mm]ews|[Tt]rail|[Rr]ow|[Ww]harf|[Nn]agar|[Mm]arg|STREET|AVENUE|ROAD|LANE|DRIVE)"
)
_ENGLISH = Pattern(
    r"(\b\d{1,6}[A-Za-z]?,?\s+(?:(?:[NSEW]|North|South|East|West)\.?\s+)?(?:(?:"
    + _WORD
    + r"|\d{1,3}(?:st|nd|rd|th))\s+){1,4}"
    + _ENGLISH_WORDS
    + r"\b\.?(?:\s+(?:NW|NE|SW|SE|[NSEW])\b)?"
    r"(?:,?\s+(?:Apt|Apartment|Suite|Ste|Unit|Flat|Floor|#)\.?\s*[\p{L}\p{N}\-]{1,6})?"
    r"(?:,?\s+(?:" + _WORD + r"\s?){1,3},?\s+(?:[A-Z]{2}\s+)?(?:\d{5}(?:-\d{4})?"
    r"|[A-Z]{1,2}\d[A-Z0-9]?\s?\d[A-Z]{2}))?)",
    ignore_case=False,
)
_LOWER = Pattern(
    r"(\b\d{1,5}[a-z]?\s+(?:(?:north|south|east|west)\s+)?(\p{L}+)\s+(?:street|st|avenue|ave|road|rd"
    r"|lane|boulevard|blvd|drive)\b\.?)"
)
_GERMAN = Pattern(
    r"((?:\p{Lu}[\p{L}\-.]*\s)?(?:\p{Lu}[\p{L}\-]*(?:straße|strasse|str\.|str|weg|platz|allee|gasse"
    r"|ufer|damm|ring)|(?:Straße|Strasse|Str\.|Weg|Platz"
    r"|Allee|Gasse|Ring|Damm)(?:\s(?:des|der|am"
    r"|im)\s\p{Lu}[\p{L}\-]*)?)\s?\d{1,4}\s?[a-z]?\b(?:,?\s+(?:D-|A-"
    r"|CH-)?\d{4,5}\s+\p{Lu}[\p{L}\-]+)?)",
    ignore_case=False,
)
_DUTCH_NORDIC = Pattern(
    r"(\p{Lu}[\p{L}\-]+(?:straat|laan|weg|plein|gracht|kade|singel|gatan|vägen|gata|veien|vej|gade"
    r"|katu|tie)\s\d{1,4}\s?[a-zA-Z]?\b"
    r"(?:,?\s+\d{4}\s?(?:[A-Z]{2})?\s+\p{Lu}\p{L}+)?)",
    ignore_case=False,
)
_JOIN = r"(?:(?:de|du|des|del|della|delle|di|da|do|dos|das|la|le|les|los|las|el)\s+|l'|d'|dell')"
_PROPER = r"(?:" + _JOIN + r"){0,3}\p{Lu}[\p{L}\p{M}'\-.]*(?:\s+(?:" + _JOIN + r"){0,2}\p{Lu}[\p{L}\p{M}'\-]*){0,4}"
_FRENCH = Pattern(
    r"(\b\d{1,4}(?:\s?(?:bis|ter))?,?\s+(?:[Rr]ue|[Aa]venue|[Aa]v\.|[Bb]oulevard|[Bb]d|[Pp]lace"
    r"|[Cc]hemin|[Aa]llée|[Ii]mpasse|[Qq]uai|[Rr]oute"
    r"|[Cc]ours|[Ss]quare)\s+" + _PROPER + r"(?:,?\s+\d{5}\s+\p{Lu}[\p{L}\-]+)?)",
    ignore_case=False,
)
_SOUTHERN = Pattern(
    r"((?:\b[Cc]alle|\bC/|\b[Aa]venida|\b[Aa]vda?\.|\b[Pp]laza|\b[Pp]aseo|\b[Cc]amino|\b[Cc]arrera"
    r"|\b[Vv]ia|\b[Vv]iale|\b[Pp]iazza|\b[Cc]orso|\b[Ll]argo"
    r"|\b[Rr]ua|\b[Tt]ravessa|\b[Pp]raça|\b[Uu]l\.|\b[Uu]lica)\s*"
    + _PROPER
    + r",?\s+(?:[Nn](?:[º°.]|úm\.?)\s*)?\d{1,5}\s?[a-zA-Z]?\b"
    r"(?:,?\s+\d{5}\s+\p{Lu}[\p{L}\-]+)?)",
    ignore_case=False,
)
_BOX = Pattern(r"\b(p\.?\s?o\.?\s?box\s+\d+|postfach\s+\d[\d ]*\d|bo[iî]te postale\s+\d+)\b")
_NOT_A_STREET_TEXT = """
the a an this that per on in of off down up my your his her our their other main-stream more last next same long way
no any each every high side hour minute mile miles km days day times people users rock silk
"""
_NOT_A_STREET = frozenset(_NOT_A_STREET_TEXT.split())


def _lower(text: str) -> Iterator[Span]:
    for match in _LOWER.finditer(text):
        if match.group(2).lower() not in _NOT_A_STREET:
            yield Span(*match.span(1), "ADDRESS")


RECOGNIZERS: tuple[Recognizer, ...] = (
    by_group(_ENGLISH, "ADDRESS"),
    by_group(_FRENCH, "ADDRESS"),
    by_group(_SOUTHERN, "ADDRESS"),
    by_group(_GERMAN, "ADDRESS"),
    by_group(_DUTCH_NORDIC, "ADDRESS"),
    by_group(_BOX, "ADDRESS"),
    _lower,
)
