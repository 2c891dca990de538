"""A digest of the content of a training row: equal rows, whatever their provenance, have equal digests."""

import hashlib
from typing import Any

import orjson


def row_digest(*values: Any) -> str:
    """Digest JSON values.

    Args:
        values: Columns that make a row what it is, in a fixed order.

    Returns:
        32 lower-case hex digits of BLAKE2b over the values' canonical JSON.
    """
    text = orjson.dumps(values, option=orjson.OPT_SORT_KEYS, default=str)
    return hashlib.blake2b(text, digest_size=16).hexdigest()
