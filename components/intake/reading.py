"""From bytes to one dictionary per row, or the reason why there is none; nothing is ever dropped in silence."""

import csv
import json
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from flywheel.components.intake.errors import IntakeError
from flywheel.components.intake.lines import DEFAULT_MAX_LINE_BYTES, Line, read_lines
from flywheel.components.intake.sources import Source

MAX_DEPTH = 64  # nesting of JSON values
_CSV_LOOKAHEAD = 1000  # physical lines that one quoted CSV record may span
_PARQUET_BATCH = 1000


@dataclass(frozen=True)
class RawRow:
    """One row of a log: `value` when it could be read, otherwise `reason` and what was there (`text`)."""

    file: str
    line: int  # from 1
    size: int  # bytes as read
    modified: datetime  # of the file
    value: dict[str, Any] | None = None
    tabular: bool = False
    reason: str = ""
    detail: str = ""
    text: str = ""  # undecodable bytes stand as lone surrogates (surrogateescape)


def read_rows(source: Source, log_format: str, max_line_bytes: int = DEFAULT_MAX_LINE_BYTES) -> Iterator[RawRow]:
    """Yield all rows of a file, good and bad.

    Args:
        source: The file.
        log_format: A name of `records.FORMATS`; "auto" goes by the file's ending and first bytes.
        max_line_bytes: Longer lines are not read into memory.

    Raises:
        IntakeError: The file cannot be opened, or a Parquet file is broken.
    """
    with source.open() as stream:
        head = stream.read(4) if source.suffix == ".parquet" or log_format == "parquet" else b""
    if head == b"PAR1":
        yield from _parquet(source)
        return
    if log_format == "parquet" or source.suffix == ".parquet":
        raise IntakeError(f"{source.path} is not a Parquet file (it does not start with PAR1)")
    with source.open() as stream:
        lines = read_lines(stream, max_line_bytes)
        if log_format == "csv" or (log_format == "auto" and source.suffix in (".csv", ".tsv")):
            yield from _csv(source, lines, max_line_bytes)
        else:
            for line in lines:
                yield _unreadable(source, line) or _json(source, line)


def _unreadable(source: Source, line: Line) -> RawRow | None:
    text = line.data.decode("utf-8", "surrogateescape")
    if line.damaged:
        detail = f"the file breaks off here: {line.damaged}; copy it again and run intake on it again"
        return _bad(source, line, "damaged_file", detail, text)
    if line.too_long:
        return _bad(source, line, "line_too_long", f"the line has {line.length} bytes; its beginning is kept", text)
    return None


def _bad(source: Source, line: Line, reason: str, detail: str, text: str) -> RawRow:
    return RawRow(source.label, line.number, line.length, source.modified, reason=reason, detail=detail, text=text)


def _json(source: Source, line: Line) -> RawRow:
    try:
        line.data.decode()
    except UnicodeDecodeError as error:
        detail = f"not UTF-8: byte 0x{line.data[error.start]:02x} at offset {error.start}; convert the file to UTF-8"
        return _bad(source, line, "bad_encoding", detail, line.data.decode("utf-8", "surrogateescape"))
    text = line.data.decode()
    try:
        value = parse_json(line.data)
    except ValueError as error:
        return _bad(source, line, "not_json", str(error), text)
    if not isinstance(value, dict):
        return _bad(source, line, "not_json", f"a JSON {type(value).__name__}, not an object", text)
    return RawRow(source.label, line.number, line.length, source.modified, value=value)


def parse_json(data: bytes) -> Any:
    """Parse JSON, also with the NaN and Infinity that Python writes.

    Raises:
        ValueError: Not JSON, or nested deeper than 64.
    """
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        if b"NaN" not in data and b"Infinity" not in data:
            raise ValueError(f"not JSON: {error}") from error
        try:
            value = json.loads(data)
        except (ValueError, RecursionError) as second:
            raise ValueError(f"not JSON: {second}") from second
    if data.count(b"[") + data.count(b"{") > MAX_DEPTH and _deep(value):
        raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
    return value


def _deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for item in level
            if isinstance(item, dict | list)
            for child in (item.values() if isinstance(item, dict) else item)
        ]
        if not level:
            return False
    return True


def _csv(source: Source, lines: Iterator[Line], max_bytes: int) -> Iterator[RawRow]:
    """Read comma, semicolon, tab or bar separated records (RFC 4180) with a header."""
    csv.field_size_limit(max(max_bytes, 131072))
    names: list[str] = []
    delimiter = ","
    for line in _csv_records(lines, max_bytes):
        bad = _unreadable(source, line)
        if bad is not None:
            yield bad
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
