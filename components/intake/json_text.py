"""Strict and lenient JSON: with the NaN and Infinity that Python writes, without nesting that only attackers need."""

import json
from typing import Any

import orjson

MAX_DEPTH = 64  # nesting of JSON values


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


def text_of(value: Any) -> str:
    """Return a text as it is, and anything else as JSON."""
    if isinstance(value, str):
        return value
    try:
        return orjson.dumps(value, default=str).decode()
    except TypeError:
        return _odd_text(value)


def _odd_text(value: Any) -> str:
    try:
        return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()  # takes twice the time
    except TypeError:  # lone surrogates, integers of more than 64 bits
        return json.dumps(value, default=str, ensure_ascii=False)
