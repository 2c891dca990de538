"""Later steps add to a scores file: more lines (the attack), or more about the lines there are (a judge).

The result is a new whole file. What was wrong with the old one stays wrong in the new one: a step that adds lines can
not make up for lines that were lost before it.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import orjson
from pydantic import ValidationError

from flywheel.components.evaluation.items import ids_digest
from flywheel.components.evaluation.scores.score_lines import ScoreLine, ScoresHeader, read_header

Settings = Mapping[str, float | int | str]


def extend(path_in: str | Path, path_out: str | Path, new_lines: Iterable[ScoreLine], settings: Settings) -> int:
    """Write a scores file that holds the old lines, byte by byte, and new ones.

    The header's `items` and `items_digest` then cover both. If lines of the old file are missing or unreadable, the
    new digest covers what was promised and not what is there, so that the verdict still sees `dropped_items` or
    `other_items`.

    Args:
        path_in: Scores file; it is not changed.
        path_out: Where the whole file goes; may be `path_in`.
        new_lines: Lines to add; an item that could not be scored is a line with `error`, not a line left out.
        settings: Added to the header's settings, for example the budget of the attack.

    Returns:
        Lines added.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It has no header, a setting is there already with another value, or a new line's id is used twice.
    """
    header, old = _open(path_in)
    added = list(new_lines)
    known = [name for name in map(_id_of, old) if name is not None]
    ids = [line.item_id for line in added]
    seen = set(known)
    for name in ids:
        if name in seen:
            raise ValueError(f"{path_in}: item {name!r} is scored already; an item counts once")
        seen.add(name)
    whole = len(known) == header.items and ids_digest(known) == header.items_digest
    digest = ids_digest([*known, *ids]) if whole else _still_broken(header.items_digest, ids)
    changed = header.model_copy(
        update={
            "items": header.items + len(ids),
            "items_digest": digest if ids else header.items_digest,
            "settings": _settings(path_in, header, settings),
        }
    )
    _write(path_out, changed, [*old, *(line.model_dump_json(exclude_defaults=True).encode() for line in added)])
    return len(added)


def annotate(
    path_in: str | Path, path_out: str | Path, change: Callable[[ScoreLine], ScoreLine], settings: Settings
) -> int:
    """Write a scores file whose lines are the old ones with more in them, for example a judge's scores.

    Args:
        path_in: Scores file; it is not changed.
        path_out: Where the whole file goes; may be `path_in`.
        change: Returns the line to write; called once per readable line in order. Id, suite and cluster must stay.
        settings: Added to the header's settings.

    Returns:
        Lines that changed.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It has no header, a setting is there already with another value, or `change` made another item.
    """
    header, old = _open(path_in)
    written: list[bytes] = []
    changes = 0
    for text in old:
        try:
            line = ScoreLine.model_validate(orjson.loads(text))
        except (ValidationError, orjson.JSONDecodeError):
            written.append(text)  # the reader reports it with its line number
            continue
        now = change(line)
        if (now.item_id, now.suite, now.cluster) != (line.item_id, line.suite, line.cluster):
            raise ValueError(f"{path_in}: item {line.item_id!r} became {now.item_id!r}; only its scores may change")
        changes += now != line
        written.append(text if now == line else now.model_dump_json(exclude_defaults=True).encode())
    _write(path_out, header.model_copy(update={"settings": _settings(path_in, header, settings)}), written)
    return changes


def _open(path: str | Path) -> tuple[ScoresHeader, list[bytes]]:
    header = read_header(path)
    return header, [line for line in Path(path).read_bytes().split(b"\n")[1:] if line.strip()]


def _id_of(text: bytes) -> str | None:
    try:
        line = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    name = line.get("item_id") if isinstance(line, dict) else None
    return name if isinstance(name, str) else None


def _still_broken(promised: str, ids: list[str]) -> str:
    return hashlib.sha256(f"{promised} {ids_digest(ids)}".encode()).hexdigest()


def _settings(path: str | Path, header: ScoresHeader, added: Settings) -> dict[str, float | int | str]:
    changed = [name for name, value in added.items() if header.settings.get(name, value) != value]
    if changed:
        raise ValueError(f"{path}: the scores were made with another {changed[0]}: {header.settings[changed[0]]!r}")
    return {**header.settings, **added}


def _write(path: str | Path, header: ScoresHeader, lines: list[bytes]) -> None:
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    with temporary.open("wb") as file:
        file.write(header.model_dump_json(by_alias=True).encode() + b"\n")
        file.writelines(line + b"\n" for line in lines)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(target)
