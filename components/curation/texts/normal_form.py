"""The normal form of a text: what stays when case, punctuation, spacing and politeness fillers are taken away.

Two texts with equal normal forms are exact duplicates; near-duplicates are compared on normal forms too.
"""

import re
import unicodedata

# A number (with sign, separators), a currency or percent sign, or a word; "C++" and "C#" keep their tail.
_TOKEN = re.compile(r"(?:(?<!\w)-)?\d+(?:[.,:]\d+)*|[$€£¥%]|[^\W\d_]+(?:'[^\W\d_]+)*(?:\+\+|#)?")
# Intake's placeholders; the number tells values of one conversation apart, and nothing between conversations.
_PLACEHOLDER = re.compile(r"\[([A-Z]{2,12})_\d{1,9}\]")
_DIGIT = re.compile(r"\d")
# ASCII without these is nothing but words, which need no regular expression.
_SPECIAL = re.compile(r"[\d$%'+#\[]")
_PLAIN = {code: " " for code in range(128) if not chr(code).isalpha()}
_GROUPED = re.compile(r"^-?\d{1,3}(?:,\d{3})+(?:\.\d+)?$")
_POSSESSIVE = re.compile(r"'s\b")
_GREETING = (
    r"(?:hi there|hi|hello there|hello|hey there|hey|good (?:morning|afternoon|evening|day)|dear (?:team|all|support))"
)
_REQUEST = (
    r"(?:(?:can|could|would|will) you (?:please |kindly )?(?:tell? me|let me know|say|explain)|"
    r"do you (?:happen to )?know|"
    r"i (?:would|d|want|need|wanted|wish)(?: like)? to know|i'd like to know|i was wondering|just wondering|i wonder|"
    r"please tell me|tell? me|quick question|one question|question|so|ok|okay|um|well)"
)
_THANKS = (
    r"(?:thank you(?: very much| so much| in advance)?|thanks(?: a lot| so much| in advance| again)?|thx|cheers|ty)"
)
_HEAD = re.compile(rf"^(?:{_GREETING}|{_REQUEST}|{_THANKS})\b(?: |$)")
_HURRY = r"(?:(?:it s|it's|it is|this is|very) )?urgent(?:ly)?|asap|be quick|quickly|as soon as possible"
_TAIL = re.compile(rf"(?:^| )(?:{_THANKS}|please|pls|plz|{_HURRY})$")
_PLEASE = re.compile(r"\b(?:please|pls|plz|kindly)\b ?")


def tokens(text: str) -> list[str]:
    """Split into words, numbers and currency signs, with their case kept and typographic variants unified.

    Numbers lose thousands separators and empty decimals ("1,299.00" and "1299" are one token); a possessive "'s" goes.
    """
    if text.isascii() and not _SPECIAL.search(text):
        return text.translate(_PLAIN).split()
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text).replace("’", "'").replace("‘", "'").replace("−", "-")
    if "[" in text:
        text = _PLACEHOLDER.sub(r"[\1]", text)
    if "'s" in text:
        text = _POSSESSIVE.sub("", text)
    found = _TOKEN.findall(text)
    return list(map(_number, found)) if _DIGIT.search(text) else found


def _number(token: str) -> str:
    if not token[-1].isdigit():
        return token
    if _GROUPED.match(token):
        token = token.replace(",", "")
    if token.count(".") == 1 and ":" not in token and "," not in token:
        token = token.rstrip("0").rstrip(".")
    return token


def normal_form(text: str) -> str:
    """Case-folded tokens joined by one space."""
    return " ".join(tokens(text)).casefold()


def question_form(text: str) -> str:
    """The normal form of a question without greetings, "please", "can you tell me" and thanks.

    A text that is nothing but fillers keeps its normal form, so that "hello" does not equal "thanks".
    """
    whole = normal_form(text)
    form = whole
    while True:
        shorter = _TAIL.sub("", _HEAD.sub("", _PLEASE.sub("", form))).strip()
        if shorter == form:
            break
        form = shorter
    return form or whole


def has_digit(token: str) -> bool:
    """Whether a token holds a digit, that is, is a number."""
    return any(character.isdigit() for character in token)
