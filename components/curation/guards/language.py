"""Which language a text is in, and corrections in another language than the conversation that they correct.

The model is py3langid's (Lui & Baldwin 2012, "langid.py: an off-the-shelf language identification tool", 142 languages,
its weights are in the package): naive Bayes over byte n-grams. Its probabilities are honest enough to abstain on: a
bare value ("36 months", "Canberra") gets no language. Measured (tests/curation/test_language.py): none of 886 English
corrections of many domains is called foreign, all of 17 sentences in 13 languages are.
"""

import re
from collections.abc import Iterable
from functools import cache, lru_cache
from typing import Any

from flywheel.components.curation.guards.spam_filter import Verdict

SURE = 0.9  # probability from which a language is named
_LIKELIER = 0.5
LEAST_LETTERS = 12  # letters; a shorter text is a value, not a sentence

_SILENT = re.compile(r"\[[A-Z][A-Z_]*_\d+\]|(?:https?://|www\.)\S+|[\d_]+")
# Languages that are told apart by few words: an answer in one is no wrong answer to a question in the other.
_CLOSE = (
    frozenset({"da", "nb", "nn", "no", "sv"}),
    frozenset({"bs", "hr", "sr", "sl", "cnr"}),
    frozenset({"gl", "pt", "es", "ast", "an", "ca", "oc"}),
    frozenset({"id", "ms"}),
    frozenset({"cs", "sk"}),
    frozenset({"be", "ru", "uk", "bg", "mk"}),
    frozenset({"af", "nl", "fy", "li"}),
    frozenset({"de", "lb", "nds", "als", "bar"}),
    frozenset({"en", "sco"}),
    frozenset({"it", "scn", "co", "vec"}),
    frozenset({"zh", "yue", "wuu"}),
    frozenset({"hi", "mr", "ne"}),
    frozenset({"az", "tr"}),
    frozenset({"fa", "ps", "ur"}),
)


def identify(*texts: str) -> str:
    """Name the language of texts that belong together.

    Args:
        texts: For example a question and its answer; numbers, links and placeholders of personal data say nothing.

    Returns:
        ISO 639 code, or "" when the texts are too short or the model is not sure.
    """
    return _identify(" ".join(" ".join(_SILENT.sub(" ", text) for text in texts).split()))


def judge(prompt: str, response: str, correction: str, given: str = "") -> Verdict | None:
    """Send a correction to review that is surely in another language than its conversation.

    Args:
        prompt: The question.
        response: The answer that was corrected.
        correction: What the user wrote.
        given: Language of the conversation by the log, such as `de` or `de-AT`; "" for unknown.

    Returns:
        A verdict with reason `other_language`, or None; a language that cannot be told is no reason.
    """
    spoken = identify(correction)
    if not spoken:
        return None
    expected = base(given) or identify(prompt, response)
    if not expected or same(spoken, expected) or same(spoken, identify(prompt)):
        return None
    if same(spoken, identify(response)):  # the question asked for a text in that language
        return None
    return Verdict("review", "other_language")


def same(a: str, b: str) -> bool:
    """Whether two codes name one language or two that are hardly told apart."""
    return a == b or any(a in group and b in group for group in _CLOSE)


def base(given: str) -> str:
    """The language of a tag: `de` of `de-AT` and `de_AT`; "" for no tag (`und` included)."""
    code = re.split(r"[-_]", given.strip().casefold())[0]
    return code if code.isalpha() and 2 <= len(code) <= 3 and code not in ("und", "mul", "zxx") else ""


def fill(languages: Iterable[str], texts: Iterable[tuple[str, str]]) -> list[str]:
    """Languages with the unknown ones identified from question and answer; those that stay unknown are ""."""
    return [given or identify(*text) for given, text in zip(languages, texts, strict=True)]


@lru_cache(maxsize=1024)  # it holds the texts
def _identify(text: str) -> str:
    if sum(map(str.isalpha, text)) < LEAST_LETTERS * _density(text):
        return ""
    ranked = _model().rank(text)
    code, probability = ranked[0]
    if probability < SURE:  # torn between close relatives: the likelier name, if the others are nearly out
        probability = sum(share for other, share in ranked if same(code, other)) if probability >= _LIKELIER else 0.0
    return str(code) if probability >= SURE else ""


def _density(text: str) -> float:
    """A letter of Chinese, Japanese or Korean writing says as much as three of an alphabet."""
    return 1 / 3 if any("぀" <= character <= "힯" for character in text) else 1.0


@cache
def _model() -> Any:
    from py3langid import langid

    return langid.LanguageIdentifier.from_model_file(langid.MODEL_FILE, norm_probs=True)
