"""HF datasets maps Presidio over the records, text-dedup finds the near-duplicates."""

from pathlib import Path
from typing import Any

import spacy
from datasets import load_dataset, load_from_disk
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
from text_dedup.minhash import main as command


class BlankEngine(SpacyNlpEngine):
    """Presidio's engine on a blank model: tokens only, which is what pattern recognizers need."""

    def __init__(self) -> None:
        super().__init__()
        self.nlp = {"en": spacy.blank("en")}


def engines() -> tuple[AnalyzerEngine, AnonymizerEngine]:
    """The analyzer with six pattern recognizers, and the anonymizer."""
    chosen = (
        EmailRecognizer(),
        PhoneRecognizer(),
        CreditCardRecognizer(),
        IbanRecognizer(),
        IpRecognizer(),
        UsSsnRecognizer(),
    )
    registry = RecognizerRegistry(recognizers=list(chosen), supported_languages=["en"])
    analyzer = AnalyzerEngine(registry=registry, nlp_engine=BlankEngine(), supported_languages=["en"])
    return analyzer, AnonymizerEngine()


ANALYZER, ANONYMIZER = engines()


def scrub(record: dict[str, str]) -> dict[str, str]:
    """Replace what the recognizers find."""
    found = ANALYZER.analyze(text=record["text"], language="en")
    return {"text": ANONYMIZER.anonymize(text=record["text"], analyzer_results=found).text}


def run(data: Path, out: Path) -> dict[str, Any]:
    """Read, scrub, deduplicate, write."""
    records = load_dataset("json", data_files=str(data / "records.jsonl"), split="train", cache_dir=str(out / "cache"))
    records = records.map(scrub, num_proc=2, new_fingerprint="scrubbed")
    records.save_to_disk(str(out / "scrubbed"))
    command.main(
        args=[
            *("--path", str(out / "scrubbed"), "--local", "--split", "train"),
            *("--cache_dir", str(out / "cache"), "--output", str(out / "result"), "--column", "text"),
            *("--num_proc", "2", "--ngram", "5", "--min_length", "0", "--num_perm", "128", "--b", "16", "--r", "8"),
            *("--batch_size", "10000"),
        ],
        standalone_mode=False,
    )
    kept = load_from_disk(str(out / "result"))
    kept.to_parquet(str(out / "kept.parquet"))
    return {"kept": len(kept)}
