"""Replace personal data in texts by placeholders such as `[EMAIL_1]`; the one door to the recognizers.

Most texts hold nothing. So one gate pattern per family of recognizers runs over all texts of a batch joined together,
and only the texts in which it fires meet the family's recognizers, which are more of them and slower.
"""

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from flywheel.components.intake.privacy import bank, credentials, identity, names, network, phones, places
from flywheel.components.intake.privacy.gates import GATES
from flywheel.components.intake.privacy.matching_text import MatchingText, fold, readable
from flywheel.components.intake.privacy.repeats import Repeats
from flywheel.components.intake.privacy.spans import Recognizer, Span

# In order of trust: what an earlier recognizer took, a later one cannot see. Each family has the gate of its name.
FAMILIES: tuple[tuple[str, tuple[Recognizer, ...]], ...] = (
    ("credentials", credentials.RECOGNIZERS),
    ("email", network.EMAIL),
    ("numbers", (*bank.RECOGNIZERS, *identity.RECOGNIZERS, *network.ADDRESSES, *phones.RECOGNIZERS)),
    ("places", places.RECOGNIZERS),
    ("names", names.RECOGNIZERS),
)
_SEPARATOR = "\x1e"  # between joined texts
_TAKEN = "\x1f"  # covers what was found already; no pattern matches it as space, letter or digit
_PLACEHOLDER = re.compile(r"\[([A-Z]{2,12})_(\d{1,9})\]")


@dataclass(frozen=True)
class ScrubResult:
    """Scrubbed texts in the order given, and how many pieces of personal data of each kind were replaced."""

    texts: list[str]
    counts: Counter[str]


def scrub_texts(texts: Sequence[str], groups: Sequence[int] | None = None, *, gated: bool = True) -> ScrubResult:
    """Replace personal data by placeholders that keep its kind.

    Kinds: EMAIL, PHONE, CARD, IBAN, ACCOUNT, IP, MAC, SSN, ID, BIRTHDATE, SECRET, ADDRESS, NAME. Within a group the
    same value gets the same number, and a value (or a name of it) found once is replaced wherever it stands in the
    group. The result is valid Unicode whatever came in. Matching is linear in the length of the text (RE2).

    Args:
        texts: Any strings, also with lone surrogates (bytes that were not UTF-8, by `surrogateescape`).
        groups: A number per text, the same for texts that belong together (one record); None: each on its own.
        gated: Whether to skip families whose gate does not fire; False only to test that the gates let all through.

    Returns:
        The scrubbed texts and the counts by kind.
    """
    folded = [fold(text) for text in texts]
    fired = _fired(folded) if gated else {name: set(range(len(texts))) for name, _ in FAMILIES}
    suspects = set().union(*fired.values())
    members: dict[int, list[int]] = {}
    for index in range(len(texts)):
        members.setdefault(groups[index] if groups is not None else index, []).append(index)
    result = [readable(text) for text in texts]
    counts: Counter[str] = Counter()
    for indices in members.values():
        if suspects.isdisjoint(indices):
            continue
        found = {index: _find(folded[index].folded, index, fired) for index in indices}
        _add_repeats(folded, found)
        if any(found.values()):
            numbers = _Numbers(texts[index] for index in indices)
            for index, spans in found.items():
                if spans:
                    result[index] = _replace(texts[index], folded[index], spans, numbers)
                    counts.update(span.kind for span in spans)
    return ScrubResult(result, counts)


def _fired(folded: list[MatchingText]) -> dict[str, set[int]]:
    joined = _SEPARATOR.join(text.folded for text in folded)
    starts = [0, *accumulate(len(text.folded) + 1 for text in folded)]
    fired: dict[str, set[int]] = {}
    for name, gate in GATES.items():
        fired[name] = {bisect_right(starts, match.end() - 1) - 1 for match in gate.finditer(joined)}
    return fired


def _find(text: str, index: int, fired: dict[str, set[int]]) -> list[Span]:
    open_families = [recognizers for name, recognizers in FAMILIES if index in fired[name]]
    if not open_families:
        return []
    view = _PLACEHOLDER.sub(lambda match: _TAKEN * len(match.group()), text) if "_" in text else text
    spans: list[Span] = []
    for recognizers in open_families:
        for recognize in recognizers:
            while new := _new(recognize, view):  # again: a match may have eaten the beginning of the next
                spans += new
                view = _cover(view, new)
    return spans


def _new(recognize: Recognizer, view: str) -> list[Span]:
    """Return what a recognizer finds outside of what is taken, without overlaps: the earlier, longer span stays."""
    kept: list[Span] = []
    for span in sorted(recognize(view), key=lambda span: (span.start, -span.end)):
        if (not kept or span.start >= kept[-1].end) and _TAKEN not in view[span.start : span.end]:
            kept.append(span)
    return kept


def _cover(view: str, spans: list[Span]) -> str:
    pieces, at = [], 0
    for span in spans:
        pieces += [view[at : span.start], _TAKEN * (span.end - span.start)]
        at = span.end
    return "".join((*pieces, view[at:]))


def _add_repeats(folded: list[MatchingText], found: dict[int, list[Span]]) -> None:
    """Add the other places in the group where a value stands that was recognized by its surroundings only."""
    kinds: dict[str, str] = {}
    for index, spans in found.items():
        for span in spans:
            value = folded[index].folded[span.start : span.end]
            words = names.words_of(value) if span.kind == "NAME" else ()
            for text in (value, *words):
                if len(text) >= (3 if span.kind == "NAME" else 5):
                    kinds.setdefault(text, span.kind)
    if not kinds:
        return
    repeats = Repeats(kinds)
    for index, spans in found.items():
        view = _cover(folded[index].folded, sorted(spans, key=lambda span: span.start))
        again = list(repeats.find(_PLACEHOLDER.sub(lambda match: _TAKEN * len(match.group()), view)))
        found[index] = spans + again


class _Numbers:
    """Numbers of the placeholders in one group; placeholders that were in the texts before keep theirs."""

    def __init__(self, texts: Iterator[str]) -> None:
        self._next: Counter[str] = Counter()
        self._known: dict[tuple[str, str], int] = {}
        for text in texts:
            if "_" in text:
                for kind, number in _PLACEHOLDER.findall(text):
                    self._next[kind] = max(self._next[kind], int(number))

    def placeholder(self, kind: str, value: str) -> str:
        if kind in ("EMAIL", "SECRET", "NAME", "ADDRESS"):
            key = (kind, " ".join(value.casefold().split()))
        else:
            key = (kind, "".join(filter(str.isalnum, value)).upper())
        if key not in self._known:
            self._next[kind] += 1
            self._known[key] = self._next[kind]
            for word in names.words_of(value) if kind == "NAME" else ():
                self._known.setdefault((kind, word.casefold()), self._next[kind])
        return f"[{kind}_{self._known[key]}]"


def _replace(text: str, matching: MatchingText, spans: list[Span], numbers: _Numbers) -> str:
    pieces, at = [], 0
    for span in sorted(spans, key=lambda span: span.start):
        start, end = matching.original_span(span.start, span.end)
        pieces += [text[at:start], numbers.placeholder(span.kind, matching.folded[span.start : span.end])]
        at = end
    return readable("".join((*pieces, text[at:])))
