"""What a user's next message says about the answer before it: the rules, each with a name and a version.

A rule reads words only. How often it is right is not claimed here but measured on labelled dialogues
(`confidences.json`, made by `calibration.py`).
"""

import re
from dataclasses import dataclass
from datetime import timedelta

from flywheel.components.curation.texts.normal_form import has_digit, normal_form
from flywheel.components.intake.joining import phrases
from flywheel.components.intake.joining.similarity import asks_again, shares_subject

# A rule's version changes whenever the rule could answer differently; old rows of it are then replaced.
VERSION = "1"
AT_ONCE = timedelta(minutes=2)
_SENTENCES = 3  # of the next message are looked at
_COPIED_WORDS = 8
_COPIED_SHARE = 0.6


@dataclass(frozen=True)
class Mined:
    """A signal about an answer.

    Attributes:
        name: regenerate, rephrase, dissatisfied, corrected, accepted, copy or abandon.
        rule: Name of the rule that saw it; its confidence was measured for it alone.
        text: For corrected: what the user wrote; else None.
    """

    name: str
    rule: str
    text: str | None = None


def read(prompt: str, answer: str, following: str, reply: str, gap: timedelta) -> list[Mined]:
    """Read a user's next message.

    Args:
        prompt: What the user asked.
        answer: What the assistant said; the signals are about this.
        following: What the user said next.
        reply: What the assistant said to that; "" when unknown.
        gap: Time between the two messages of the user.

    Returns:
        The signals, at most one of each name.
    """
    if not following.strip():
        return []
    form = normal_form(following)
    if form == normal_form(prompt):
        # a client that sends twice gets the same answer within a moment: nobody pressed anything
        if gap < timedelta(seconds=2) and normal_form(answer) == normal_form(reply):
            return []
        return [Mined("regenerate", "same_prompt")] if gap <= AT_ONCE else [Mined("rephrase", "near_form")]
    own = phrases.without_quotes(following)
    asked_back = answer.rstrip().endswith(("?", "？"))
    found: list[Mined] = []
    if not asked_back:
        if _dissatisfied(own):
            found.append(Mined("dissatisfied", "phrase"))
        if (rule := _corrected(prompt, answer, own)) is not None:
            found.append(Mined("corrected", rule, following.strip()))
    if not found:
        if _copied(prompt, answer, following):  # a pasted answer may hold thanks of its own
            found.append(Mined("copy", "verbatim_span"))
        elif _accepted(own):
            found.append(Mined("accepted", "phrase"))
    if not found and (rule := _rephrased(prompt, answer, following, reply)) is not None:
        found.append(Mined("rephrase", rule))
    return found


def _rephrased(prompt: str, answer: str, following: str, reply: str) -> str | None:
    if asks_again(prompt, following):
        return "near_form"
    said = normal_form(answer)
    if said and said == normal_form(reply) and not evades(answer) and shares_subject(prompt, following):
        return "same_answer"
    return None


def evades(answer: str) -> bool:
    """Whether an answer is empty, says that it cannot answer, or asks back."""
    if not answer.strip() or answer.rstrip().endswith(("?", "？")):
        return True
    for form, _ in list(phrases.sentences(answer))[:2]:
        words = [word for word in form.split() if word not in phrases.word_set("regret")]
        if phrases.opening("evasion").match(" ".join(words)) or phrases.opening("evasion").match(form):
            return True
    return False


def _dissatisfied(own: str) -> bool:
    for form, question in list(phrases.sentences(own))[:_SENTENCES]:
        if question or phrases.opening("declined").match(form):
            continue
        for part in (form, phrases.after_interjections(form), _after_thanks(form)):
            if part and phrases.opening("dissatisfied").match(part):
                return True
    return _bare_denial(own)


def _bare_denial(own: str) -> bool:
    """Whether a message is nothing but "no"."""
    words = phrases.clause(own).split()
    return len(words) == 1 and words[0] in phrases.word_set("denial")


def _after_thanks(form: str) -> str:
    words = form.split()
    for place, word in enumerate(words[:6]):
        if word in phrases.word_set("but"):
            return phrases.after_interjections(" ".join(words[place + 1 :]))
    return ""


def _accepted(own: str) -> bool:
    forms = list(phrases.sentences(own))[:_SENTENCES]
    if not forms or any(phrases.opening("declined").match(form) for form, _ in forms):
        return False
    for place, (form, question) in enumerate(forms):
        if question and place > 0:
            continue
        if place > 0 and phrases.word_set("but") & set(form.split()[:1]):
            return False
        for part in (form, phrases.after_interjections(form)):
            if phrases.opening("accepted").match(part):
                return not phrases.word_set("but") & set(part.split()[1:6])
    return False


def _corrected(prompt: str, answer: str, own: str) -> str | None:
    """Name the rule by which a message puts a value in place of one of the answer's; None when it does not."""
    if "?" in own or phrases.anywhere("meant").search(phrases.clause(own)):
        return None
    asked, said = set(normal_form(prompt).split()), set(normal_form(answer).split())
    for form, _ in list(phrases.sentences(own))[:_SENTENCES]:
        words = form.split()
        fresh = [word for word in words if word not in asked | said and word not in phrases.word_set("stop")]
        if not fresh or len(words) > 25:
            continue
        if _against(form, words, said):
            return "contrast"
        numbers = any(has_digit(word) for word in fresh) and any(map(has_digit, said - asked))
        denied = words[0] in phrases.word_set("denial") and len(words) > 1
        stripped = phrases.after_interjections(form)
        led = (denied and _comma_after_first(own)) or phrases.opening("correction_lead").match(stripped) is not None
        if led and (numbers or set(words[1:]) & (asked | said) - phrases.word_set("stop")):
            return "statement"
        plain = [word for word in fresh if not has_digit(word)]
        if numbers and len(plain) <= 1 and len(words) <= 12:
            return "statement"
    return None


def _against(form: str, words: list[str], said: set[str]) -> bool:
    for match in phrases.anywhere("against").finditer(form):
        if match.start() == 0 and len(words) < 4:
            continue
        behind = [word for word in form[match.end() :].split()[:4] if word not in phrases.word_set("stop")]
        if match.group().strip() == "no" and not any(map(has_digit, behind[:1])):
            continue  # "no" denies in Spanish; in English it is "none of"
        if behind and behind[0] in said:
            return True
    return False


def _comma_after_first(own: str) -> bool:
    return re.match(r"\s*[^\W\d_]+\s*[,;:.!–—-]", own) is not None


def _copied(prompt: str, answer: str, following: str) -> bool:
    """Whether the next message holds a long piece of the answer word for word, most of it being the answer."""
    said, next_words = normal_form(answer).split(), normal_form(following).split()
    if len(said) < _COPIED_WORDS:
        return False
    needed = max(_COPIED_WORDS, int(_COPIED_SHARE * len(said)))
    spans = {tuple(said[start : start + needed]) for start in range(len(said) - needed + 1)}
    there = any(tuple(next_words[start : start + needed]) in spans for start in range(len(next_words) - needed + 1))
    return there and " ".join(said[:needed]) not in normal_form(prompt)
