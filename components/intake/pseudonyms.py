"""Keyed pseudonyms: the same person is the same `subject` in every run, and nobody without the key can tell who."""

import base64
import binascii
import hashlib
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from flywheel.components.intake.errors import IntakeError
from flywheel.components.store.location import local_folder

KEY_VARIABLE = "FLYWHEEL_PSEUDONYM_KEY"
KEY_FILE = ".pseudonym.key"
_MIN_BYTES = 16


class Pseudonymizer:
    """Keyed BLAKE2b (RFC 7693) over whatever must not be readable in the store."""

    def __init__(self, key: bytes) -> None:
        if len(key) < _MIN_BYTES:
            raise IntakeError(f"the pseudonym key has {len(key)} bytes; it needs at least {_MIN_BYTES}")
        self._key = hashlib.blake2b(key, digest_size=32).digest()

    def of(self, purpose: str, value: str | bytes) -> str:
        """Return 32 hex digits for a value; the same value under another purpose gives an unrelated pseudonym.

        Args:
            purpose: At most 16 ASCII characters, as "subject" or "interaction".
            value: What to hide; lone surrogates are allowed.
        """
        data = value if isinstance(value, bytes) else value.encode("utf-8", "surrogatepass")
        return hashlib.blake2b(data, digest_size=16, key=self._key, person=purpose.encode()).hexdigest()


_thrown_away: ContextVar[Pseudonymizer | None] = ContextVar("thrown_away", default=None)


@contextmanager
def throw_away_key(seed: str) -> Iterator[None]:
    """Let `for_store` give a key that is no secret: for stores that are deleted right away."""
    token = _thrown_away.set(Pseudonymizer(hashlib.blake2b(seed.encode()).digest()))
    try:
        yield
    finally:
        _thrown_away.reset(token)


def for_store(store: str) -> Pseudonymizer:
    """Open the key for a store: FLYWHEEL_PSEUDONYM_KEY, or a random key file beside a local store.

    The file (`.pseudonym.key`, mode 0600) is made on first use, so that later runs give the same pseudonyms. A store
    in an object store gets no such file: whoever may read the data could read the key too.

    Raises:
        IntakeError: The variable or the file holds no usable key, or the store is remote and there is no variable.
    """
    given = _thrown_away.get()
    if given is not None:
        return given
    text = os.environ.get(KEY_VARIABLE, "").strip()
    if text:
        return Pseudonymizer(parse_key(text, KEY_VARIABLE))
    folder = local_folder(store)
    if folder is None:
        raise IntakeError(
            f"the store {store} is remote and {KEY_VARIABLE} is not set; set it to a secret of at least {_MIN_BYTES} "
            'random bytes in hex, the same for every run: python -c "import secrets; print(secrets.token_hex(32))"'
        )
    path = folder / KEY_FILE
    try:
        if not path.exists():
            _create(path)
        return Pseudonymizer(parse_key(path.read_text(encoding="ascii").strip(), str(path)))
    except (OSError, UnicodeDecodeError) as error:
        raise IntakeError(f"cannot use the pseudonym key file {path}: {error}; or set {KEY_VARIABLE}") from error


def parse_key(text: str, origin: str) -> bytes:
    """Read a key written as hex, as base64 or as plain characters; at least 16 bytes.

    Raises:
        IntakeError: The key is too short; the message names `origin` and never the key.
    """
    candidates = []
    if len(text) % 2 == 0:
        try:
            candidates.append(bytes.fromhex(text))
        except ValueError:
            candidates.append(b"")
    try:
        candidates.append(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        candidates.append(b"")
    candidates.append(text.encode())
    for candidate in candidates:
        if len(candidate) >= _MIN_BYTES:
            return candidate
    raise IntakeError(f"{origin} holds a key of fewer than {_MIN_BYTES} bytes; use secrets.token_hex(32)")


def _create(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f"{KEY_FILE}.")  # mode 0600
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, path)  # fails when another process was first: its key counts
        except FileExistsError:
            return
    finally:
        Path(temporary).unlink(missing_ok=True)
