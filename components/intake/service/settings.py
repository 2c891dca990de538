"""What the service is told: options of the command, secrets and issuers from the environment."""

import ipaddress
import os
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from flywheel.components.intake.errors import IntakeError

KEYS_VARIABLE = "FLYWHEEL_INTAKE_KEYS_FILE"
ISSUER_VARIABLE = "FLYWHEEL_INTAKE_OIDC_ISSUER"
AUDIENCE_VARIABLE = "FLYWHEEL_INTAKE_OIDC_AUDIENCE"


@dataclass(frozen=True)
class Limits:
    """What the service takes on at most; beyond it refuses instead of growing."""

    body_bytes: int = 1 << 20  # of one request
    batch_items: int = 1000  # of one request
    queue_events: int = 4096  # read and not durable yet
    queue_bytes: int = 16 << 20  # bodies being read or waiting, bytes
    unmoved_bytes: int = 1 << 30  # in this process's segments, not in the store yet
    segment_bytes: int = 16 << 20  # a segment is closed when it has grown to this
    rate: float = 0.0  # events per second of a sender without a rate of its own; 0: no limit


@dataclass(frozen=True)
class Settings:
    """How one process of the service runs."""

    segments: Path
    store: str
    host: str = "127.0.0.1"
    port: int = 8080
    keys_file: str = ""
    issuer: str = ""
    audience: str = ""
    no_auth: bool = False
    limits: Limits = field(default_factory=Limits)
    move_seconds: float = 15.0  # between two moves into the store
    join_seconds: float = 3600.0  # for which one half of an inference waits for the other
    stop_seconds: float = 45.0  # for the last move after SIGTERM

    @classmethod
    def from_environment(
        cls, segments: str, store: str, host: str, port: int, *, no_auth: bool, **more: object
    ) -> "Settings":
        """Join the command's options with the environment, and check them.

        Raises:
            IntakeError: Nothing says who may send, or `no_auth` on an address that others can reach.
        """
        if not store.strip():
            raise IntakeError("no feedback store given; pass --store with a folder or an object-store URI")
        keys_file, issuer, audience = (
            os.environ.get(name, "").strip() for name in (KEYS_VARIABLE, ISSUER_VARIABLE, AUDIENCE_VARIABLE)
        )
        if no_auth and (keys_file or issuer):
            raise IntakeError(f"--insecure-no-auth contradicts {KEYS_VARIABLE} or {ISSUER_VARIABLE}; leave one out")
        if no_auth and not _loopback(host):
            raise IntakeError(f"--insecure-no-auth works on loopback only, not on {host}; use --host 127.0.0.1 or keys")
        if not (no_auth or keys_file or issuer):
            raise IntakeError(
                f"nobody could be let in: set {KEYS_VARIABLE} (JSON: key id -> SHA-256 of the key) or "
                f"{ISSUER_VARIABLE} and its audience; for a trial on this machine pass --insecure-no-auth"
            )
        if issuer and not audience:
            raise IntakeError(f"{ISSUER_VARIABLE} is set and {AUDIENCE_VARIABLE} is not; tokens need an audience")
        where = urlsplit(issuer)
        if issuer and not (where.scheme == "https" or (where.scheme == "http" and _loopback(where.hostname or ""))):
            raise IntakeError(f"{ISSUER_VARIABLE}: the issuer must be an https:// address, got {issuer}")
        return cls(
            Path(segments), store, host, port, keys_file, issuer, audience, no_auth, **more  # type: ignore[arg-type]
        )  # fmt: skip


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
