"""Sets of hashed word shingles of whole batches of texts at once, by array operations on their bytes.

A document is the set of its runs of `n` words (all its words, when it has fewer). Case, white space and punctuation do
not count; every ideograph, kana, Hangul syllable and Thai letter is a word, because these scripts do not put spaces
between words. Shingles are 64-bit hashes: two different ones collide with probability 2^-64.

Shingling as in Broder (1997), "On the resemblance and containment of documents".
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from flywheel.components.curation.duplicates.spilled_texts import Texts, blocks

WORDS = 5
_CHUNK = 1 << 19  # bytes worked on at once: what fits the cache
_DOCUMENTS = 4096  # at most in one block, however short they are
_SPACE = 32
_TABLE = bytes(ord(chr(i).lower()) if i < 128 and chr(i).isalnum() else i if i >= 128 else _SPACE for i in range(256))
_LOW = np.array([(1 << 8 * bytes_) - 1 for bytes_ in range(8)] + [2**64 - 1], dtype=np.uint64)
_A, _B, _C = (np.uint64(odd) for odd in (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9))
_UNSPACED = re.compile("([\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff])")
_OTHER = re.compile(r"[\W_]+")


NONE = np.uint64(2**64 - 1)


@dataclass(frozen=True)
class Shingles:
    """Shingles of consecutive documents, with repetitions, in the order of the text.

    Attributes:
        hashes: Shape (w,), uint64, evenly distributed: for every word the shingle that begins there, or `NONE` where
            it would reach beyond its document.
        first: Shape (n + 1,), int64: document i has `hashes[first[i]:first[i + 1]]`, a text without words has none.
        counts: Shape (n,), int64: shingles of each document, `NONE` not counted.
    """

    hashes: np.ndarray
    first: np.ndarray
    counts: np.ndarray


def shingled(texts: Texts, rows: np.ndarray, words: int = WORDS) -> Iterator[Shingles]:
    """Shingle texts in blocks of half a megabyte, so that memory does not grow with their number.

    Args:
        texts: Texts.
        rows: Numbers of the texts wanted, shape (n,).
        words: Words of a shingle, at least 1.

    Yields:
        Shingles of the next documents, in the order of `rows`; the blocks together hold each of them once.

    Raises:
        ValueError: `words` is out of range.
    """
    if words < 1:
        raise ValueError(f"a shingle has at least 1 word, got {words}")
    _keep_freed_memory()
    for here in blocks(texts.lengths[rows], _DOCUMENTS, _CHUNK):
        yield _block(texts.read(rows[here]), words)


def _keep_freed_memory() -> None:
    """Have glibc keep the memory of a block for the next one.

    Otherwise every array of every block is mapped anew, and its pages cost as much time as the work on them. Freeing a
    block of this size raises the sizes from which malloc maps and gives back memory (mallopt(3)); no page is touched.
    """
    np.empty((1 << 25) - (1 << 16), dtype=np.uint8)


def mixed(values: np.ndarray) -> np.ndarray:
    """Spread 64-bit values evenly (the finalizer of xxHash64), in place.

    Args:
        values: Any shape, uint64.

    Returns:
        The same array.
    """
    values ^= values >> np.uint64(33)
    values *= _B
    values ^= values >> np.uint64(29)
    values *= _C
    values ^= values >> np.uint64(32)
    return values


def plain(text: str) -> str:
    """What the shingles see of a text: its words in lower case, with one space between them."""
    return " ".join(_bytes(text).translate(_TABLE).decode().split())


def _bytes(text: str) -> bytes:
    if text.isascii():
        return text.encode()
    text = unicodedata.normalize("NFKC", text).casefold()
    return _OTHER.sub(" ", _UNSPACED.sub(r" \1 ", text)).encode("utf-8", "surrogatepass")


def _block(texts: Sequence[str], words: int) -> Shingles:
    joined = " ".join(texts)
    if joined.isascii():
        raw = joined.encode()
        lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
    else:
        encoded = [_bytes(text) for text in texts]
        lengths = np.fromiter(map(len, encoded), dtype=np.int64, count=len(encoded))
        raw = b" ".join(encoded)
    size = len(raw)
    text = np.empty(size + 10, dtype=np.uint8)  # a space before, and room for the eight bytes read at the last word
    text[0], text[size + 1 :] = _SPACE, _SPACE
    text[1 : size + 1] = np.frombuffer(raw.translate(_TABLE), dtype=np.uint8)
    within = text != _SPACE
    borders = np.flatnonzero(within[1 : size + 2] != within[: size + 1]) + 1
    begin, end = borders[0::2], borders[1::2]
    hashes = _word_hashes(text, begin, end - begin)
    first = np.zeros(len(texts) + 1, dtype=np.int64)
    np.cumsum(lengths + 1, out=first[1:])
    return _runs(hashes, np.searchsorted(begin, first + 1), words)


def _word_hashes(text: np.ndarray, begin: np.ndarray, length: np.ndarray) -> np.ndarray:
    """Hash words eight bytes at a time; few words have more than eight."""
    eights = np.ndarray((len(text) - 7,), dtype=np.dtype("<u8"), buffer=text.data, strides=(1,))
    hashes = eights[begin] & _LOW[np.minimum(length, 8)]
    hashes *= _A
    hashes ^= hashes >> np.uint64(29)
    rest, read = np.flatnonzero(length > 8), 8
    while len(rest):
        more = eights[begin[rest] + read] & _LOW[np.minimum(length[rest] - read, 8)]
        more ^= hashes[rest]
        more *= _B
        more ^= more >> np.uint64(31)
        hashes[rest] = more
        read += 8
        rest = rest[length[rest] > read]
    return hashes


def _runs(hashes: np.ndarray, first: np.ndarray, words: int) -> Shingles:
    """Shingles from words; `first` has each document's first word and the number of words."""
    lengths = np.diff(first)
    runs = np.zeros(len(hashes), dtype=np.uint64)
    whole = len(hashes) - words + 1
    if whole > 0:
        runs[:whole] = hashes[:whole]
        for place in range(1, words):
            runs[:whole] *= _A
            runs[:whole] += hashes[place : place + whole]
        mixed(runs)
    tails = np.minimum(lengths, words - 1)  # runs that begin in a document's last words reach into the next document
    ends = np.cumsum(tails)
    runs[np.arange(ends[-1]) + np.repeat(first[1:] - ends, tails)] = NONE
    for length in range(1, words):
        begin = first[:-1][lengths == length]
        if len(begin):
            short = np.full(len(begin), length, dtype=np.uint64)
            for place in range(length):
                short = short * _A + hashes[begin + place]
            runs[begin] = mixed(short)
    counts = np.where(lengths < words, np.minimum(lengths, 1), lengths - words + 1)
    return Shingles(runs, first, counts)
