"""Lines of a byte stream in bounded memory, however long a line is."""

import gzip
import zlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

import pyarrow as pa

DEFAULT_MAX_LINE_BYTES = 8 * 1024 * 1024
KEPT_OF_LONG_LINE = 4096
_CHUNK = 1 << 18


class Line(NamedTuple):
    """One line without its end. `too_long`: only its beginning is kept; `damaged`: the stream broke off here."""

    number: int  # from 1
    data: bytes
    length: int  # bytes of the whole line
    too_long: bool = False
    damaged: str = ""


_whole = Line._make  # half the time of calling the class


def read_lines(stream: BinaryIO, max_bytes: int = DEFAULT_MAX_LINE_BYTES) -> Iterator[Line]:
    """Yield the lines that hold more than blanks.

    Args:
        stream: Bytes; a UTF-8 byte order mark at the start is dropped.
        max_bytes: Longest line that is kept whole, bytes.

    Yields:
        Lines in order. A broken gzip stream ends with a line that is `damaged` and says why.
    """
    number, held, length = 1, bytearray(), 0
    for chunk in chunks(stream):
        if isinstance(chunk, str):
            yield Line(number, bytes(held[:KEPT_OF_LONG_LINE]), length, damaged=chunk)
            return
        *ended, rest = chunk.split(b"\n")
        for piece in ended:
            size = len(piece)
            if length or size > max_bytes or piece[-1:] == b"\r":
                line = _line(number, held, piece, length + size, max_bytes)
                held, length = bytearray(), 0
                if line is not None:
                    yield line
            elif size and not piece.isspace():
                yield _whole((number, piece, size, False, ""))
            number += 1
        length += len(rest)
        if len(held) <= max_bytes:
            held += rest
    line = _line(number, held, b"", length, max_bytes)
    if line is not None:
        yield line


def chunks(stream: BinaryIO) -> Iterator[bytes | str]:
    """Yield a stream's bytes in pieces, without a UTF-8 byte order mark; a text at the end says why it broke off."""
    read = getattr(stream, "read1", stream.read)  # read1 gives what a cut off gzip file still holds
    first = True
    while True:
        try:
            chunk = read(_CHUNK)
        except (EOFError, zlib.error, gzip.BadGzipFile, OSError, pa.ArrowException) as error:
            yield str(error) or type(error).__name__
            return
        if not chunk:
            return
        if first:
            chunk, first = chunk.removeprefix(b"\xef\xbb\xbf"), False
        yield chunk


def _line(number: int, held: bytearray, piece: bytes, length: int, max_bytes: int) -> Line | None:
    if length > max_bytes:
        return Line(number, bytes((held + piece[:KEPT_OF_LONG_LINE])[:KEPT_OF_LONG_LINE]), length, too_long=True)
    data = bytes(held + piece) if held else piece
    if data.endswith(b"\r"):
        data = data[:-1]
    return Line(number, data, length) if data and not data.isspace() else None
