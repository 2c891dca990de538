"""Telephone numbers: international, and the national shapes that people write in many countries.

Free digits are also years, prices, order numbers and quantities. So a number without a country code must have the
shape of a telephone number of some country, or follow a word such as "call me at"; and never a word such as "order".
"""

from collections.abc import Iterator

from flywheel.components.intake.privacy.other_numbers import named_otherwise, quantity
from flywheel.components.intake.privacy.patterns import Pattern, short
from flywheel.components.intake.privacy.spans import Recognizer, Span, digits_of, free_standing

_S = r"[ .\-/]"  # one separator
_EXTENSION = r"(?:,?[ ]?(?:x|ext\.?|extension|poste|durchwahl|#)[ ]?\d{1,6})?"

_INTERNATIONAL = Pattern(r"((?:\+[ ]?|\(\+|\b00[ ]?)[1-9]\d{0,2}\)?(?:[ .\-/]{0,2}\(?\d{1,5}\)?){1,7})" + _EXTENSION)
_SHAPE = (
    r"("
    # North America; with an exchange that starts with any digit it is also Italy, Turkey, Korea, Australia ...
    r"(?:1" + _S + r"?)?(?:\(\d{3}\)[ .\-]?|[2-9]\d{2}" + _S + r")\d{3}[ .\-]\d{4}"
    r"|\([2-9]\d{2}\)[ ]?\d{7}"
    # trunk prefix 0, with or without brackets: Europe, Japan, Australia, Africa, ...
    r"|\(0[1-9]\d{0,4}\)[ \-]?\d{2,8}(?:[ .\-/]?\d{2,6}){0,4}"
    r"|0[1-9]\d{0,4}(?:" + _S + r"|[ ][\-/][ ])\d{2,8}(?:[ .\-]\d{2,6}){0,4}"
    r"|0[1-9]\d{7,10}"
    # India (5+5), China (3+4+4), Brazil, Mexico, Russia
    r"|[6-9]\d{4}[ \-]\d{5}|1[3-9]\d[ \-]?\d{4}[ \-]?\d{4}|\(?[1-9]\d\)?[ ]?9?\d{4}-\d{4}|[1-9]\d[ ]\d{4}[ ]\d{4}"
    r"|8[ \-]?\(?\d{3}\)?[ \-]?\d{3}[ \-]?\d{2}[ \-]?\d{2}"
    # Spain, Poland, Scandinavia: groups of two and three
    r"|[5-9]\d{2}[ \-]\d{3}[ \-]\d{3}|[679]\d{2}[ .\-]\d{2}[ .\-]\d{2}[ .\-]\d{2}|\d{2}[ ]\d{2}[ ]\d{2}[ ]\d{2}"
    r"|\d{2}[ ]\d{3}[ ]\d{2}[ ]\d{2}|[2-9]\d{2}[ ]\d{2}[ ]\d{3}|\d{3}[ \-]\d{2}[ \-]\d{2}[ \-]\d{2,3}"
    r"|[3-9]\d{3}[ .\-]\d{4}"
    # mobile numbers with the country code and no plus, as messengers show them
    r"|(?:49[ \-]?1[5-7]\d|44[ \-]?7\d{2}|91[ \-]?[6-9]\d{2}|55[ \-]?\d{2}9\d|86[ \-]?1[3-9]\d|90[ \-]?5\d{2}"
    r"|7[ \-]?9\d{2}"
    r"|1[ \-]?[2-9]\d{2}|61[ \-]?4\d|92[ \-]?3\d{2}|63[ \-]?9\d{2}|20[ \-]?1\d{2}|39[ \-]?3\d{2}|81[ \-]?[789]0"
    r"|82[ \-]?10"
    r"|62[ \-]?8\d{2}|234[ \-]?[789]\d|880[ \-]?1\d{2}|380[ \-]?\d{2})[ \-]?\d{3,4}[ \-]?\d{4}"
    r"|(?:3[346]|4[13678]|27|31|32|84|351|353|358|420|421|966|971)[ \-]?[3-9]\d{2}[ \-]?\d{2,3}[ \-]?\d{3}"
    # ten digits on end: North America and India
    r"|[2-9]\d{9}"
    r")" + _EXTENSION
)
_SHAPE_HERE = short(_SHAPE)
# Where a shape may be. RE2 builds its states as it reads: for the shapes themselves it would never be done.
_NUMBERS = Pattern(r"\(?\d(?:[ .\-/()]{0,3}\d){7,}")
_LABELLED = Pattern(
    r"(?:phone|telephone|\btel\b|cell(?:phone)?|mobile|\bmob\b|\bgsm\b|whats ?app|\bsms\b|\bfax\b|hotline"
    r"|landline|text me|signal|viber|telegram"
    r"|call(?:ed|ing)?(?: (?:me|us|him|her|back|my \p{L}+))?|ring me|dial|reach(?:able)? (?:me|us|at|on|under)"
    r"|contact (?:number|no|me)|my number|number is|telefon\p{L}*|handy\p{L}*|mobil\p{L}*|rufnummer|anrufen|rufen sie"
    r"|erreich\p{L}* (?:mich|unter)|t[ée]l[ée]phone|(?:\b|\s)t[ée]l[ .:]|portable|appel\p{L}*|num[ée]ro|tel[ée]fono"
    r"|m[óo]vil|celular|n[úu]mero|ll[áa]m\p{L}*|ligue\p{L}*|telem[óo]vel|bel me|bellen|ring mig|ring meg|\btlf\b"
    r"|puhelin\p{L}*|\bpuh\b|zadzwo\p{L}*|zavol\p{L}*|kom[óo]rk\p{L}*|mi número|hívjon|sunați|τηλ[έε]φων\p{L}*"
    r"|κινητ\p{L}*"
    r"|cellulare|telefone|telefoon|телефон\p{L}*|позвон\p{L}*|тел[.:\s]|номер|мобильн\p{L}*|電話|电话|手机|携帯|전화|휴대폰|هاتف)"
    r"[^\d\n+(]{0,25}(\+?\(?\d(?:[ .\-/()]{0,2}\d){6,14})" + _EXTENSION
)
_DATE_OR_TIME = short(
    r"^(?:\d{1,2}[./\- ]\d{1,2}[./\- ](?:19|20)\d{2}|(?:19|20)\d{2}[./\-]\d{1,2}[./\-]\d{1,2})(?:\D"
    r"|$)|^\d{1,2}([./\-])\d{1,2}[./\-]\d{2}$"
)
_THOUSANDS = short(r"^\+[ ]?\d{1,3}(?:[ .]\d{3})+$")
_GROUP = short(r"\d+")
_NEXT = short(r"\(|(?<!\d)\d")
_MOST_NATIONAL = 13  # digits


