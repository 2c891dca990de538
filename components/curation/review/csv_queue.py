"""The review queue as a CSV file: export, answer in any spreadsheet, import.

Spreadsheets change files: they add a byte-order mark, save semicolons, tabs or another encoding, reorder rows and
columns, and turn digits into numbers. What is read back is found by column names and by the id, never by place.
Written per RFC 4180.
"""

import csv
import io
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from flywheel.components.curation.review.given import Given
from flywheel.components.curation.review.requests import Request

ANSWERS = ("verdict", "category", "edited_correction", "note", "reviewer")
SHOWN = ("asked_because", "prompt", "response", "correction", "model_category", "conversation")
COLUMNS = ("candidate", *ANSWERS, *SHOWN)
_ID_PREFIX = "c-"  # an id of digits alone would come back as 1.2E+31
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_REQUIRED = ("candidate", "verdict")


def write(requests: Sequence[Request], path: str) -> None:
    """Write the queue, so that a reader sees the whole file or none.

    Args:
        requests: What to ask.
        path: File to write; UTF-8 with a byte-order mark, which spreadsheets need to see that it is UTF-8.
    """
    from flywheel.components.curation.corrections import context_of

    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    with os.fdopen(handle, "w", encoding="utf-8-sig", newline="") as file:
        sheet = csv.DictWriter(file, COLUMNS, restval="")
        sheet.writeheader()
        for request in requests:
            row = request.candidate
            shown = {
                "asked_because": request.because,
                "prompt": row["prompt"],
                "response": row["response"],
                "correction": row["correction"],
                "model_category": row["category"],
                "conversation": context_of(row["messages"]),
            }
            sheet.writerow(
                {"candidate": _ID_PREFIX + row["candidate_id"], **{name: _text(text) for name, text in shown.items()}}
            )
    Path(temporary).replace(target)


def read(path: str, reviewer: str = "") -> tuple[list[Given], int]:
    """Read an answered queue.

    Args:
        path: CSV file: comma, semicolon or tab; UTF-8 or UTF-16 with or without a byte-order mark, or Windows-1252.
        reviewer: Who answered the rows that name nobody.

    Returns:
        The answers, and the number of rows without any.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no CSV file, or its header lacks a column; says which.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"review file {path} does not exist; `flywheel review export` writes one")
    text = _decoded(Path(path).read_bytes())
    if "\0" in text:
        raise ValueError(f"{path} is no CSV file; save it from the spreadsheet as CSV (UTF-8)")
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text))
    try:
        header = [name.strip().casefold() for name in next(rows, [])]
        missing = [name for name in _REQUIRED if name not in header]
        if missing:
            raise ValueError(f"{path} lacks the columns {', '.join(missing)}; its first line has {', '.join(header)}")
        answers, empty, line = [], 0, rows.line_num + 1
        for cells in rows:
            found = dict(zip(header, (cell.strip() for cell in cells), strict=False))
            if not any(found.get(name) for name in ANSWERS if name != "reviewer"):
                empty += any(cells)
            else:
                answers.append(_given(line, found, reviewer))
            line = rows.line_num + 1
    except csv.Error as error:
        raise ValueError(f"{path} line {rows.line_num} is not valid CSV: {error}") from error
    return answers, empty


def _given(line: int, row: Mapping[str, str], reviewer: str) -> Given:
    return Given(
        place=line,
        candidate_id=row.get("candidate", "").removeprefix(_ID_PREFIX).casefold(),
        verdict=row.get("verdict", ""),
        category=row.get("category", ""),
        correction=_plain(row.get("edited_correction", "")),
        note=_plain(row.get("note", "")),
        reviewer=row.get("reviewer", "") or reviewer,
        at=None,
        raw=dict(row),
    )


def _text(text: str) -> str:
    """A cell that no spreadsheet runs as a formula (OWASP, "CSV injection")."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _plain(text: str) -> str:
    return text[1:] if text.startswith("'") and text[1:].startswith(_FORMULA) else text


def _decoded(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def _delimiter(text: str) -> str:
    """The sign that cuts the header into the most known columns."""
    header = text.split("\n", 1)[0]
    known = {sign: sum(cell.strip('" \r').casefold() in COLUMNS for cell in header.split(sign)) for sign in ",;\t"}
    return max(known, key=lambda sign: known[sign])
