"""JSON values one after another in a byte stream, in bounded memory: the items of an array, objects over many lines.

Reads what is not one object a line: `[{...}, {...}]`, and pretty-printed objects. A value is handed on as bytes, as a
line is (`lines.read_lines`), so that it is parsed, refused and counted by the same code.
"""

import re
from collections.abc import Iterator
from typing import BinaryIO

from flywheel.components.intake.lines import DEFAULT_MAX_LINE_BYTES, KEPT_OF_LONG_LINE, Line, chunks

_GAP = re.compile(rb"[\s,]*+")
# Runs to the next bracket outside a text; it stops before a text that does not end in the bytes at hand.
_RUN = re.compile(rb'(?:[^"{}\[\]]++|"(?:[^"\\]++|\\.)*+")*+', re.DOTALL)
_IN_TEXT = re.compile(rb"(?:[^\"\\]++|\\.)*+", re.DOTALL)
_TEXT = re.compile(rb'"(?:[^"\\\n]++|\\[^\n])*+"')
_TO_ITEM_END = re.compile(rb"[^,\]\n]++")
_TO_LINE_END = re.compile(rb"[^\n]++")
_OPEN = b"{["


def spans_lines(head: bytes) -> bool:
    """Whether a file that begins so holds values that are no lines: an array, or an object that goes on.

    Args:
        head: The first bytes of the file, decompressed.
    """
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    first = text.split(b"\n", 1)[0].rstrip()
    return text.startswith(b"[") or (text.startswith(b"{") and first.endswith((b"{", b"[", b",")) and b"\n" in text)


def read_values(stream: BinaryIO, max_bytes: int = DEFAULT_MAX_LINE_BYTES) -> Iterator[Line]:
    """Yield the values of a stream; of a top-level array its items.

    Args:
        stream: Bytes; a UTF-8 byte order mark at the start is dropped.
        max_bytes: Longest value that is kept whole, bytes.

    Yields:
        A `Line` per value, with the number of the line on which it begins. What is no JSON is yielded as it is, up to
        the end of its line or item; a stream that breaks off ends with one that is `damaged` and says why.
    """
    return _Scanner(stream, max_bytes).run()


class _Scanner:
    def __init__(self, stream: BinaryIO, max_bytes: int) -> None:
        self._chunks = chunks(stream)
        self._max = max_bytes
        self._buffer = b""
        self._at = 0  # next byte to look at
        self._line = 1
        self._in_array = False
        self._problem = ""  # why the stream broke off
        self._over = False

    def run(self) -> Iterator[Line]:
        while True:
            self._skip(_GAP)
            if self._at == len(self._buffer):
                if self._more(self._at):
                    continue
                break
            sign = self._buffer[self._at : self._at + 1]
            if sign == b"[" and not self._in_array:
                self._in_array, self._at = True, self._at + 1
            elif sign == b"]" and self._in_array:
                self._in_array, self._at = False, self._at + 1
            elif sign in (b"{", b"["):
                yield self._value()
            else:
                yield self._scalar()
        if self._problem or self._in_array:
            yield Line(self._line, b"", 0, damaged=self._problem or "a JSON array is not closed")

    def _more(self, keep_from: int) -> bool:
        """Read on, and drop the bytes before `keep_from`; False at the end."""
        if self._over:
            return False
        found = next(self._chunks, None)
        if found is None or isinstance(found, str):
            self._over, self._problem = True, found or ""
            return False
        self._buffer = self._buffer[keep_from:] + found
        self._at -= keep_from
        return True

    def _skip(self, pattern: re.Pattern[bytes]) -> None:
        match = pattern.match(self._buffer, self._at)
        if match is not None:
            self._line += self._buffer.count(b"\n", self._at, match.end())
            self._at = match.end()

    def _scalar(self) -> Line:
        pattern = _TO_ITEM_END if self._in_array else _TO_LINE_END
        while True:
            quoted = self._in_array and self._buffer[self._at : self._at + 1] == b'"'
            text = _TEXT.match(self._buffer, self._at) if quoted else None
            match = text or pattern.match(self._buffer, self._at)
            end = match.end() if match is not None else self._at + 1
            # A text that has not ended yet may hold commas and brackets; a line end is never inside a text.
            undecided = quoted and text is None and b"\n" not in self._buffer[self._at :]
            if text is not None or (end < len(self._buffer) and not undecided):
                break
            if len(self._buffer) - self._at > self._max or not self._more(self._at):
                break
        data, number = self._buffer[self._at : end], self._line
        self._at = end
        too_long = len(data) > self._max
        return Line(number, data[:KEPT_OF_LONG_LINE] if too_long else data.rstrip(), len(data), too_long=too_long)

    def _value(self) -> Line:
        """Read an object or array from its bracket to the one that closes it."""
        number, start, depth = self._line, self._at, 0
        dropped, head, in_text = 0, b"", False  # of a value that is too long only the head is kept
        while True:
            self._skip(_IN_TEXT if in_text else _RUN)
            sign = self._buffer[self._at : self._at + 1]
            if sign and sign in b"{}[]" and not in_text:
                depth += 1 if sign in _OPEN else -1
                self._at += 1
                if depth == 0:
                    break
                continue
            if sign == b'"' and in_text:
                in_text, self._at = False, self._at + 1
                continue
            if self._at - start + dropped > self._max or len(self._buffer) - start + dropped > self._max:
                head = head or self._buffer[start : start + KEPT_OF_LONG_LINE]
                if sign == b'"':
                    in_text, self._at = True, self._at + 1
                    continue
                dropped, start = dropped + self._at - start, self._at
            if not self._more(start):
                length = dropped + len(self._buffer) - start
                data = head or self._buffer[start:][:KEPT_OF_LONG_LINE]
                self._at, self._in_array = len(self._buffer), False
                damaged, self._problem = self._problem or "the file ends inside a JSON value", ""
                return Line(number, data, length, damaged=damaged)
            start = 0
        length = dropped + self._at - start
        if length > self._max:
            return Line(number, head or self._buffer[start : start + KEPT_OF_LONG_LINE], length, too_long=True)
        return Line(number, self._buffer[start : self._at], length)
