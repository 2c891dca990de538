"""Payment cards and bank accounts, found by shape and proved by their check digits."""

from collections.abc import Iterator
from itertools import accumulate

from flywheel.components.intake.privacy.checksums import IBAN_LENGTHS, iban, payment_card, remainder_97
from flywheel.components.intake.privacy.other_numbers import named_otherwise
from flywheel.components.intake.privacy.patterns import Pattern, short
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

_GROUP = short("[0-9]+")
_TAKE = {
    length: short(rf"[A-Za-z0-9](?:[ \-.]?[A-Za-z0-9]){{{length - 1}}}", ignore_case=False)
    for length in set(IBAN_LENGTHS.values())
}
_NO_SEPARATORS = str.maketrans("", "", " -.")


def _cards(text: str) -> Iterator[Span]:
    for begin, end in _CARD_DIGITS.places(text):
        if begin and text[begin - 1].isascii() and text[begin - 1].isalnum():
            continue
        groups = [(begin, end)] if end - begin <= 19 and text[begin:end].isdigit() else _groups(text, begin, end)
        digits = "".join([text[start:stop] for start, stop in groups])
        places = [0, *accumulate(stop - start for start, stop in groups)]  # of the groups, in the digits
        done = -1
        for first, (start, stop) in enumerate(groups):
            head = stop - start  # digits in the first group
            if first <= done or (head != 4 and head < 12) or text[start - 1 : start] == "+":
                continue
            for last in range(len(groups) - 1, first - 1, -1):
                number = digits[places[first] : places[last + 1]]
                if not payment_card(number) or not _plain_after(text, groups[last][1]):
                    continue
                if len(number) > 12 or not named_otherwise(text, start):
                    yield Span(start, groups[last][1], "CARD")
                    done = last
                    break


def _groups(text: str, begin: int, end: int) -> list[tuple[int, int]]:
    return [match.span() for match in _GROUP.finditer(text, begin, end)]


def _plain_after(text: str, end: int) -> bool:
    after = text[end : end + 1]
    return not (after.isascii() and (after.isalnum() or after == "_"))


def _labelled_card(text: str) -> Iterator[Span]:
    for match in _CARD_LABEL.finditer(text):  # a mistyped card number next to the word is still one
        yield Span(*match.span(1), "CARD")


def _ibans(text: str) -> Iterator[Span]:
    done = 0
    for start, _ in _IBAN_START.places(text):
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
    match = _TAKE[length].match(text, start)
    return match.end() if match is not None and _plain_after(text, match.end()) else None


def _bare(text: str) -> str:
    return text.translate(_NO_SEPARATORS).upper()


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
