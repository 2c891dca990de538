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
from functools import lru_cache, partial
from pathlib import Path

from flywheel.components.intake.errors import IntakeError
from flywheel.components.store.location import local_folder

KEY_VARIABLE = "FLYWHEEL_PSEUDONYM_KEY"
KEY_FILE = ".pseudonym.key"
SUBJECT = "subject"  # the purpose of pseudonyms of people
_MIN_BYTES = 16
_REMEMBERED = 1 << 16  # people whose pseudonym is kept in memory, 150 bytes each


class Pseudonymizer:
    """Keyed BLAKE2b (RFC 7693) over whatever must not be readable in the store.

    With several keys a subject's pseudonym is a chain: the first key hashes the person, each later key hashes the
    pseudonym before. So a pseudonym written under an older key becomes the newest one without knowing who it is
    (`newest`), and who holds only the older key cannot compute the newest. Ids of rows are no people: they keep the
    first key for ever, so that rows that were written before a rotation are recognised after it.

    Args:
        keys: Secrets of at least 16 bytes, the oldest first; the last one is in use.

    Raises:
        IntakeError: A key is too short, or stands twice.
    """

    def __init__(self, *keys: bytes) -> None:
        for number, key in enumerate(keys, start=1):
            if len(key) < _MIN_BYTES:
                raise IntakeError(f"pseudonym key {number} has {len(key)} bytes; it needs at least {_MIN_BYTES}")
        if not keys or len(set(keys)) < len(keys):
            raise IntakeError(f"{len(keys)} pseudonym keys given; at least one is needed, and each only once")
        self._keys = tuple(hashlib.blake2b(key, digest_size=32).digest() for key in keys)
        self._ids = tuple(hashlib.blake2b(key, digest_size=4, person=b"key id").hexdigest() for key in self._keys)
        self._begun: dict[str, hashlib.blake2b] = {}  # by purpose: hash of nothing yet under the first key
        self.of_person = lru_cache(_REMEMBERED)(partial(self.of, SUBJECT))  # people say many things

    def of(self, purpose: str, value: str | bytes) -> str:
        """Return a pseudonym; the same value under another purpose gives an unrelated one.

        Args:
            purpose: At most 16 ASCII characters, as "subject" or "interaction".
            value: What to hide; lone surrogates are allowed.

        Returns:
            32 hex digits; of a subject, after the first rotation, with the key's id behind a hyphen.
        """
        hashed = self._begun.get(purpose) or self._begin(purpose)
        hashed = hashed.copy()  # half the time of beginning anew
        hashed.update(value if isinstance(value, bytes) else value.encode("utf-8", "surrogatepass"))
        first = hashed.hexdigest()
        return self.newest(first) if purpose == SUBJECT and len(self._keys) > 1 else first

    def _begin(self, purpose: str) -> hashlib.blake2b:
        begun = self._begun[purpose] = _hash_under(self._keys[0], purpose)
        return begun

    def newest(self, subject: str) -> str:
        """Carry a subject's pseudonym from the key that it was written under to the newest.

        Raises:
            IntakeError: It was written under a key that is not among these.
        """
        body, _, key_id = subject.partition("-")
        if key_id and key_id not in self._ids[1:]:
            raise IntakeError(
                f"a subject was pseudonymised with the key {key_id}, and the keys given are {', '.join(self._ids)}; "
                f"give all keys that the store was ever written with, the oldest first ({KEY_VARIABLE} or {KEY_FILE})"
            )
        at = self._ids.index(key_id) if key_id else 0
        for key, name in zip(self._keys[at + 1 :], self._ids[at + 1 :], strict=True):
            hashed = _hash_under(key, SUBJECT)
            hashed.update(body.encode("utf-8", "surrogatepass"))
            body, key_id = hashed.hexdigest(), name
        return f"{body}-{key_id}" if key_id else body

    @property
    def key_id(self) -> str:
        """Public name of the key in use."""
        return self._ids[-1]

    @property
    def rotations(self) -> int:
        """How many keys came before the one in use."""
        return len(self._ids) - 1


def _hash_under(key: bytes, purpose: str) -> hashlib.blake2b:
    return hashlib.blake2b(digest_size=16, key=key, person=purpose.encode())


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
    """Open the keys of a store: FLYWHEEL_PSEUDONYM_KEY, or a random key file beside a local store.

    After a rotation there are several keys, one a line, the oldest first (`key_rotation`).

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
        return Pseudonymizer(*parse_keys(text, KEY_VARIABLE))
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
        return Pseudonymizer(*parse_keys(path.read_text(encoding="ascii"), str(path)))
    except (OSError, UnicodeDecodeError) as error:
        raise IntakeError(f"cannot use the pseudonym key file {path}: {error}; or set {KEY_VARIABLE}") from error


def parse_keys(text: str, origin: str) -> list[bytes]:
    """Read keys, one a line, the oldest first; empty lines are left out.

    Raises:
        IntakeError: A key is too short, or there is none.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return [parse_key(line, origin) for line in lines or [""]]


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


def add_key(store: str) -> None:
    """Append a new random key to a local store's key file, atomically; the keys before stay.

    Raises:
        IntakeError: The keys come from the variable, or the store is remote: then whoever keeps the secret adds the
        key.
    """
    folder = local_folder(store)
    if os.environ.get(KEY_VARIABLE, "").strip() or folder is None:
        raise IntakeError(
            f"the pseudonym keys come from {KEY_VARIABLE}: add a new key as its last line (the older lines stay), then "
            "rotate again with --keys-given"
        )
    for_store(store)  # makes the file, or says what is wrong with it
    path = folder / KEY_FILE
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=f"{KEY_FILE}.")  # mode 0600
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(path.read_text(encoding="ascii").rstrip("\n") + "\n" + secrets.token_hex(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    finally:
        Path(temporary).unlink(missing_ok=True)


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
