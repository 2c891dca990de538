"""What a registry server must offer so that our registry can stand on it: append-only streams, and aliases to show.

Servers know no compare-and-set. But each numbers the versions of a model atomically, so a model is a log: an entry is a
version, its number its place. `log_registry` builds the rest on that.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Entry:
    """One entry of a stream.

    Attributes:
        number: Its place, unique and rising; given by the server.
        text: JSON document; "" for a version that somebody else made.
    """

    number: int
    text: str


@dataclass(frozen=True)
class Shown:
    """What the server shows of a model besides its versions.

    Attributes:
        aliases: Alias -> version, as people see and move them.
        projected: Number of the audit entry that our aliases were last written for.
    """

    aliases: Mapping[str, int]
    projected: int


class LogStore(Protocol):
    """Streams on a registry server; every call is one or a few requests, tried again while the server is away."""

    def append(self, stream: str, text: str, uri: str = "") -> int:
        """Add an entry, and the stream when it is missing.

        An entry may be added twice when an answer is lost; entries carry ids, and readers ignore a repeated one.

        Args:
            stream: Name of the model that is the stream.
            text: JSON document.
            uri: Where the model of this entry is; "" for entries that are no model.

        Returns:
            The entry's number.
        """
        ...

    def read(self, stream: str) -> list[Entry]:
        """Return all entries in the order of their numbers; none when there is no such stream."""
        ...

    def replace(self, stream: str, number: int, text: str) -> None:
        """Replace the text of an entry; only its own writer may do so."""
        ...

    def streams(self) -> list[str]:
        """Return the names of all streams."""
        ...

    def shown(self, stream: str) -> Shown:
        """Return what people see of a model; nothing when there is no such stream."""
        ...

    def show(self, stream: str, aliases: Mapping[str, int], projected: int) -> None:
        """Set the aliases that people see to exactly these (of ours), then note the audit entry they belong to."""
        ...
