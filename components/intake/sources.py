"""Where logs come from: one file, a folder, a glob or an object-store URI; plain, gzipped or zstandard."""

import fnmatch
import glob
import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow as pa
import pyarrow.fs as pafs

from flywheel.components.intake.errors import IntakeError
from flywheel.components.store.location import local_folder, storage_options

SUFFIXES = (".jsonl", ".json", ".ndjson", ".log", ".csv", ".tsv", ".parquet", ".txt")
_PACKED = (".gz", ".gzip", ".zst", ".zstd")
_GZIP, _ZSTANDARD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"  # RFC 1952, RFC 8878
_WILD = "*?["


@dataclass(frozen=True)
class Source:
    """One file of logs; `label` names it in the store and holds no machine's path."""

    label: str
    path: str
    modified: datetime
    filesystem: pafs.FileSystem | None = None  # None: this machine's disk

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
            raise IntakeError(f"cannot read {self.path}: {error}") from error
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
        logs: Path of a file or folder (searched in depth, hidden files left out), a glob (`**` allowed), or a URI.

    Raises:
        IntakeError: Nothing is there; the message says what was looked for.
    """
    if not logs.strip():
        raise IntakeError("no logs given; pass a file, a folder, a glob or an object-store URI as `logs`")
    if logs.startswith("file://"):
        logs = str(local_folder(logs))
    sources = sorted(_remote(logs) if "://" in logs else _local(logs), key=lambda source: source.label)
    if not sources:
        raise IntakeError(f"no log files in {logs}; looked for {', '.join(SUFFIXES)}, each also with .gz or .zst")
    return sources


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
    elif any(sign in logs for sign in _WILD):
        root = Path(logs[: min(logs.find(sign) for sign in _WILD if sign in logs)])
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


def _filesystem(uri: str) -> tuple[pafs.FileSystem, str]:
    """Open the object store of a URI, with the options that the feedback store's is opened with, too.

    Credentials come from the object store's own variables (AWS_*, GOOGLE_*, AZURE_*); FLYWHEEL_STORAGE_OPTIONS adds
    what they cannot say, as the endpoint of an S3-compatible store.
    """
    options = {name.lower(): value for name, value in (storage_options() or {}).items()}
    if not uri.startswith("s3://") or not options:
        return cast(tuple[pafs.FileSystem, str], pafs.FileSystem.from_uri(uri))
    endpoint = options.get("aws_endpoint_url", options.get("aws_endpoint", ""))
    scheme, _, host = endpoint.rpartition("://")
    given = {
        "access_key": options.get("aws_access_key_id"),
        "secret_key": options.get("aws_secret_access_key"),
        "session_token": options.get("aws_session_token"),
        "region": options.get("aws_region", options.get("aws_default_region")),
        "endpoint_override": host or None,
        "scheme": scheme or None,
    }
    return pafs.S3FileSystem(**{name: value for name, value in given.items() if value}), uri.removeprefix("s3://")


def _remote(logs: str) -> Iterator[Source]:
    wild = next((index for index, sign in enumerate(logs) if sign in _WILD), None)
    base = logs if wild is None else logs[: logs.rfind("/", 0, wild)]
    try:
        filesystem, path = _filesystem(base)
        info = filesystem.get_file_info(path)
        if info.is_file:
            yield Source(info.base_name, path, info.mtime or datetime.now(UTC), filesystem)
            return
        found = filesystem.get_file_info(pafs.FileSelector(path, recursive=True))
    except (OSError, pa.ArrowException) as error:
        raise IntakeError(f"cannot list the logs {logs}: {error}") from error
    wanted = None if wild is None else path + logs[len(base) :].replace("**/", "*")
    for info in found:
        fits = fnmatch.fnmatch(info.path, wanted) if wanted else _unpacked(info.path).endswith(SUFFIXES)
        if info.is_file and fits:
            yield Source(info.path.removeprefix(f"{path}/"), info.path, info.mtime or datetime.now(UTC), filesystem)
