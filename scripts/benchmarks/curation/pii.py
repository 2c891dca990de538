"""Stage `pii`: personal data out of feedback, by Presidio, by `re` and by ours."""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flywheel.scripts.benchmarks.curation import faker_values, feedback_records
from flywheel.scripts.benchmarks.curation.frame import OURS, Peer, Stage, at_least, faster, no_worse

PRESIDIO, SIX = "Presidio, its pattern recognizers", "Presidio, 6 recognizers"
SAME, PLAIN = "re, the same patterns", "re, 6 plain patterns"
KINDS = (*faker_values.TYPES, "ssn")
_PRESIDIO = ("presidio-analyzer==2.2.366", "presidio-anonymizer==2.2.366", "spacy>=3.8,<4")


def peers() -> list[Peer]:
    """All read JSON lines, replace what they find and write JSON lines; ours looks for 13 kinds, the others for 6."""
    return [
        Peer(OURS, "pii_ours.py", versions=("google-re2", "numpy")),
        Peer(SAME, "pii_same_patterns.py", rows=4000, versions=("numpy",)),
        Peer(PLAIN, "pii_plain_patterns.py", ("orjson",)),
        Peer(SIX, "pii_presidio.py", _PRESIDIO, rows=1000, settings={"SIX": "1"}),
        Peer(PRESIDIO, "pii_presidio.py", _PRESIDIO, rows=1000),
    ]


def prepare(folder: Path, rows: int) -> int:
    """Records, three in ten with values made by Faker in locales that the patterns were not tuned on."""
    return feedback_records.write(folder, rows)


def quality(data: Path, out: Path, _: Mapping[str, Any]) -> dict[str, float]:
    """What of the values is gone, and what of the rest is left.

    Args:
        data: Folder of records and truth.
        out: Folder with `scrubbed.jsonl`.

    Returns:
        `recall`: share of the values whose letters and digits do not stand in the result, by value and in all;
        `words kept`: share of the words outside of values that are still there, in their records with and without
        values.
    """
    hidden: Counter[str] = Counter()
    gone: Counter[str] = Counter()
    words = kept = 0
    with (
        (data / "records.jsonl").open(encoding="utf-8") as records,
        (data / "truth.jsonl").open(encoding="utf-8") as truths,
        (out / "scrubbed.jsonl").open(encoding="utf-8") as results,
    ):
        for line, true, done in zip(records, truths, results, strict=True):
            text, after = json.loads(line)["text"], json.loads(done)["text"]
            form = _form(after)
            rest, at = [], 0
            for kind, start, end in json.loads(true)["personal"]:
                hidden[kind] += 1
                gone[kind] += _form(text[start:end]) not in form
                rest.append(text[at:start])
                at = end
            before = Counter("".join((*rest, text[at:])).split())
            words += before.total()
            kept += (before & Counter(after.split())).total()
    figures = {"recall": gone.total() / max(hidden.total(), 1), "words kept": kept / max(words, 1)}
    return figures | {kind: gone[kind] / hidden[kind] for kind in KINDS if hidden[kind]}


def _form(text: str) -> str:
    return "".join(filter(str.isalnum, text.casefold()))


STAGE = Stage(
    name="pii",
    title="Personal data",
    rows=50_000,
    prepare=prepare,
    quality=quality,
    goals=(
        faster(PRESIDIO, 100),
        faster(SAME, 10),
        no_worse("recall", PRESIDIO),
        at_least("words kept", 0.999),
    ),
    about=(
        "Generated feedback, three in ten records with values made by Faker in 13 locales that no pattern was tuned "
        "on, one in seven with decoys. From JSON lines to JSON lines. Ours looks for 13 kinds and replaces repeats. "
        "*Presidio, its pattern recognizers* are all that it loads by itself but the one that needs a model; *6 "
        "recognizers* are those of the six kinds hidden here. *re, the same patterns* runs our own recognizers of "
        "those six, checksums too, record by record with the standard library instead of RE2. Slow peers read fewer "
        "records; speeds are per MB. *recall*: values of which nothing readable is left, over all and by type; *words "
        "kept*: words outside of values that are still there."
    ),
    source=(Path(feedback_records.__file__), Path(faker_values.__file__)),
)
