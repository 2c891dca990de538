"""The identity of a set of rows: a digest of their content, not of the bytes of the file that holds them."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import orjson


def rows_digest(rows: Iterable[Mapping[str, Any]]) -> str:
    """Digest rows in their order.

    Arrow files hold versions and padding, so equal rows can be unequal files; the canonical JSON of a row (keys
    sorted, no spaces, UTF-8) is the same everywhere.

    Args:
        rows: JSON-compatible mappings.

    Returns:
        SHA-256 in hex over the lines.
    """
    total = hashlib.sha256()
    for row in rows:
        total.update(orjson.dumps(dict(row), option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE))
    return total.hexdigest()
