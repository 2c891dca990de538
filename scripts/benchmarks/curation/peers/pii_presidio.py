"""Presidio on a blank spaCy model, and its anonymizer: its English pattern recognizers, or six of them."""

import json
import logging
import os
from pathlib import Path
from typing import Any

import spacy
from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
from presidio_analyzer.nlp_engine import SpacyNlpEngine
from presidio_analyzer.predefined_recognizers import (
    CreditCardRecognizer,
    EmailRecognizer,
    IbanRecognizer,
    IpRecognizer,
    PhoneRecognizer,
    UsSsnRecognizer,
)
from presidio_anonymizer import AnonymizerEngine


class BlankEngine(SpacyNlpEngine):
    """Presidio's engine on a blank model: tokens only, which is what pattern recognizers need."""

    def __init__(self) -> None:
        super().__init__()
        self.nlp = {"en": spacy.blank("en")}


CHOSEN = (
    EmailRecognizer(),
    PhoneRecognizer(),
    CreditCardRecognizer(),
    IbanRecognizer(),
    IpRecognizer(),
    UsSsnRecognizer(),
)


def registry() -> RecognizerRegistry:
    """Six recognizers when `SIX` is set, else all that Presidio loads by itself but the one that needs a model."""
    if os.environ.get("SIX"):
        return RecognizerRegistry(recognizers=list(CHOSEN), supported_languages=["en"])
    chosen = RecognizerRegistry(supported_languages=["en"])
    chosen.load_predefined_recognizers(languages=["en"])
    chosen.remove_recognizer("SpacyRecognizer")
    return chosen


logging.disable(logging.WARNING)  # it names every recognizer of another language
ANALYZER = AnalyzerEngine(
    registry=registry(),
    nlp_engine=BlankEngine(),
    supported_languages=["en"],
)
ANONYMIZER = AnonymizerEngine()


def scrub(text: str) -> str:
    """Replace what the recognizers find."""
    return ANONYMIZER.anonymize(text=text, analyzer_results=ANALYZER.analyze(text=text, language="en")).text


def prepare(data: Path) -> None:
    """Load what Presidio loads at the first text."""
    scrub("compile: someone@example.org, 192.0.2.1, call +1 202 555 0100")


def run(data: Path, out: Path) -> dict[str, Any]:
    """Read, scrub, write."""
    with (data / "records.jsonl").open(encoding="utf-8") as lines, (out / "scrubbed.jsonl").open("w") as file:
        for line in lines:
            record = json.loads(line)
            file.write(json.dumps({"id": record["id"], "text": scrub(record["text"])}) + "\n")
    return {}
