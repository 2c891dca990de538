"""The gates of synthetic rows: the same that real corrections pass, and that nothing was added or lost."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from flywheel.components.curation.guards import language, spam_filter
from flywheel.components.curation.texts.entity_lexicon import signature
from flywheel.components.curation.texts.normal_form import has_digit, normal_form, question_form

NEAR = 0.8  # Jaccard similarity of character 3-shingles from which two questions are near-duplicates
_LONGEST = 4  # times the parent's length


class Gates:
    """Judges synthetic rows one after the other; a row that passes is known to those after it.

    Args:
        known: (context, question) of everything that must not be said again: all candidates, whatever became of them,
            and all evaluation items, so that no question of an evaluation split comes back as training data.
        lexicon: Names of the corpus, case-folded.
    """

    def __init__(self, known: Iterable[tuple[str, str]], lexicon: frozenset[str]) -> None:
        self._lexicon = lexicon
        self._exact: set[tuple[str, str]] = set()
        self._shingles: dict[tuple[str, ...], list[frozenset[str]]] = defaultdict(list)
        for context, question in known:
            self._learn(context, question)

    def judge(self, parent: Mapping[str, Any], context: str, question: str, answer: str) -> str:
        """Judge a question and its answer.

        Args:
            parent: Candidate row that it was made from: prompt, response, correction.
            context: What was said before the question.
            question: The new question.
            answer: The answer.

        Returns:
            "" when it passes, else the reason: empty, duplicate, near_duplicate, question_changed (other numbers, names
            or negations than the parent's question), claims_changed (likewise for the answer), too_long,
            personal_data, other_language, or a reason of the spam filter.
        """
        reason = self._shape(parent, question, answer)
        for text, original in ((question, parent["prompt"]), (answer, parent["correction"])):
            reason = reason or _leaves(text, original)
        if not reason:
            verdict = spam_filter.judge(question, parent["response"], answer)
            if verdict and not spam_filter.judge(parent["prompt"], parent["response"], parent["correction"]):
                reason = verdict.reason
        return reason or self._repeated(context, question)

    def admit(self, context: str, question: str) -> None:
        """Remember a row that passed."""
        self._learn(context, question)

    def _shape(self, parent: Mapping[str, Any], question: str, answer: str) -> str:
        if not question_form(question) or not normal_form(answer):
            return "empty"
        lengths = ((question, parent["prompt"]), (answer, parent["correction"]))
        if any(len(text) > _LONGEST * max(40, len(original)) for text, original in lengths):
            return "too_long"
        if set(self._signed(question)) != set(self._signed(parent["prompt"])):  # said twice is no change
            return "question_changed"
        return "claims_changed" if self._signed(answer) != self._signed(parent["correction"]) else ""

    def _repeated(self, context: str, question: str) -> str:
        form = question_form(question)
        if (normal_form(context), form) in self._exact:
            return "duplicate"
        mine = _shingled(form)
        for other in self._shingles[_values(form)]:
            common = len(mine & other)
            if common >= NEAR * (len(mine) + len(other) - common):
                return "near_duplicate"
        return ""

    def _learn(self, context: str, question: str) -> None:
        form = question_form(question)
        self._exact.add((normal_form(context), form))
        self._shingles[_values(form)].append(_shingled(form))

    def _signed(self, text: str) -> tuple[str, ...]:
        return signature(normal_form(text), self._lexicon)


def _values(form: str) -> tuple[str, ...]:
    """Numbers of a question; questions with other numbers are no near-duplicates."""
    return tuple(sorted(word for word in form.split() if has_digit(word)))


def _shingled(form: str) -> frozenset[str]:
    padded = f" {form} "
    return frozenset(padded[place : place + 3] for place in range(max(1, len(padded) - 2)))


def _leaves(text: str, original: str) -> str:
    """Whether a text holds personal data or a language that the original does not."""
    if text == original:
        return ""
    from flywheel.components.intake.privacy.scrub import scrub_texts

    found = scrub_texts([text, original]).texts
    if found[0] != text and found[1] == original:
        return "personal_data"
    spoken, expected = language.identify(text), language.identify(original)
    return "other_language" if spoken and expected and not language.same(spoken, expected) else ""
