"""Our recognizers of six kinds, record by record, on the standard library's `re` instead of RE2 and windows."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from flywheel.components.intake.privacy import bank, identity, network, patterns, phones
from flywheel.components.intake.privacy.spans import Span

KINDS = ("EMAIL", "PHONE", "CARD", "IBAN", "IP", "SSN")
# `re` has no classes of Unicode properties: the letters of the scripts that matter, for inside and outside of brackets.
CLASSES = {
    "L": "a-zA-ZÀ-ÖØ-öø-ɏͰ-ϿЀ-ԯ\u0590-\u05ff\u0600-\u06ff\u0900-\u0dff\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af",
    "M": "\u0300-\u036f",
    "N": "0-9",
    "Lu": "A-ZÀ-ÖØ-ÞΑ-ΩА-Я",
    "Ll": "a-zß-öø-ÿα-ωа-я",
}


def translated(text: str) -> str:
    """The pattern in `re`'s language."""
    out, inside, at = [], False, 0
    while at < len(text):
        found = re.compile(r"\\p\{(\w+)\}").match(text, at)
        if found:
            ranges = CLASSES[found[1]]
            out.append(ranges if inside else f"[{ranges}]")
            at = found.end()
            continue
        if text[at] == "\\":
            out.append(text[at : at + 2])
            at += 2
            continue
        if inside and text[at] == "[":
            out.append("\\")  # RE2 takes it for itself
        inside = text[at] == "[" or (inside and text[at] != "]")
        out.append(text[at])
        at += 1
    return "".join(out)


class StandardPattern:
    """What a recognizer asks of a pattern."""

    def __init__(self, pattern: patterns.Pattern) -> None:
        flags = re.IGNORECASE if pattern.ignore_case else 0
        self.groups = pattern.groups
        self._compiled = re.compile(translated(pattern.source), flags)

    def finditer(self, text: str) -> Iterator[re.Match[str]]:
        """Matches from left to right."""
        return self._compiled.finditer(text)


MODULES = (bank, identity, network, phones)
RECOGNIZERS = (*network.RECOGNIZERS, *bank.RECOGNIZERS, *identity.RECOGNIZERS[:2], *phones.RECOGNIZERS)


def _exchange() -> None:
    for module in MODULES:
        for name, value in list(vars(module).items()):
            if isinstance(value, patterns.Pattern):
                setattr(module, name, StandardPattern(value))
    for recognizer in RECOGNIZERS:  # those made of one pattern hold it in a closure
        for cell in recognizer.__closure__ or ():  # type: ignore[attr-defined]
            if isinstance(cell.cell_contents, patterns.Pattern):
                cell.cell_contents = StandardPattern(cell.cell_contents)


_exchange()


def scrub(text: str) -> str:
    """Replace what the recognizers find; the earlier one wins."""
    view, spans = f"\x1e{text}\x1e", list[Span]()
    for recognize in RECOGNIZERS:
        end = 0
        for span in sorted(recognize(view), key=lambda span: (span.start, -span.end)):
            if span.start >= end and "\x1f" not in view[span.start : span.end] and span.kind in KINDS:
                spans.append(span)
                end = span.end
                view = view[: span.start] + "\x1f" * (end - span.start) + view[end:]
    for span in sorted(spans, key=lambda span: -span.start):
        text = f"{text[: span.start - 1]}[{span.kind}]{text[span.end - 1 :]}"
    return text


def run(data: Path, out: Path) -> dict[str, Any]:
    """Read, scrub, write."""
    with (data / "records.jsonl").open("rb") as lines, (out / "scrubbed.jsonl").open("wb") as file:
        for line in lines:
            record = orjson.loads(line)
            file.write(orjson.dumps({"id": record["id"], "text": scrub(record["text"])}) + b"\n")
    return {}
