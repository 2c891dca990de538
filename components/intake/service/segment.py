"""Append-only files of acknowledged entries: whole groups, each with its length and checksum.

A frame is `FWS1`, the length of the payload and its CRC-32 (little-endian 32 bits each), and the payload: JSON lines.
A group is acknowledged after its frame was fsynced, so a frame that is cut off was never acknowledged.
"""

import contextlib
import os
import struct
import time
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

MAGIC = b"FWS1"
OPEN, SEALED = ".open", ".seg"
_HEAD = struct.Struct("<4sII")


@dataclass(frozen=True)
class SegmentContent:
    """What a segment holds; `torn_bytes` at its end were never acknowledged, `damaged_bytes` inside may have been."""

    entries: list[dict[str, Any]] = field(default_factory=list)
    torn_bytes: int = 0
    damaged_bytes: int = 0


class SegmentWriter:
    """Writes groups into the newest segment of a folder; one thread at a time."""

    def __init__(self, folder: Path, segment_bytes: int) -> None:
        self._folder = folder
        self._largest = segment_bytes
        self._number = 0
        self._path: Path | None = None
        self._handle = -1
        self._size = 0

    def append(self, entries: list[bytes]) -> None:
        """Make a group durable; when this returns it is on disk.

        Args:
            entries: JSON texts without line breaks.

        Raises:
            OSError: It is not; nothing of the group will be read later.
        """
        payload = b"\n".join(entries)
        frame = _HEAD.pack(MAGIC, len(payload), zlib.crc32(payload)) + payload
        if self._handle < 0:
            self._open()
        try:
            view = memoryview(frame)
            while view:
                view = view[os.write(self._handle, view) :]
            os.fdatasync(self._handle)
        except OSError:
            # What reached the disk after a failed fsync is unknown: cut it off, and go on in another file.
            with contextlib.suppress(OSError):
                os.ftruncate(self._handle, self._size)
                os.fsync(self._handle)
            self.seal()
            raise
        self._size += len(frame)
        if self._size >= self._largest:
            self.seal()

    def seal(self) -> Path | None:
        """Close the open segment, so that it may be moved; returns it, or None when there is none."""
        if self._handle < 0 or self._path is None:
            return None
        os.close(self._handle)
        self._handle = -1
        if self._size == 0:
            self._path.unlink(missing_ok=True)
            return None
        return seal(self._path)

    def _open(self) -> None:
        # The name tells when the first entry came, and sorts.
        self._number += 1
        self._path = self._folder / f"{time.time_ns() // 1_000_000:015d}-{self._number:06d}{OPEN}"
        self._handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        self._size = 0
        sync_folder(self._folder)


def seal(path: Path) -> Path:
    """Rename an open segment to a sealed one."""
    sealed = path.with_suffix(SEALED)
    path.rename(sealed)
    return sealed


def sync_folder(folder: Path) -> None:
    """Make names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def born(path: Path) -> float:
    """Return when a segment's first entry came, seconds since 1970."""
    return int(path.name.split("-")[0]) / 1000


def read(path: Path) -> SegmentContent:
    """Read a segment; a cut off or damaged frame is skipped and counted, never returned.

    Raises:
        OSError: The file cannot be read.
    """
    data = path.read_bytes()
    entries: list[dict[str, Any]] = []
    torn = damaged = at = 0
    while at < len(data):
        payload = _payload(data, at)
        if payload is not None:
            entries += [orjson.loads(line) for line in payload.split(b"\n")]
            at += _HEAD.size + len(payload)
            continue
        following = data.find(MAGIC, at + 1)
        while following >= 0 and _payload(data, following) is None:
            following = data.find(MAGIC, following + 1)
        if following < 0:
            torn = len(data) - at
            break
        damaged += following - at
        at = following
    return SegmentContent(entries, torn, damaged)


def _payload(data: bytes, at: int) -> bytes | None:
    """Return the payload of a whole frame at an offset, or None."""
    if len(data) - at < _HEAD.size:
        return None
    magic, length, checksum = _HEAD.unpack_from(data, at)
    payload = data[at + _HEAD.size : at + _HEAD.size + length]
    return payload if magic == MAGIC and len(payload) == length and zlib.crc32(payload) == checksum else None
