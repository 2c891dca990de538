"""Replace personal data in texts by placeholders such as `[EMAIL_1]`; the one door to the recognizers.

Most texts hold nothing. So the triggers of each family of recognizers run over all texts of a batch joined together,
and the family's recognizers, which are more of them and slower, see windows around the hits only, again all at once.
"""

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from flywheel.components.intake.privacy import named_entities, names
from flywheel.components.intake.privacy.families import FAMILIES, Family
from flywheel.components.intake.privacy.matching_text import FoldedBatch, MatchingText, fold_all, readable
from flywheel.components.intake.privacy.placeholders import PLACEHOLDER, Placeholders
from flywheel.components.intake.privacy.repeats import Repeats
from flywheel.components.intake.privacy.spans import BORDER, CUT, TAKEN, Recognizer, Span
from flywheel.components.intake.privacy.windows import Compact, Joined

_CHUNK = 1 << 22  # characters looked at together: enough to share the fixed costs, few enough for the cache
_FEW = 64  # values that are looked for one by one before the text is read word by word
_IN_BYTES = re.compile(PLACEHOLDER.pattern.encode())


@dataclass(frozen=True)
class ScrubResult:
    """Scrubbed texts in the order given, and how many pieces of personal data of each kind were replaced."""

    texts: list[str]
    counts: Counter[str]


def scrub_texts(
    texts: Sequence[str],
    groups: Sequence[int] | None = None,
    *,
    gated: bool = True,
    keys: Sequence[bytes] | None = None,
    extra: Sequence[Recognizer] | None = None,
) -> ScrubResult:
    """Replace personal data by placeholders that keep its kind.

    Kinds: EMAIL, PHONE, CARD, IBAN, ACCOUNT, IP, MAC, SSN, ID, BIRTHDATE, SECRET, ADDRESS, NAME. Within a group the
    same value gets the same number, and a value (or a name of it) found once is replaced wherever it stands in the
    group. The result is valid Unicode whatever came in. Matching is linear in the length of the text (RE2).

    Args:
        texts: Any strings, also with lone surrogates (bytes that were not UTF-8, by `surrogateescape`).
        groups: A number per text, the same for texts that belong together (one record); None: each on its own.
        gated: Whether the recognizers see windows only; False only to test that the triggers let all through.
        keys: A key per text, the same within a group: values get numbers that every call with this key gives them
            (`placeholders`); an empty key or None: 1, 2, ... in each group.
        extra: Recognizers that see every text whole, after all patterns; None: those of the extra `ner` that
            FLYWHEEL_RECOGNIZERS names (`named_entities`).

    Returns:
        The scrubbed texts and the counts by kind.
    """
    more = named_entities.configured() if extra is None else tuple(extra)
    result = list(texts)
    counts: Counter[str] = Counter()
    members: dict[int, list[int]] = {}
    for index, group in enumerate(groups if groups is not None else range(len(texts))):
        members.setdefault(group, []).append(index)
    for chunk in _chunks(members, texts):
        order = [index for group in chunk for index in members[group]]
        batch = fold_all([texts[index] for index in order])
        if not batch.readable:
            for index in order:
                result[index] = readable(texts[index])
        found = _find(batch, gated, more)
        place = 0
        for group in chunk:
            mine = range(place, place + len(members[group]))
            place = mine.stop
            if not any(number in found for number in mine):
                continue
            folded = {number: batch.text(number) for number in mine}
            spans = _with_repeats({number: text.folded for number, text in folded.items()}, found)
            originals = [texts[index] for index in members[group]]
            placeholders = Placeholders(originals, keys[members[group][0]] if keys is not None else b"")
            for number, those in spans.items():
                result[order[number]] = _replace(texts[order[number]], folded[number], those, placeholders)
                counts.update([span.kind for span in those])
    return ScrubResult(result, counts)


def _chunks(members: dict[int, list[int]], texts: Sequence[str]) -> list[list[int]]:
    chunks: list[list[int]] = [[]]
    size = 0
    for group, indices in members.items():
        if size >= _CHUNK:
            chunks.append([])
            size = 0
        chunks[-1].append(group)
        size += sum(len(texts[index]) for index in indices)
    return chunks


def _find(batch: FoldedBatch, gated: bool, extra: tuple[Recognizer, ...]) -> dict[int, list[Span]]:
    """Return the spans of each text that has any, in characters of the folded text, ascending."""
    joined = Joined(batch)
    for match in _IN_BYTES.finditer(joined.raw):
        joined.view[match.start() : match.end()] = TAKEN.encode() * (match.end() - match.start())
    places: list[tuple[int, int, str]] = []
    for family in FAMILIES:
        places += _of_family(family.recognizers, joined, _windows(family, joined, gated))
    if extra:
        places += _of_family(extra, joined, joined.whole())
    places.sort()
    starts = np.array([start for start, _, _ in places], np.int64)
    numbers = joined.text_of(starts)
    first = joined.characters(starts) - joined.characters(joined.starts[numbers])
    size = joined.characters(np.array([end for _, end, _ in places], np.int64)) - joined.characters(starts)
    found: dict[int, list[Span]] = {}
    for number, start, length, (_, _, kind) in zip(
        numbers.tolist(), first.tolist(), size.tolist(), places, strict=True
    ):
        found.setdefault(number, []).append(Span(start, start + length, kind))
    return found


