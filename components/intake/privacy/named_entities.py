"""Recognizers of an extra (`ner`) behind the same interface: Presidio's patterns, spaCy models, anybody's own.

What patterns cannot see, a name in the middle of a sentence, needs a model. `FLYWHEEL_RECOGNIZERS` names what to add,
separated by commas, and they see every text after all patterns, so they cost their own time for every text:

    presidio                Presidio's pattern recognizers, no model
    presidio:MODEL          the same with the names that an installed spaCy model finds
    spacy:MODEL             the persons that an installed spaCy model finds
    python:MODULE:OBJECT    a recognizer of your own: text -> spans (`spans.Recognizer`)
"""

import os
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from typing import Any

from flywheel.components.intake.errors import IntakeError
from flywheel.components.intake.privacy.spans import BORDER, TAKEN, Recognizer, Span

VARIABLE = "FLYWHEEL_RECOGNIZERS"
_HOW = "it comes with the extra `ner`: pip install 'feedback-flywheel[ner]'"
_LEAST_SCORE = 0.5  # of Presidio; its weaker patterns are any nine digits
# What others call it -> what the placeholder calls it; dates, places, web addresses and nationalities tell nobody.
_KINDS: Mapping[str, str] = {
    "PERSON": "NAME",
    "PER": "NAME",
    "EMAIL_ADDRESS": "EMAIL",
    "PHONE_NUMBER": "PHONE",
    "CREDIT_CARD": "CARD",
    "IBAN_CODE": "IBAN",
    "IP_ADDRESS": "IP",
    "MAC_ADDRESS": "MAC",
    "US_SSN": "SSN",
    "US_BANK_NUMBER": "ACCOUNT",
    "CRYPTO": "ACCOUNT",
}
_NO_PERSONAL_DATA = frozenset({"DATE_TIME", "LOCATION", "NRP", "URL", "ORGANIZATION", "AGE"})


def configured() -> tuple[Recognizer, ...]:
    """Return the recognizers that the variable names; none when it is not set.

    Raises:
        IntakeError: A name is unknown, or what it needs is not installed; the message says what to install.
    """
    return named(os.environ.get(VARIABLE, ""))


@cache
def named(names: str) -> tuple[Recognizer, ...]:
    """Make recognizers; a model is loaded once per process.

    Args:
        names: As in `FLYWHEEL_RECOGNIZERS`.

    Raises:
        IntakeError: See `configured`.
    """
    return tuple(_one(name.strip()) for name in names.split(",") if name.strip())


def _one(name: str) -> Recognizer:
    kind, _, rest = name.partition(":")
    if kind == "presidio":
        return text_by_text(_presidio(rest))
    if kind == "spacy" and rest:
        return text_by_text(_spacy(rest))
    if kind == "python" and ":" in rest:
        module, _, attribute = rest.partition(":")
        try:
            own: Recognizer = getattr(import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise IntakeError(f"{VARIABLE}: cannot import {attribute} from {module}: {error}") from error
        return text_by_text(own)
    raise IntakeError(f"{VARIABLE}: {name!r} is none of presidio, presidio:MODEL, spacy:MODEL, python:MODULE:OBJECT")


def text_by_text(recognize: Recognizer) -> Recognizer:
    """Let a recognizer that expects one text see texts that are joined, without what was found already."""

    def all_of(joined: str) -> Iterator[Span]:
        at = 0
        for text in joined.split(BORDER):
            if text.strip(TAKEN + " \n"):
                for span in recognize(text.replace(TAKEN, " ")):
                    if 0 <= span.start < span.end <= len(text):
                        yield Span(at + span.start, at + span.end, span.kind)
            at += len(text) + 1

    return all_of


def _presidio(model: str) -> Recognizer:
    analyzers = _module("presidio_analyzer")
    engines = _module("presidio_analyzer.nlp_engine")
    spacy = _module("spacy")
    nlp = _model(spacy, model) if model else spacy.blank("en")

    class Engine(engines.SpacyNlpEngine):  # type: ignore[name-defined]
        """Presidio's engine around a model that is there; it would download one."""

        def __init__(self) -> None:
            super().__init__()
            self.nlp = {"en": nlp}

    registry = analyzers.RecognizerRegistry(supported_languages=["en"])
    registry.load_predefined_recognizers(languages=["en"])
    if not model:
        registry.remove_recognizer("SpacyRecognizer")
    analyzer = analyzers.AnalyzerEngine(registry=registry, nlp_engine=Engine(), supported_languages=["en"])

    def recognize(text: str) -> Iterator[Span]:
        for found in analyzer.analyze(text=text, language="en", score_threshold=_LEAST_SCORE):
            if found.entity_type not in _NO_PERSONAL_DATA:
                yield Span(found.start, found.end, _KINDS.get(found.entity_type, "ID"))

    return recognize


def _spacy(name: str) -> Recognizer:
    nlp = _model(_module("spacy"), name)

    def recognize(text: str) -> Iterator[Span]:
        for entity in nlp(text).ents:
            if entity.label_ in ("PERSON", "PER"):
                yield Span(entity.start_char, entity.end_char, "NAME")

    return recognize


def _module(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise IntakeError(f"{VARIABLE} asks for {name.partition('.')[0]}, which is not installed; {_HOW}") from error


def _model(spacy: Any, name: str) -> Any:
    try:
        return spacy.load(name)
    except OSError as error:
        raise IntakeError(f"{VARIABLE}: the spaCy model {name} is not installed: {error}") from error
