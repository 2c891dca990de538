"""Replace personal data in texts by placeholders such as `[EMAIL_1]`; the one door to the recognizers.

Most texts hold nothing. So the triggers of each family of recognizers run over all texts of a batch joined together,
and the family's recognizers, which are more of them and slower, see windows around the hits only, again all at once.
"""

import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain

import numpy as np

from flywheel.components.intake.privacy import named_entities, names
from flywheel.components.intake.privacy.families import FAMILIES, Family
from flywheel.components.intake.privacy.matching_text import FoldedBatch, MatchingText, fold_all, readable
from flywheel.components.intake.privacy.placeholders import PLACEHOLDER, Placeholders
from flywheel.components.intake.privacy.repeats import Repeats
from flywheel.components.intake.privacy.spans import CUT, TAKEN, Recognizer, Span
from flywheel.components.intake.privacy.windows import Compact, Hits, Joined

_CHUNK = 1 << 23  # characters looked at together: enough to share the fixed costs, few enough for memory
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
    kinds: list[str] = []
    for members in _chunks(groups, texts):
        order = list(chain.from_iterable(members))
        batch = fold_all([texts[index] for index in order])
        if not batch.readable:
            for index in order:
                result[index] = readable(texts[index])
        found = _find(batch, gated, more)
        starts = [0, *accumulate(map(len, members))]  # of the groups, in the batch
        for group in dict.fromkeys([bisect_right(starts, number) - 1 for number in found]):
            folded = {number: batch.text(number) for number in range(starts[group], starts[group + 1])}
            spans = _with_repeats({number: text.folded for number, text in folded.items()}, found)
            mine = members[group]
            key = keys[mine[0]] if keys is not None else b""
            placeholders = Placeholders([texts[index] for index in mine], key)
            for number, those in spans.items():
                result[order[number]] = _replace(texts[order[number]], folded[number], those, placeholders)
                kinds += [span.kind for span in those]
    return ScrubResult(result, Counter(kinds))


def _chunks(groups: Sequence[int] | None, texts: Sequence[str]) -> Iterator[list[Sequence[int]]]:
    """Yield the texts' numbers, those of each group together, as many as are looked at together."""
    if groups is None:
        of_group: Iterable[Sequence[int]] = zip(range(len(texts)))
    else:
        by_group: dict[int, list[int]] = {}
        for index, group in enumerate(groups):
            by_group.setdefault(group, []).append(index)
        of_group = by_group.values()
    chunk: list[Sequence[int]] = []
    size = 0
    for members in of_group:
        if size >= _CHUNK:
            yield chunk
            chunk, size = [], 0
        chunk.append(members)
        for index in members:
            size += len(texts[index])
    yield chunk


def _find(batch: FoldedBatch, gated: bool, extra: tuple[Recognizer, ...]) -> dict[int, list[Span]]:
    """Return the spans of each text that has any, in characters of the folded text, ascending."""
    joined = Joined(batch)
    there = [match.span() for match in _IN_BYTES.finditer(joined.raw)]
    if there:
        starts, ends = np.array(there, np.int64).T
        joined.cover((starts, ends))
    places: list[tuple[int, int, str]] = []
    for family in FAMILIES:
        places += _of_family(family.recognizers, joined, _windows(family, joined, gated))
    if extra:
        places += _of_family(extra, joined, joined.whole())
    if not places:
        return {}
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


def _windows(family: Family, joined: Joined, gated: bool) -> Hits:
    if not gated:
        return joined.whole()
    return joined.around(*family.trigger(joined), family.before, family.after)


def _of_family(recognizers: tuple[Recognizer, ...], joined: Joined, windows: Hits) -> list[tuple[int, int, str]]:
    """Return what recognizers find in windows, in bytes of the joined texts, and cover it there."""
    if not len(windows[0]):
        return []
    compact = Compact.of(joined, *windows)
    text = compact.raw.decode()
    offsets = compact.offsets()
    cuts = (compact.cuts if offsets is None else np.searchsorted(offsets, compact.cuts)).tolist()
    spans: list[Span] = []
    for recognize in recognizers:
        new = _new(recognize, text)
        while new:
            spans += new
            text = _cover(text, new)
            new = _again(recognize, text, new, cuts)
    if not spans:
        return []
    places = np.array([(start, end) for start, end, _ in spans])
    starts, ends = compact.back(places if offsets is None else offsets[places]).T
    joined.cover((starts, ends))
    return list(zip(starts.tolist(), ends.tolist(), [span.kind for span in spans], strict=True))


def _new(recognize: Recognizer, view: str) -> list[Span]:
    """Return what a recognizer finds outside of what is taken, without overlaps: the earlier, longer span stays."""
    kept: list[Span] = []
    for span in sorted(recognize(view), key=lambda span: (span.start, -span.end)):
        if (not kept or span.start >= kept[-1].end) and TAKEN not in view[span.start : span.end]:
            kept.append(span)
    return kept


def _again(recognize: Recognizer, view: str, found: list[Span], cuts: list[int]) -> list[Span]:
    """Look again where something was found: a match may have eaten the beginning of the next.

    Args:
        recognize: What found it.
        view: The windows, what was found covered.
        found: What was found, ascending.
        cuts: Where windows end, ascending.
    """
    pieces: list[str] = []
    starts: list[int] = []  # of the pieces, in the view
    places: list[int] = []  # of the pieces, in their join
    end = size = 0
    for span in found:
        if span.start < end:
            continue
        behind = bisect_left(cuts, span.start)
        start = max(cuts[behind - 1], end) if behind else end
        behind = bisect_left(cuts, span.end, behind)
        end = cuts[behind] + 1 if behind < len(cuts) else len(view)
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
    mine = {index: found[index] for index in texts if index in found}
    if len(texts) == 1:  # the usual case: one text, and each value in it stands there once
        ((index, text),) = texts.items()
        if all(kind != "NAME" and text.count(text[start:end]) == 1 for start, end, kind in mine[index]):
            return mine
    kinds: dict[str, str] = {}
    values = {index: [texts[index][span.start : span.end] for span in spans] for index, spans in mine.items()}
    for index, spans in mine.items():
        for span, value in zip(spans, values[index], strict=True):
            words = names.words_of(value) if span.kind == "NAME" else ()
            for text in (value, *words):
                if len(text) >= (3 if span.kind == "NAME" else 5):
                    kinds.setdefault(text, span.kind)
    for index, text in texts.items():
        if len(kinds) > _FEW or any(_elsewhere(value, text, values.get(index, ())) for value in kinds):
            view = PLACEHOLDER.sub(lambda match: TAKEN * len(match.group()), _cover(text, mine.get(index, [])))
            mine[index] = sorted([*mine.get(index, []), *Repeats(kinds).find(view)], key=lambda span: span.start)
    return mine


def _elsewhere(value: str, text: str, taken: Sequence[str]) -> bool:
    """Whether a value may stand in a text outside of what was found there."""
    times = text.count(value)
    return times > 0 and times > sum([one.count(value) for one in taken])


def _replace(text: str, matching: MatchingText, spans: list[Span], placeholders: Placeholders) -> str:
    folded, origin = matching
    pieces, at = [], 0
    for start, end, kind in spans:
        value = folded[start:end]
        if origin is not None:
            start, end = matching.original_span(start, end)  # noqa: PLW2901
        pieces += [text[at:start], placeholders.of(kind, value)]
        at = end
    pieces.append(text[at:])
    return readable("".join(pieces))