def _windows(family: Family, joined: Joined, gated: bool) -> tuple[np.ndarray, np.ndarray]:
    if not gated:
        return joined.whole()
    starts, ends = family.trigger(bytes(joined.view))  # what is covered is a border for triggers as well
    return joined.around(starts, ends, family.before, family.after) if len(starts) else (starts, ends)


def _of_family(
    recognizers: tuple[Recognizer, ...], joined: Joined, windows: tuple[np.ndarray, np.ndarray]
) -> list[tuple[int, int, str]]:
    """Return what recognizers find in windows, in bytes of the joined texts, and cover it there."""
    if not len(windows[0]):
        return []
    compact = Compact.of(joined, *windows)
    text = compact.text
    spans: list[Span] = []
    for recognize in recognizers:
        new = _new(recognize, text)
        while new:
            spans += new
            text = _cover(text, new)
            new = _again(recognize, text, new)
    if not spans:
        return []
    starts = compact.back(np.array([span.start for span in spans])).tolist()
    ends = compact.back(np.array([span.end for span in spans])).tolist()
    for start, end in zip(starts, ends, strict=True):
        joined.view[start:end] = TAKEN.encode() * (end - start)
    return list(zip(starts, ends, [span.kind for span in spans], strict=True))


def _new(recognize: Recognizer, view: str) -> list[Span]:
    """Return what a recognizer finds outside of what is taken, without overlaps: the earlier, longer span stays."""
    kept: list[Span] = []
    for span in sorted(recognize(view), key=lambda span: (span.start, -span.end)):
        if (not kept or span.start >= kept[-1].end) and TAKEN not in view[span.start : span.end]:
            kept.append(span)
    return kept


def _again(recognize: Recognizer, view: str, found: list[Span]) -> list[Span]:
    """Look again where something was found: a match may have eaten the beginning of the next."""
    pieces: list[str] = []
    starts: list[int] = []  # of the pieces, in the view
    places: list[int] = []  # of the pieces, in their join
    end = size = 0
    for span in found:
        if span.start < end:
            continue
        start = max(view.rfind(CUT, end, span.start), view.rfind(BORDER, end, span.start), end)
        behind = [place for place in (view.find(CUT, span.end), view.find(BORDER, span.end)) if place >= 0]
        end = min(behind, default=len(view) - 1) + 1
        starts.append(start)
        places.append(size)
        pieces.append(view[start:end])
        size += end - start + 1
    if len(pieces) > 1 and size > len(view) // 2:
        return _new(recognize, view)
    moved = []
    for span in _new(recognize, CUT.join(pieces)):
        piece = bisect_right(places, span.start) - 1
        shift = starts[piece] - places[piece]
        moved.append(Span(span.start + shift, span.end + shift, span.kind))
    return moved


def _cover(view: str, spans: list[Span]) -> str:
    pieces, at = [], 0
    for span in spans:
        pieces += [view[at : span.start], TAKEN * (span.end - span.start)]
        at = span.end
    return "".join((*pieces, view[at:]))


def _with_repeats(texts: dict[int, str], found: dict[int, list[Span]]) -> dict[int, list[Span]]:
    """Add the other places in the group where a value stands that was recognized by its surroundings only."""
    kinds: dict[str, str] = {}
    mine = {index: found[index] for index in texts if index in found}
    for index, spans in mine.items():
        for span in spans:
            value = texts[index][span.start : span.end]
            words = names.words_of(value) if span.kind == "NAME" else ()
            for text in (value, *words):
                if len(text) >= (3 if span.kind == "NAME" else 5):
                    kinds.setdefault(text, span.kind)
    for index, text in texts.items():
        view = _cover(text, mine.get(index, []))
        if len(kinds) > _FEW or any(value in view for value in kinds):
            again = Repeats(kinds).find(PLACEHOLDER.sub(lambda match: TAKEN * len(match.group()), view))
            mine[index] = sorted([*mine.get(index, []), *again], key=lambda span: span.start)
    return {index: spans for index, spans in mine.items() if spans}


def _replace(text: str, matching: MatchingText, spans: list[Span], placeholders: Placeholders) -> str:
    pieces, at = [], 0
    for span in spans:
        start, end = matching.original_span(span.start, span.end)
        pieces += [text[at:start], placeholders.of(span.kind, matching.folded[span.start : span.end])]
        at = end
    return readable("".join((*pieces, text[at:])))
