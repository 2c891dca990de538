"""From bytes to one dictionary per row, or the reason why there is none; nothing is ever dropped in silence."""

import csv
from collections import deque
from collections.abc import Iterator
from datetime import datetime

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from flywheel.components.intake import plain_row
from flywheel.components.intake.errors import IntakeError
from flywheel.components.intake.formats import registry
from flywheel.components.intake.formats.fields import NotAnInteraction
from flywheel.components.intake.json_text import parse_json, text_of
from flywheel.components.intake.json_values import read_values, spans_lines
from flywheel.components.intake.lines import DEFAULT_MAX_LINE_BYTES, Line, chunks, read_lines
from flywheel.components.intake.raw_row import RawRow
from flywheel.components.intake.sources import Source

_CSV_LOOKAHEAD = 1000  # physical lines that one quoted CSV record may span
_PARQUET_BATCH = 1000
_HEAD = 1 << 16  # bytes that tell what a file holds


def read_rows(
    source: Source, log_format: str, max_line_bytes: int = DEFAULT_MAX_LINE_BYTES, plain_until: datetime | None = None
) -> Iterator[RawRow]:
    """Yield all rows of a file, good and bad.

    Args:
        source: The file.
        log_format: A name of `records.FORMATS`; "auto" goes by the file's ending and first bytes.
        max_line_bytes: Longer lines are not read into memory.
        plain_until: Rows of our own shape that are not later come as `plain`; None: all rows come as `value`.

    Raises:
        IntakeError: The file cannot be opened, or a Parquet file is broken.
    """
    head = _head(source)
    if head.startswith(b"PAR1"):
        for row in _parquet(source):
            yield from _split(row, log_format)
        return
    if log_format == "parquet" or source.suffix == ".parquet":
        raise IntakeError(f"{source.path} is not a Parquet file (it does not start with PAR1)")
    looks_like_json = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"{", b"[")
    with source.open() as stream:
        if log_format == "csv" or (source.suffix in (".csv", ".tsv") and not looks_like_json):
            for row in _csv(source, read_lines(stream, max_line_bytes), max_line_bytes):
                yield from _split(row, log_format)
            return
        until = plain_until if registry.may_be_own(log_format) else None
        label, modified = source.label, source.modified
        for line in (read_values if spans_lines(head) else read_lines)(stream, max_line_bytes):
            number, data, size, too_long, damaged = line
            whole = not (too_long or damaged)
            plain = plain_row.read_line(data, until) if whole and until is not None else None
            if plain is not None:  # most rows, and they are many
                yield RawRow(label, number, size, modified, shape=registry.OWN, plain=plain, line_bytes=data)
                continue
            row = _json(source, line) if whole else _unreadable(source, line)
            value = row.value
            if value is not None and registry.is_own(value, log_format):
                row.shape = registry.OWN
                yield row
            else:
                yield from _split(row, log_format)


def _head(source: Source) -> bytes:
    """Return the beginning of a file; nothing of one that is broken there, which reading will report."""
    with source.open() as stream:
        return next((chunk for chunk in chunks(stream) if isinstance(chunk, bytes)), b"")[:_HEAD]


def _split(row: RawRow, log_format: str) -> Iterator[RawRow]:
    """Yield the rows that a line or a table's row holds: of an export the spans, of a trace its scores as well."""
    if row.value is None:
        yield row
        return
    try:
        found = registry.rows_of(row.value, log_format)
    except ValueError as error:
        reason = "not_an_interaction" if isinstance(error, NotAnInteraction) else "invalid_record"
        yield msgspec.structs.replace(row, value=None, reason=reason, detail=str(error), text=text_of(row.value))
        return
    row.shape, row.value = found[0]
    if len(found) == 1:
        yield row
        return
    row.size //= len(found)
    yield row
    for part, (shape, value) in enumerate(found[1:], start=1):
        yield msgspec.structs.replace(row, value=value, shape=shape, part=part)


def _unreadable(source: Source, line: Line) -> RawRow:
    """Return the row of a line that is damaged or too long."""
    text = line.data.decode("utf-8", "surrogateescape")
    if line.damaged:
        detail = f"the file breaks off here: {line.damaged}; copy it again and run intake on it again"
        return _bad(source, line, "damaged_file", detail, text)
    return _bad(source, line, "line_too_long", f"the line has {line.length} bytes; its beginning is kept", text)


