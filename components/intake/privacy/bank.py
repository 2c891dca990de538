"""Payment cards and bank accounts, found by shape and proved by their check digits."""

from collections.abc import Iterator

from flywheel.components.intake.privacy.checksums import IBAN_LENGTHS, iban, payment_card, remainder_97
from flywheel.components.intake.privacy.other_numbers import named_otherwise
from flywheel.components.intake.privacy.patterns import Pattern
from flywheel.components.intake.privacy.spans import Recognizer, Span, by_group

_CARD_DIGITS = Pattern(r"\d(?:[ \-.]{0,2}\d){11,40}")
_CARD_LABEL = Pattern(
    r"(?:card|karte|kreditkarte|carte|tarjeta|carta|cart[ãa]o)(?: (?:number|no\.?|nr\.?|num[ée]ro|n[úu]mero|nummer))?"
    r"(?: (?:is|ist|est|es))?\s*[:#]?\s*(\d(?:[ \-.]?\d){12,18})"
)
_IBAN_START = Pattern(
    rf"\b(?:(?:{'|'.join(sorted(IBAN_LENGTHS))})[ \-]?\d[ ]?\d[ \-.]?[a-z0-9]|[a-z]{{2}}\d{{2}}[a-z0-9]{{4}}\d)"
)
_IBAN_LABEL = Pattern(
    r"\biban(?:\s+(?:is|ist|est|es|number|nummer|no\.?))*\s*[:#]?\s*([a-z]{2}\d{2}(?:[ \-]?[a-z0-9]{2,4}){2,8})"
)
_ACCOUNT = Pattern(
    r"(?:account|acct|a/c|konto|kontonummer|compte|cuenta|conto|conta|rekening|rachun\p{L}*|účt\p{L}*|счет\p{L}*)"
    r"(?:[ \-]?(?:number|no\.?|num|nr\.?|nummer|num[ée]ro|n[úu]mero|#))"
    r"(?: (?:is|ist|est|es))?\s*[:#]?\s*(\d(?:[ \-]?\d){6,17})\b"
)
_ROUTING = Pattern(
    r"\b(?:routing|aba|sort code|bsb|swift|bic)(?:[ \-]?(?:number|no\.?|code))?(?: is)?\s*[:#]?\s*"
    r"(\d{2}-\d{2}-\d{2}|\d{9}|\d{3}-\d{3}|(?-i:[A-Z]{6}[A-Z0-9]{2}(?:[A-Z0-9]{3})?))\b"
)


def _cards(text: str) -> Iterator[Span]:
    for match in _CARD_DIGITS.finditer(text):
        begin, end = match.span()
        if begin and text[begin - 1].isascii() and text[begin - 1].isalnum():
            continue
        if end - begin <= 19 and text[begin:end].isdigit():  # no separators: the usual case
            right = payment_card(text[begin:end]) and text[begin - 1 : begin] != "+" and _plain_after(text, end)
            if right and (end - begin > 12 or not named_otherwise(text, begin)):
                yield Span(begin, end, "CARD")
            continue
        places = [index for index in range(begin, end) if text[index].isdigit()]
        starts = [i for i, place in enumerate(places) if i == 0 or places[i - 1] != place - 1]
        ends = [i for i, place in enumerate(places) if i + 1 == len(places) or places[i + 1] != place + 1]
        done = -1
        for first in starts:
            head = next(end for end in ends if end >= first) - first + 1  # digits in the first group
            if first <= done or (head != 4 and head < 12) or text[places[first] - 1 : places[first]] == "+":
                continue
            for last in reversed(ends):
                digits = "".join(text[place] for place in places[first : last + 1])
                if not payment_card(digits) or not _plain_after(text, places[last] + 1):
                    continue
                if len(digits) > 12 or not named_otherwise(text, places[first]):
                    yield Span(places[first], places[last] + 1, "CARD")
                    done = last
                    break


def _plain_after(text: str, end: int) -> bool:
    after = text[end : end + 1]
    return not (after.isascii() and (after.isalnum() or after == "_"))


def _labelled_card(text: str) -> Iterator[Span]:
    for match in _CARD_LABEL.finditer(text):  # a mistyped card number next to the word is still one
        yield Span(*match.span(1), "CARD")


def _ibans(text: str) -> Iterator[Span]:
    done = 0
    for match in _IBAN_START.finditer(text):
        start = match.start()
        if start < done or (start and text[start - 1].isascii() and text[start - 1].isalnum()):
            continue
        length = IBAN_LENGTHS.get(text[start : start + 2].upper())
        end = _take(text, start, length) if length else None
        if end is None or not iban(_bare(text[start:end])):
            end = _until_border(text, start)  # of another length than the registry's: the check digits decide
        if end is not None:
            done = end
            yield Span(start, end, "IBAN")


def _until_border(text: str, start: int) -> int | None:
    end = start
    while end < len(text) and end - start <= 34 and text[end].isascii() and text[end].isalnum():
        end += 1
    right = 15 <= end - start <= 34 and remainder_97(text[start:end].upper()) == 1
    return end if right and _plain_after(text, end) else None


def _take(text: str, start: int, length: int) -> int | None:
    """Return where `length` letters and digits end, with at most one separator between any two."""
    taken, index = 0, start
    while index < len(text) and taken < length:
        character = text[index]
        if character.isascii() and character.isalnum():
            taken += 1
        elif character not in " -." or not (index > start and text[index - 1].isalnum()):
            return None
        index += 1
    return index if taken == length and _plain_after(text, index) else None


def _bare(text: str) -> str:
    return "".join(character for character in text if character.isalnum()).upper()


def _labelled_iban(text: str) -> Iterator[Span]:
    for match in _IBAN_LABEL.finditer(text):
        start, end = match.span(1)
        while len(_bare(text[start:end])) > 34 or text[end - 1].isspace():
            end -= 1
        if sum(character.isdigit() for character in text[start:end]) >= 8:
            yield Span(start, end, "IBAN")


def _accounts(text: str) -> Iterator[Span]:
    for match in _ACCOUNT.finditer(text):
        yield Span(*match.span(1), "ACCOUNT")


ROUTING_TRIGGER = r"\b(?:routing|aba|sort code|bsb|swift|bic)\b"
ROUTING: tuple[Recognizer, ...] = (by_group(_ROUTING, "ACCOUNT"),)
RECOGNIZERS: tuple[Recognizer, ...] = (_ibans, _labelled_iban, _cards, _labelled_card, _accounts)
