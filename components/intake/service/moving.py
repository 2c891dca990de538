"""Move sealed segments into the store. Runs beside the server as a process of its own, so that requests never wait.

Everything may be killed and repeated: a segment is deleted after its rows are in the store, rows are keyed by content.
"""

import json
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

from flywheel.components.contracts.tables import TableName
from flywheel.components.intake import pseudonyms
from flywheel.components.intake.service import folders, halves, overdue, segment
from flywheel.components.intake.service.scribe import RUN_ID
from flywheel.components.store import delta_table
from flywheel.components.store.tables import ID_COLUMN, SCHEMAS, row_id

_TABLES: tuple[TableName, ...] = ("interactions", "feedback", "quarantine")
_BATCH_BYTES = 8 << 20  # of segments in one append
_NICE = 10  # answering senders comes first


@dataclass
class MoveReport:
    """What a sweep did and what is left, as a line of JSON for the server."""

    moved: Counter[str] = field(default_factory=Counter)
    quarantined: Counter[str] = field(default_factory=Counter)
    torn: int = 0  # half-written groups cut off, never acknowledged
    damaged: list[str] = field(default_factory=list)  # segments kept aside
    adopted: int = 0
    adopted_bytes: int = 0  # still in adopted folders
    adopted_oldest: float = 0.0  # seconds since 1970; 0: none
    waiting_bytes: int = 0  # halves of inferences
    error: str = ""


class Mover:
    """Moves the segments of a process's own folder and of orphaned ones."""

    def __init__(self, root: Path, own: Path, store: str, join_seconds: float) -> None:
        self._root = root
        self._own = own
        self._store = store
        self._join_seconds = join_seconds
        self._pseudonyms = pseudonyms.for_store(store)
        self._room = halves.WaitingRoom(root)
        self._adopted: dict[Path, folders.LockedFolder] = {}

    def sweep(self) -> MoveReport:
        """Move what is sealed, adopt what is orphaned, join what has met; an unreachable store is reported."""
        report = MoveReport()
        try:
            for folder in folders.orphans(self._root, {self._own, *self._adopted}):
                self._adopted[folder.path] = folder
                report.adopted += 1
            self._move(sorted(self._own.glob(f"*{segment.SEALED}")), report)
            for path, folder in list(self._adopted.items()):
                self._move(folder.segments(sealed=False), report)
                folder.release(remove=True)
                del self._adopted[path]
            self._join(report)
        except (OSError, ValueError) as error:  # StoreError is a ValueError
            report.error = f"{type(error).__name__}: {error}"
        left = [path for folder in self._adopted.values() for path in folder.segments(sealed=False)]
        report.adopted_bytes = sum(path.stat().st_size for path in left)
        report.adopted_oldest = min(map(segment.born, left), default=0.0)
        report.waiting_bytes = self._room.size()
        return report

    def _move(self, paths: list[Path], report: MoveReport) -> None:
        for batch in _batches(paths):
            rows: dict[TableName, list[dict[str, Any]]] = {table: [] for table in _TABLES}
            aside = []
            for path in batch:
                content = segment.read(path)
                report.torn += bool(content.torn_bytes)
                if content.damaged_bytes:
                    aside.append(path)
                    report.damaged.append(f"{path.name}: {content.damaged_bytes} bytes")
                waiting = []
                for entry in content.entries:
                    if "half" in entry:
                        waiting.append(entry["half"])
                    for table in _TABLES:
                        rows[table] += entry.get(table, [])
                self._room.put(f"{path.parent.name}-{path.stem}", waiting)
            self._append(rows, f"serve-{batch[0].parent.name}-{batch[0].stem}", report)
            for path in batch:
                if path in aside:
                    path.rename(path.with_suffix(".damaged"))
                else:
                    path.unlink(missing_ok=True)

    def _append(self, rows: dict[TableName, list[dict[str, Any]]], batch: str, report: MoveReport) -> None:
        rows["interactions"], conflicts = self._without_conflicts(rows["interactions"])
        rows["quarantine"] = rows["quarantine"] + conflicts
        for table, wanted in rows.items():
            if not wanted:
                continue
            for row in wanted:
                if isinstance(row.get("timestamp"), str):
                    row["timestamp"] = datetime.fromisoformat(row["timestamp"])
            done = delta_table.append(self._store, table, pa.Table.from_pylist(wanted, schema=SCHEMAS[table]), batch)
            report.moved[table] += done.inserted
        report.quarantined.update(row["reason"] for row in conflicts)

    def _without_conflicts(self, rows: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Split off interactions whose id is taken by other content."""
        if not rows:
            return [], []
        found = delta_table.lookup(
            delta_table.latest(self._store, "interactions"),
            sorted({row[ID_COLUMN["interactions"]] for row in rows}),
            ["interaction_id", "attributes"],
        )
        there = {row["interaction_id"]: _content(row) for row in found.to_pylist()}
        good, conflicts = [], []
        for row in rows:
            content = _content(row)
            if there.setdefault(row["interaction_id"], content) == content:
                good.append(row)
            else:
                conflicts.append(_conflict(row, content))
        return good, conflicts

    def _join(self, report: MoveReport) -> None:
        with self._room.locked() as mine:
            for files in self._room.portions() if mine else ():
                joined = halves.join(self._room.load(files), self._pseudonyms, self._join_seconds)
                overdue.settle(self._store, joined.overdue, self._pseudonyms, self._join_seconds, joined)
                rows: dict[TableName, list[dict[str, Any]]] = {
                    "interactions": joined.interactions,
                    "feedback": joined.feedback,
                    "quarantine": joined.quarantine,
                }
                report.quarantined.update(row["reason"] for row in joined.quarantine)
                name = row_id(*(row["interaction_id"] for row in joined.interactions))
                self._append(rows, f"serve-join-{name}", report)
                self._room.replace(files, joined.waiting)


def _batches(paths: list[Path]) -> Iterator[list[Path]]:
    batch: list[Path] = []
    size = 0
    for path in paths:
        batch.append(path)
        size += path.stat().st_size
        if size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _content(row: dict[str, Any]) -> str:
    return str(orjson.loads(row["attributes"]).get("intake", {}).get("content", ""))


def _conflict(row: dict[str, Any], content: str) -> dict[str, Any]:
    return {
        "quarantine_id": row_id("conflict", row["interaction_id"], content),
        "run_id": RUN_ID,
        "source": orjson.loads(row["attributes"])["intake"]["file"],
        "line": 0,
        "reason": "conflicting_duplicate",
        "detail": f"interaction {row['interaction_id']} is there with other content; the first one stays",
        "row": orjson.dumps(row, default=str).decode(),
    }


def main(arguments: list[str]) -> int:
    """Serve the server: a line `sweep` is answered with a report, `stop` ends; without its server the process ends.

    Args:
        arguments: Segments' root, own folder, store, seconds that halves wait.
    """
    root, own, store, join_seconds = arguments
    os.nice(_NICE)
    mover = Mover(Path(root), Path(own), store, float(join_seconds))
    orders = _orders()
    for order in orders:
        if order == "stop":
            return 0
        started = time.monotonic()
        report = mover.sweep()
        print(json.dumps(vars(report) | {"seconds": time.monotonic() - started}), flush=True)
    return 0


def _orders() -> Iterator[str]:
    """Yield orders; the end of input means that the server was killed and its folder is another's: stop."""
    from queue import Queue

    queue: Queue[str] = Queue()

    def listen() -> None:
        for line in sys.stdin:
            queue.put(line.strip())
        os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    while True:
        yield queue.get()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