def _bad(source: Source, line: Line, reason: str, detail: str, text: str) -> RawRow:
    return RawRow(source.label, line.number, line.length, source.modified, reason=reason, detail=detail, text=text)


def _json(source: Source, line: Line) -> RawRow:
    try:
        value = parse_json(line.data)
    except ValueError as wrong:
        try:
            text = line.data.decode()
        except UnicodeDecodeError as error:
            detail = (
                f"not UTF-8: byte 0x{line.data[error.start]:02x} at offset {error.start}; convert the file to UTF-8"
            )
            return _bad(source, line, "bad_encoding", detail, line.data.decode("utf-8", "surrogateescape"))
        return _bad(source, line, "not_json", str(wrong), text)
    if not isinstance(value, dict):
        detail = f"a JSON {type(value).__name__}, not an object"
        return _bad(source, line, "not_json", detail, line.data.decode())
    return RawRow(source.label, line.number, line.length, source.modified, value)


def _csv(source: Source, lines: Iterator[Line], max_bytes: int) -> Iterator[RawRow]:
    """Read comma, semicolon, tab or bar separated records (RFC 4180) with a header."""
    csv.field_size_limit(max(max_bytes, 131072))
    names: list[str] = []
    delimiter = ","
    for line in _csv_records(lines, max_bytes):
        if line.damaged or line.too_long:
            yield _unreadable(source, line)
            continue
        text = line.data.decode("utf-8", "surrogateescape")
        if not names:
            delimiter = max(",;\t|", key=text.count)
        try:
            cells = next(csv.reader([*text.splitlines(keepends=True)], delimiter=delimiter, strict=True), [])
        except csv.Error as error:
            yield _bad(source, line, "invalid_record", f"not a CSV record: {error}", text)
            continue
        if not names:
            names = [cell.strip() for cell in cells]
            continue
        try:
            line.data.decode()
        except UnicodeDecodeError as error:
            detail = (
                f"not UTF-8: byte 0x{line.data[error.start]:02x} at offset {error.start}; convert the file to UTF-8"
            )
            yield _bad(source, line, "bad_encoding", detail, text)
            continue
        if len(cells) != len(names):
            yield _bad(source, line, "invalid_record", f"{len(cells)} cells under a header of {len(names)}", text)
            continue
        value = {name: cell for name, cell in zip(names, cells, strict=True) if cell != ""}
        yield RawRow(source.label, line.number, line.length, source.modified, value=value, tabular=True)


def _csv_records(lines: Iterator[Line], max_bytes: int) -> Iterator[Line]:
    """Join physical lines while a quote is open; when it is never closed, only the line that opens it is bad."""
    waiting: deque[Line] = deque()

    def following(index: int) -> Line | None:
        while len(waiting) <= index:
            line = next(lines, None)
            if line is None:
                return None
            waiting.append(line)
        return waiting[index]

    while (first := following(0)) is not None:
        size, quotes, used = first.length, first.data.count(b'"'), 1
        while quotes % 2 and used < _CSV_LOOKAHEAD and not first.too_long:
            line = following(used)
            if line is None or line.too_long or line.damaged or size + line.length > max_bytes:
                break
            size, quotes, used = size + line.length + 1, quotes + line.data.count(b'"'), used + 1
        if quotes % 2:
            used = 1
        parts = [waiting.popleft() for _ in range(used)]
        data = b"\n".join(part.data for part in parts)
        yield first if used == 1 else Line(first.number, data, len(data))


def _parquet(source: Source) -> Iterator[RawRow]:
    try:
        with source.open() as stream:
            number = 0
            for batch in pq.ParquetFile(stream).iter_batches(batch_size=_PARQUET_BATCH):
                size = batch.nbytes // max(batch.num_rows, 1)
                for value in batch.to_pylist():
                    number += 1
                    kept = {name: cell for name, cell in value.items() if cell is not None}
                    yield RawRow(source.label, number, size, source.modified, value=kept, tabular=True)
    except (pa.ArrowException, OSError) as error:
        raise IntakeError(f"{source.path} is not a readable Parquet file: {error}") from error
