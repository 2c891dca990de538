"""HF datasets maps six `re` patterns over the records, datasketch finds the near-duplicates."""

import re
from pathlib import Path
from typing import Any

from datasets import load_dataset
from datasketch import MinHash, MinHashLSH

WORD = re.compile(r"\w+")
PATTERNS = {
    "EMAIL": re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}"),
    "IBAN": re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b"),
    "CARD": re.compile(r"\b(?:\d[ -]?){12,18}\d\b"),
    "SSN": re.compile(r"\b\d{3}-\d{2}-\d{4}\b"),
    "IP": re.compile(r"\b(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)\b"),
    "PHONE": re.compile(r"(?<![\w.])(?:\+|00|\()?\d[\d ().x-]{6,17}\d(?![\w])"),
}


def luhn(text: str) -> bool:
    """The check digit of payment cards."""
    digits = [int(one) for one in text if one.isdigit()][::-1]
    return sum(digits[::2]) % 10 == -sum(sum(divmod(2 * one, 10)) for one in digits[1::2]) % 10


def scrub(record: dict[str, str]) -> dict[str, str]:
    """Replace what the patterns find."""
    text = record["text"]
    for kind, pattern in PATTERNS.items():
        if kind == "CARD":
            text = pattern.sub(lambda found: "[CARD]" if luhn(found[0]) else found[0], text)
        else:
            text = pattern.sub(f"[{kind}]", text)
    return {"text": text}


def run(data: Path, out: Path) -> dict[str, Any]:
    """Read, scrub, drop what is near an earlier record, write."""
    records = load_dataset("json", data_files=str(data / "records.jsonl"), split="train", cache_dir=str(out / "cache"))
    records = records.map(scrub, num_proc=2)
    index = MinHashLSH(num_perm=128, params=(16, 8))
    kept = []
    for number, text in enumerate(records["text"]):
        words = WORD.findall(text.lower())
        sketch = MinHash(num_perm=128)
        sketch.update_batch([" ".join(words[i : i + 5]).encode() for i in range(max(1, len(words) - 4))])
        if not index.query(sketch):
            kept.append(number)
            index.insert(number, sketch)
    records.select(kept).to_parquet(str(out / "kept.parquet"))
    return {"kept": len(kept)}
