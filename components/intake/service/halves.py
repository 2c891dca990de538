"""The waiting room of inferences: halves whose other half has not come yet, of all pods under one segments' root.

A file per moved segment, and one that collects what is left after each join. Whoever holds the room's lock joins;
everything here may be repeated, because a joined interaction's id is in the store once.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from flywheel.components.intake.pseudonyms import Pseudonymizer
from flywheel.components.intake.service import half
from flywheel.components.intake.service.folders import lock_file, size_of
from flywheel.components.intake.service.scribe import RUN_ID
from flywheel.components.intake.service.segment import sync_folder
from flywheel.components.store.tables import row_id

_FOLDER = ".halves"
_LEFT = "waiting.jsonl"
_PORTION_BYTES = 16 << 20  # of new files in one join
_WAITING_BYTES = 32 << 20  # beyond it those that wait longest are overdue at once; they can still be joined


@dataclass
class Joined:
    """Rows that came out of a join, halves that stay, and halves that stayed too long."""

    interactions: list[dict[str, Any]] = field(default_factory=list)
    feedback: list[dict[str, Any]] = field(default_factory=list)
    quarantine: list[dict[str, Any]] = field(default_factory=list)
    waiting: list[dict[str, Any]] = field(default_factory=list)
    overdue: list[dict[str, Any]] = field(default_factory=list)


class WaitingRoom:
    """Halves on disk."""

    def __init__(self, root: Path) -> None:
        self._folder = root / _FOLDER
        self._folder.mkdir(exist_ok=True)

    def put(self, name: str, halves: Iterable[dict[str, Any]]) -> None:
        """Make halves durable under a name that is the segment's; a repeated put replaces the file."""
        lines = [orjson.dumps(one) for one in halves]
        if lines:
            self._write(f"{name}.jsonl", lines)

    @contextmanager
    def locked(self) -> Iterator[bool]:
        """Yield whether this process may join now."""
        handle = lock_file(self._folder / "lock")
        try:
            yield handle is not None
        finally:
            if handle is not None:
                os.close(handle)

    def files(self) -> list[Path]:
        """List the files with halves; first the one that collects what is left."""
        return sorted(self._folder.glob("*.jsonl"), key=lambda path: (path.name != _LEFT, path.name))

    def portions(self) -> Iterator[list[Path]]:
        """Yield files to be joined together, in bounded memory: what is left of earlier joins, and some new ones."""
        left = self._folder / _LEFT
        portion: list[Path] = []
        size = 0
        for path in self.files():
            if path == left:
                continue
            portion.append(path)
            size += size_of(path)
            if size >= _PORTION_BYTES:
                yield [left, *portion]
                portion, size = [], 0
        if portion or left.exists():
            yield [left, *portion]

    def load(self, files: Iterable[Path]) -> list[dict[str, Any]]:
        """Read halves."""
        return [orjson.loads(line) for path in files if path.exists() for line in path.read_bytes().splitlines()]

    def replace(self, files: Iterable[Path], waiting: list[dict[str, Any]]) -> None:
        """Put what still waits in place of the files that it came from."""
        kept = self._folder / _LEFT
        if waiting:
            self._write(kept.name, [orjson.dumps(one) for one in waiting])
        elif kept.exists():
            kept.unlink()
        for path in files:
            if path != kept:
                path.unlink(missing_ok=True)

    def size(self) -> int:
        """Bytes that wait."""
        return sum(size_of(path) for path in self.files())

    def _write(self, name: str, lines: list[bytes]) -> None:
        path = self._folder / name
        temporary = path.with_suffix(".tmp")
        with temporary.open("wb") as file:
            file.write(b"\n".join(lines) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
        sync_folder(self._folder)


def join(
    halves: list[dict[str, Any]],
    pseudonyms: Pseudonymizer,
    longest_wait: float,
    now: datetime | None = None,
    most_bytes: int = _WAITING_BYTES,
) -> Joined:
    """Pair requests with responses.

    Args:
        halves: In any order; a half that came twice counts once, one with other content is quarantined.
        pseudonyms: The store's keyed hash.
        longest_wait: Seconds after which a lonely half is overdue.
        now: None for the clock.
        most_bytes: Bytes of halves that may wait; of more, the oldest are overdue.
    """
    moment = now or datetime.now(UTC)
    result = Joined()
    pairs: dict[str, dict[str, dict[str, Any]]] = {}
    for one in sorted(halves, key=lambda one: (one["received"], one["digest"])):
        first = pairs.setdefault(one["id"], {}).setdefault(one["half"], one)
        if first["digest"] != one["digest"]:
            words = f"the {one['half']} of inference {one['id']} came with other content before; the first one stays"
            result.quarantine.append(quarantined(one, "conflicting_duplicate", words))
    for identity, pair in pairs.items():
        if len(pair) == 2:
            try:
                asked, said = half.interactions(pair["request"], pair["response"], RUN_ID, pseudonyms)
            except ValueError as error:
                result.quarantine += [
                    quarantined(one, "halves_differ", f"inference {identity}: {error}") for one in pair.values()
                ]
                continue
            result.interactions += asked
            result.feedback += said
            continue
        (one,) = pair.values()
        waited = (moment - datetime.fromisoformat(one["received"])).total_seconds()
        (result.waiting if waited <= longest_wait else result.overdue).append(one)
    _bound(result, most_bytes)
    return result


def _bound(result: Joined, most_bytes: int) -> None:
    room, kept = most_bytes, 0
    result.waiting.sort(key=lambda one: (one["received"], one["id"]), reverse=True)
    for one in result.waiting:
        room -= len(orjson.dumps(one))
        if room < 0:
            break
        kept += 1
    result.overdue += result.waiting[kept:]
    del result.waiting[kept:]


def quarantined(one: dict[str, Any], reason: str, detail: str) -> dict[str, Any]:
    """Make the quarantine row of a (scrubbed) half."""
    return {
        "quarantine_id": row_id("half", one["id"], one["half"], one["digest"]),
        "run_id": RUN_ID,
        "source": one["label"],
        "line": 0,
        "reason": reason,
        "detail": detail,
        "row": orjson.dumps({"half": one}).decode(),
    }
