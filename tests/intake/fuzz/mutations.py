"""Mutations of good rows: what exporters, proxies and attackers make of JSON, in the structure and in the bytes."""

import json
import random
from typing import Any

ODD = (
    None, True, False, 0, -1, 1, 17, 2**53, 2**63, -(2**70), 0.5, 1e308, float("nan"), float("inf"), float("-inf"), "",
    " ", "\x00", "\ud800", "\u202e", "NaN", "1763629200000000000", "2026-11-20T09:00:00Z", "0001-01-01", "9999-12-31",
    "[", "{", "{}", "[]", '{"a": [', '["x"]', '{"role": "user", "content": "q"}', "assistant", "x" * 300, [], {}, [None],
    [[]], [{}], {"role": "user"}, {"": ""}, {"text": 1}, [1, "a", None, {"type": "text"}], {"attributes": []},
    {"stringValue": 5}, {"intValue": "x"}, {"kvlistValue": {"values": 3}}, {"arrayValue": []}, 1e-320, "1e999", "👎",
)  # fmt: skip
NAMES = (
    "role", "content", "parts", "type", "text", "messages", "input", "output", "value", "name", "id", "timestamp",
    "attributes", "events", "status", "data", "tags", "scores", "observations", "metadata", "signals", "consent",
    "span_id", "trace_id", "choices", "request", "response", "kwargs", "args", "context", "resource", "annotator",
)  # fmt: skip


def mutated(value: Any, rng: random.Random) -> Any:
    """Return a JSON value with one to four places changed: dropped, doubled, renamed, replaced, nested."""
    for _ in range(rng.randint(1, 4)):
        value = _once(value, rng)
    return value


def line(row: Any, rng: random.Random) -> bytes:
    """Return a row as a line of bytes: mutated in structure, and one in five in its bytes as well."""
    data = json.dumps(mutated(row, rng), ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass")
    if rng.random() < 0.2 and data:
        at = rng.randrange(len(data))
        data = rng.choice(
            (
                data[:at],
                data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :],
                data[:at] + rng.choice((b"\x00", b"\xff\xfe", b'"', b"}", b"\\u", b"[[[[", b"\r")) + data[at:],
                data[at:] + data[:at],
                data.decode("utf-8", "replace").encode("utf-16"),
            )
        )
    return data.replace(b"\n", b" ")


def _once(value: Any, rng: random.Random) -> Any:
    places = [path for path in _places(value, ()) if path]
    if not places or rng.random() < 0.02:
        return _leaf(value, rng)
    return _changed(value, rng.choice(places), rng)


def _places(value: Any, path: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    found = [path]
    if isinstance(value, dict):
        for name, item in value.items():
            found += _places(item, (*path, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            found += _places(item, (*path, index))
    return found


def _changed(value: Any, path: tuple[Any, ...], rng: random.Random) -> Any:
    head, rest = path[0], path[1:]
    if rest:
        copy = dict(value) if isinstance(value, dict) else list(value)
        copy[head] = _changed(value[head], rest, rng)
        return copy
    kind = rng.randrange(6)
    if isinstance(value, dict):
        copy = dict(value)
        item = copy.pop(head)
        if kind == 0:
            return copy
        if kind == 1:
            return copy | {rng.choice(NAMES): item}
        if kind == 2:
            return copy | {head: item, rng.choice(NAMES): rng.choice(ODD)}
        return copy | {head: _leaf(item, rng)}
    copy = list(value)
    if kind == 0:
        del copy[head]
    elif kind == 1:
        copy.insert(head, copy[head])
    else:
        copy[head] = _leaf(copy[head], rng)
    return copy


def _leaf(item: Any, rng: random.Random) -> Any:
    kind = rng.randrange(6)
    if kind == 0:
        return [item]
    if kind == 1:
        return {rng.choice(NAMES): item}
    if kind == 2 and isinstance(item, dict | list):
        return json.dumps(item)  # JSON in text
    if kind == 3 and isinstance(item, str) and item:
        at = rng.randrange(len(item))
        return item[:at] + rng.choice(("\x00", "\ud83d", "é", '"', "\\", " ")) + item[at:]
    return rng.choice(ODD)
