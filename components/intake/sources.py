"""Where logs come from: one file, a folder, a glob or an object-store URI; plain, gzipped or zstandard."""

import fnmatch
import glob
import gzip
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow as pa
import pyarrow.fs as pafs

from flywheel.components.intake.errors import IntakeError
from flywheel.components.intake.object_store import WILD, LogAddress, open_problem
from flywheel.components.store.location import local_folder

SUFFIXES = (".jsonl", ".json", ".ndjson", ".log", ".csv", ".tsv", ".parquet", ".txt")
_PACKED = (".gz", ".gzip", ".zst", ".zstd")
_GZIP, _ZSTANDARD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"  # RFC 1952, RFC 8878


@dataclass(frozen=True)
class Source:
    """One file of logs; `label` names it in the store and holds no machine's path."""

    label: str
    path: str
    modified: datetime
    filesystem: pafs.FileSystem | None = None  # None: this machine's disk
    address: LogAddress | None = field(default=None, repr=False)  # of the object store; may hold secrets

    @property
    def suffix(self) -> str:
        """The file's ending without that of a compression, in lower case."""
        return Path(_unpacked(self.path)).suffix

    def open(self) -> BinaryIO:
        """Open for reading bytes, decompressed when the content is gzip or zstandard (whatever the name says).

        Raises:
            IntakeError: The file cannot be opened.
        """
        try:
            stream = self._raw()
            magic = stream.read(4)
            stream.seek(0)
        except (OSError, pa.ArrowException) as error:
            told = self.address.hidden_in(str(error)) if self.address else str(error)
            raise IntakeError(f"cannot read {self.path}: {told}") from (None if self.address else error)
        if magic.startswith(_GZIP):
            return cast(BinaryIO, gzip.GzipFile(fileobj=stream))
        if magic == _ZSTANDARD:
            return cast(BinaryIO, pa.CompressedInputStream(stream, "zstd"))
        return stream

    def _raw(self) -> BinaryIO:
        if self.filesystem is None:
            return Path(self.path).open("rb")
        return cast(BinaryIO, self.filesystem.open_input_file(self.path))


def resolve(logs: str) -> list[Source]:
    """List the files that `logs` names, sorted by label.

    Args:
        logs: Path of a file or folder (searched in depth, hidden files left out), a glob (`**` allowed), or a URI,
            which may end in a query of pyarrow's options (`?endpoint_override=...&scheme=http`).

    Raises:
        IntakeError: Nothing is there; the message says what was looked for.
    """
    if not logs.strip():
        raise IntakeError("no logs given; pass a file, a folder, a glob or an object-store URI as `logs`")
    if logs.startswith("file://"):
        logs = str(local_folder(logs))
    sources = sorted(_remote(logs) if "://" in logs else _local(logs), key=lambda source: source.label)
    if not sources:
        raise IntakeError(
            f"no log files in {shown(logs)}; looked for {', '.join(SUFFIXES)}, each also with .gz or .zst"
        )
    return sources


def shown(logs: str) -> str:
    """Return the name of logs for messages and records: a URI without its credentials and options."""
    return LogAddress.of(logs).shown() if "://" in logs else logs


def _unpacked(name: str) -> str:
    """Return a file's name in lower case, without the ending of a compression."""
    name = name.lower()
    return next((name.removesuffix(ending) for ending in _PACKED if name.endswith(ending)), name)


def _local(logs: str) -> Iterator[Source]:
    path = Path(logs)
    if path.is_file():
        yield _local_source(path, path.parent)
    elif path.is_dir():
        for member in path.rglob("*"):
            hidden = any(part.startswith(".") for part in member.relative_to(path).parts)
            if member.is_file() and not hidden and _unpacked(member.name).endswith(SUFFIXES):
                yield _local_source(member, path)
    elif any(sign in logs for sign in WILD):
        root = Path(logs[: min(logs.find(sign) for sign in WILD if sign in logs)])
        root = root if logs[: len(str(root)) + 1].endswith("/") else root.parent
        for name in glob.iglob(logs, recursive=True):
            if Path(name).is_file():
                yield _local_source(Path(name), root)
    else:
        raise IntakeError(f"the logs {logs} do not exist; check the path")


def _local_source(path: Path, root: Path) -> Source:
    modified = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    try:
        label = path.relative_to(root).as_posix()
    except ValueError:
        label = path.name
    return Source(label, str(path), modified)


def _remote(logs: str) -> Iterator[Source]:
    address = LogAddress.of(logs)
    try:
        filesystem, path = address.open()
        info = filesystem.get_file_info(path)
        found = [] if info.is_file else filesystem.get_file_info(pafs.FileSelector(path, recursive=True))
    except (OSError, pa.ArrowException) as error:
        raise open_problem(address, error) from None  # the error's own words may hold the URI's secrets
    if info.is_file:
        yield Source(info.base_name, path, info.mtime or datetime.now(UTC), filesystem, address)
        return
    wanted = path + address.pattern.replace("**/", "*") if address.pattern else ""
    for info in found:
        fits = fnmatch.fnmatch(info.path, wanted) if wanted else _unpacked(info.path).endswith(SUFFIXES)
        if info.is_file and fits:
            label = info.path.removeprefix(f"{path}/")
            yield Source(label, info.path, info.mtime or datetime.now(UTC), filesystem, address)
