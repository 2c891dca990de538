"""Tell corrections that are no answers: spam, noise, abuse, attacks on the prompt, remarks without an answer.

Rules, not a model: each verdict has a reason code that a person can check. What is surely worthless is discarded, what
only may be goes to review. The rules know English; a text in another script is never called gibberish or irrelevant.
"""

import re
from collections import Counter
from dataclasses import dataclass

from flywheel.components.curation.texts.lexicons import count
from flywheel.components.curation.texts.lexicons import words as word_list
from flywheel.components.curation.texts.normal_form import has_digit, normal_form, tokens

MAX_CHARACTERS = 8000

_URL = re.compile(
    r"(?:https?://|www\.)\S+|\b[a-z0-9-]+\.(?:com|net|org|io|ru|xyz|top|shop|club|info|biz|online)\b", re.I
)
_PLACEHOLDER = re.compile(r"\[[A-Z][A-Z_]*_\d+\]")  # what intake writes in place of personal data
_RUN = re.compile(r"(\S)\1{4,}")
_KEYBOARD = re.compile(r"asdf|sdfg|dfgh|fghj|ghjk|hjkl|qwer|wert|erty|rtyu|tyui|yuio|uiop|zxcv|xcvb|cvbn|vbnm")
_CONSONANTS = re.compile(r"[bcdfghjklmnpqrstvwxz]{5,}")
_INJECTION = re.compile(
    r"\b(?:ignore|disregard|forget|override|bypass)\b.{0,30}\b(?:previous|prior|above|earlier|all|your|any|the)\b.{0,30}"
    r"\b(?:instructions?|prompts?|rules?|guidelines|context|training|system)\b|\bsystem prompt\b|\byou are now\b|"
    r"\bact as (?:an? )?(?:unrestricted|uncensored|dan|root|admin)|\bdeveloper mode\b|\bjailbreak|<\|[a-z_]+\|>|"
    r"\[/?INST\]|^\s*(?:system|assistant)\s*:|\bfrom now on,? (?:you|always|every|answer|respond|say)\b|"
    r"\bwhenever (?:someone|a user|anyone|users) asks?\b|\balways (?:answer|respond|reply|recommend|say)\b",
    re.IGNORECASE | re.MULTILINE | re.DOTALL,
)
# Remarks about the answer instead of an answer.
_FAULT = (
    r"(?:wrong|incorrect|false|outdated|bad|unhelpful|useless|rude|impolite|unfriendly|confusing|unclear|long|short|wordy|"
    r"technical|complicated|vague|right|correct|true|helpful|nonsense|cold|harsh|formal|informal)"
)
_WISH = (
    r"(?:polite|nicer?|kind(?:er)?|friendl(?:y|ier)|clear(?:er)?|short(?:er)?|simpler?|brief(?:er)?|concise|specific|formal|"
    r"professional|detailed|respectful|direct|accurate|careful|helpful|empathetic)"
)
_REMARK = re.compile(
    r"^(?:(?:that|this|it|the (?:answer|response|reply))(?:'s| is| was| isn't| is not| sounds| seems| looks| reads)"
    rf"(?: just| simply| way| far| much| really| very| so| all| totally| completely| too| a bit| not)* {_FAULT}\b|"
    r"(?:please |just )?(?:be|make (?:it|this|that)|try to be|keep (?:it|this)|write (?:it|this)) "
    rf"(?:a bit |much |more |less )*{_WISH}\b|"
    rf"(?:way too|too|so|very) {_FAULT}\b|(?:you(?:'re| are)|u r) (?:wrong|mistaken|lying|incorrect)\b|"
    r"not (?:true|correct|right|helpful)\b|wrong(?: answer)?\b|"
    r"(?:please |can you |could you )?(?:try again|rephrase|simplify|shorten|summari[sz]e|rewrite|redo|fix this|"
    r"explain (?:it )?(?:better|again|more))\b|i (?:don't|do not|didn't) (?:understand|get it|agree|like)\b)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Verdict:
    """What to do with a correction and why."""

    route: str  # discard or review
    reason: str


def judge(prompt: str, response: str, correction: str) -> Verdict | None:
    """Judge one correction; None when nothing speaks against it.

    Args:
        prompt: The question.
        response: The answer that was corrected.
        correction: What the user wrote.

    Returns:
        A verdict with reason empty, too_long, identical_to_response, repeated_characters, link_spam, advertising,
        abuse_only, gibberish (discard), or injection, personal_data, not_an_answer, irrelevant (review: a rewrite
        may share no word with what it rewrites); or None.
    """
    form = normal_form(correction).split()
    asked, answered = set(normal_form(prompt).split()), set(normal_form(response).split())
    known = asked | answered
    if not form:
        return Verdict("discard", "empty")
    if _INJECTION.search(correction) and not _INJECTION.search(response):
        return Verdict("review", "injection")
    for reason, applies in (
        ("too_long", len(correction) > max(MAX_CHARACTERS, 4 * len(response))),
        ("identical_to_response", _squeezed(correction) == _squeezed(response)),
        ("repeated_characters", _repeats(correction, form)),
        ("link_spam", _link_spam(correction, prompt + " " + response, known)),
        ("advertising", _advertises(form, known)),
        ("abuse_only", _abuse_only(form)),
        ("gibberish", _gibberish(correction, form, known)),
    ):
        if applies:
            return Verdict("discard", reason)
    if set(_PLACEHOLDER.findall(correction)) - set(_PLACEHOLDER.findall(response)):
        return Verdict("review", "personal_data")
    remark = _REMARK.match(correction.strip())
    if remark and len(tokens(correction[remark.end() :])) <= 5 and not any(map(has_digit, form)):
        return Verdict("review", "not_an_answer")
    return Verdict("review", "irrelevant") if _irrelevant(correction, form, known, answered - asked) else None


def _squeezed(text: str) -> str:
    return " ".join(text.split()).rstrip(".!? ")


def _repeats(text: str, form: list[str]) -> bool:
    runs = sum(len(match.group()) for match in _RUN.finditer(text) if match.group(1).isalnum())
    if runs > 0.3 * len("".join(text.split())):
        return True
    most = Counter(form).most_common(1)[0][1]
    return most >= 5 and most > 0.6 * len(form)


def _link_spam(text: str, seen: str, known: set[str]) -> bool:
    there = {link.casefold() for link in _URL.findall(seen)}
    links = [link for link in _URL.findall(text) if link.casefold() not in there]
    if not links:
        return False
    rest = [word for word in normal_form(_URL.sub(" ", text)).split() if word not in word_list("stop")]
    related = sum(word in known for word in rest)
    return related < 2 or (len(links) > 2 and related < 4)


def _advertises(form: list[str], known: set[str]) -> bool:
    found = count("advertising", form) - count("advertising", [word for word in form if word in known])
    if found <= 0:
        return False
    content = [word for word in form if word not in word_list("stop")]
    related = sum(word in known for word in content) / max(1, len(content))
    return found >= 2 or related < 0.5


def _abuse_only(form: list[str]) -> bool:
    if not count("abuse", form):
        return False
    insults = {part for phrase in word_list("abuse") for part in phrase.split()}
    idle = insults | word_list("stop") | word_list("addressing")
    return all(word in idle for word in form)


def _gibberish(text: str, form: list[str], known: set[str]) -> bool:
    if not text.isascii() or any(word in known and word not in word_list("stop") for word in form):
        return False
    if all(word in word_list("no_content") or has_digit(word) for word in form) and not all(map(has_digit, form)):
        return True
    if any(map(has_digit, form)) and not any(_mashed(word) for word in form):
        return False
    if len("".join(form)) == 1 or " ".join(form) in word_list("no_content"):
        return True
    long = [word for word in form if len(word) >= 4]
    return bool(long) and sum(map(_mashed, long)) >= 0.5 * len(long)


def _mashed(word: str) -> bool:
    letters = "".join(filter(str.isalpha, word))
    if len(letters) < 4:
        return False
    no_vowel = len(letters) >= 5 and not set(letters) & set("aeiouy")
    mixed = has_digit(word) and len(letters) >= 4
    return no_vowel or mixed or bool(_KEYBOARD.search(letters)) or bool(_CONSONANTS.search(letters))


def _irrelevant(text: str, form: list[str], known: set[str], news: set[str]) -> bool:
    """No word ties the text to question or answer, and it is no bare value of the kind that the answer holds."""
    stop = word_list("stop")
    content = [word for word in form if word not in stop]
    stems = {word[:4] for word in known if word not in stop and len(word) >= 3}
    related = any((word in known and not has_digit(word)) or (len(word) >= 3 and word[:4] in stems) for word in content)
    if related or not text.isascii():
        return False
    if form[0] == "sorry" or count("polite", form) or form[0] in ("yes", "no"):
        return False
    wordy = sum(not has_digit(word) for word in content) >= 4 or (len(content) >= 1 and bool({"i", "my"} & set(form)))
    measured = word_list("number") - {"first", "once"} | word_list("calendar")
    numeric = any(has_digit(word) or word in measured for word in form)
    named = any(token[0].isupper() for token in tokens(text)) and not re.search(r"!{2}", text)
    sentence = len(form) >= 6 and not numeric  # an answer of that length shares a word with what it answers
    return wordy or sentence or not (numeric or named or not any(map(has_digit, news)))