def _international(text: str) -> Iterator[Span]:
    for match in _INTERNATIONAL.finditer(text):
        start, full = match.span(1)
        before = text[start - 1 : start]
        if (before.isascii() and before.isalnum()) or before in ("_", "."):
            continue
        end = _one_number(text, start, full, most=15)
        amount = _THOUSANDS.match(text[start:end]) and quantity(text, start, end)
        if len(digits_of(text[start:end])) >= 8 and not amount:
            yield Span(start, match.end() if end == full else end, "PHONE")


def _national(text: str) -> Iterator[Span]:
    for begin, limit in _NUMBERS.places(text):
        at = begin
        while at < limit:  # a date or an order number may stand right before a telephone number
            match = _SHAPE_HERE.match(text, at, limit + 24)
            if match is not None:
                full = match.end(1)
                digits = len(digits_of(match[1]))
                end = full if digits <= _MOST_NATIONAL else _one_number(text, at, full, _MOST_NATIONAL)
                end = match.end() if end == full else end
                if _is_national(text, at, end, digits):
                    yield Span(at, end, "PHONE")
                    at = end
                    continue
            following = _NEXT.search(text, at + 1, limit)
            at = limit if following is None else following.end() - 1


def _is_national(text: str, start: int, end: int, digits: int) -> bool:
    if digits < 8 or not free_standing(text, start, end):
        return False
    if _DATE_OR_TIME.search(text[start:end]) or quantity(text, start, end):
        return False
    if "(" in text[start:end]:
        return True
    return not named_otherwise(text, start, digits_only=text[start:end].isdigit())


def _one_number(text: str, start: int, end: int, most: int) -> int:
    """Return where one telephone number ends when several stand in a row: E.164 allows 15 digits."""
    total = len(digits_of(text[start:end]))
    if total <= most:
        return end
    groups = [(start + match.start(), start + match.end()) for match in _GROUP.finditer(text[start:end])]
    digits, last, cut = 0, start, start
    for begin, stop in groups:
        if text[begin] == "0" and digits >= 8 and total - digits >= 7:
            cut = last  # the rest is long enough for a number of its own and begins like one
        if digits and digits + stop - begin > most:
            break
        digits, last = digits + stop - begin, stop
    return cut if cut > start else last


def _labelled(text: str) -> Iterator[Span]:
    for match in _LABELLED.finditer(text):
        start, end = match.span(1)
        after = text[end : end + 1]
        if (after.isascii() and after.isalpha()) or after == "_" or _DATE_OR_TIME.search(text[start:end]):
            continue
        if quantity(text, start, end) or named_otherwise(text[match.start() : start], start - match.start()):
            continue
        yield Span(start, match.end(), "PHONE")


RECOGNIZERS: tuple[Recognizer, ...] = (_international, _national, _labelled)
