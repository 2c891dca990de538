"""Who sends: API keys by their SHA-256, or bearer tokens of an OIDC issuer."""

import base64
import binascii
import hashlib
import hmac
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import orjson

from flywheel.components.intake.errors import IntakeError
from flywheel.components.intake.service.oidc import TokenVerifier
from flywheel.components.intake.service.refusals import Denied, unauthorized

ROUTES = ("events", "feedback")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_KEY_ID = re.compile(r"[A-Za-z0-9._\-]{1,64}")
_RELOAD_SECONDS = 5.0  # a mounted Secret changes under a running pod


@dataclass(frozen=True)
class Sender:
    """Who sends, and how much; `name` goes into the rows' origin and holds no personal data."""

    name: str
    rate: float = 0.0  # events per second; 0: the service's default
    burst: float = 0.0
    routes: tuple[str, ...] = ROUTES


class KeyFile:
    """The keys file: `{"web": SHA256, "app": {"sha256": SHA256, "rate": 50, "burst": 200, "routes": ["feedback"]}}`."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._looked = time.monotonic()
        self._stamp = self._stat()
        self._senders = self._read()

    def sender(self, key: str, key_id: str = "") -> Sender | None:
        """Return whose key this is; None when nobody's (or not `key_id`'s)."""
        self._reload()
        digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
        found = self._senders.get(digest)
        return found if found and (not key_id or hmac.compare_digest(found.name.encode(), key_id.encode())) else None

    def _reload(self) -> None:
        now = time.monotonic()
        if now - self._looked < _RELOAD_SECONDS:
            return
        self._looked = now
        try:
            stamp = self._stat()
            if stamp != self._stamp:
                self._senders, self._stamp = self._read(), stamp
        except IntakeError as error:  # half-written: the old keys stay in force until the file is whole
            print(f"serve-intake: keys not reloaded: {error}", flush=True)

    def _stat(self) -> tuple[int, int, int]:
        try:
            found = self._path.stat()
        except OSError as error:
            raise IntakeError(f"cannot read the keys file {self._path}: {error.strerror}") from error
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _read(self) -> dict[str, Sender]:
        try:
            document = orjson.loads(self._path.read_bytes())
        except (OSError, orjson.JSONDecodeError) as error:
            raise IntakeError(f"cannot read the keys file {self._path}: {error}") from error
        if not isinstance(document, dict) or not document:
            raise IntakeError(f"the keys file {self._path} must be a JSON object: key id -> SHA-256 of the key")
        senders: dict[str, Sender] = {}
        for name, entry in document.items():
            digest, sender = self._entry(name, entry)
            if digest in senders:
                raise IntakeError(f"the keys file {self._path} gives one key to {senders[digest].name} and to {name}")
            senders[digest] = sender
        return senders

    def _entry(self, name: str, entry: object) -> tuple[str, Sender]:
        where = f"the keys file {self._path}, key id {name!r}"
        fields = {"sha256": entry} if isinstance(entry, str) else entry
        if not isinstance(fields, dict) or not isinstance(fields.get("sha256"), str):
            raise IntakeError(f"{where}: give the key's SHA-256 in hex, or an object with sha256")
        digest = fields["sha256"].lower().removeprefix("sha256:")
        if not _KEY_ID.fullmatch(name):
            raise IntakeError(f"{where}: a key id is 1 to 64 letters, digits, dots, dashes and underscores")
        if not _DIGEST.fullmatch(digest):
            raise IntakeError(f"{where}: sha256 is not 64 hex digits (printf %s KEY | sha256sum)")
        unknown = fields.keys() - {"sha256", "rate", "burst", "routes"}
        if unknown:
            raise IntakeError(
                f"{where}: unknown fields {', '.join(sorted(unknown))}; known: sha256, rate, burst, routes"
            )
        rate, burst = fields.get("rate", 0.0), fields.get("burst", 0.0)
        if not all(isinstance(one, int | float) and not isinstance(one, bool) and one >= 0 for one in (rate, burst)):
            raise IntakeError(f"{where}: rate and burst are numbers of events, 0 or more")
        routes = fields.get("routes", list(ROUTES))
        if not isinstance(routes, list) or not routes or not set(routes) <= set(ROUTES):
            raise IntakeError(f"{where}: routes is a list of {' and '.join(ROUTES)}")
        return digest, Sender(name, float(rate), float(burst), tuple(routes))


class Authenticator:
    """Lets a request in, or says why not."""

    def __init__(self, keys: KeyFile | None, tokens: TokenVerifier | None) -> None:
        self._keys = keys
        self._tokens = tokens

    async def sender(self, headers: Mapping[str, str], route: str) -> Sender:
        """Return who sends.

        A key comes as `Authorization: Bearer KEY`, as `X-API-Key: KEY`, or as the password of HTTP Basic with the key's
        id as user (the only way open to KServe's logger: `http://ID:KEY@intake/v1/events`).

        Raises:
            Denied: 401 without a valid key or token, 403 when it does not open this route, 503 when the issuer of a
                token cannot be asked.
        """
        if self._keys is None and self._tokens is None:
            return Sender("anyone")
        sender = await self._known(headers)
        if route not in sender.routes:
            raise unauthorized("route_not_allowed", f"key {sender.name} does not open /v1/{route}", 403)
        return sender

    async def _known(self, headers: Mapping[str, str]) -> Sender:
        scheme, _, rest = headers.get("authorization", "").partition(" ")
        given, key_id, scheme = rest.strip(), "", scheme.lower()
        if "x-api-key" in headers:
            given = headers["x-api-key"].strip()
        elif scheme == "basic":
            key_id, given = _basic(given)
        elif scheme != "bearer":
            given = ""
        if not given:
            raise unauthorized("no_credentials", "send an API key or a token: Authorization: Bearer ...")
        if self._keys is not None:
            found = self._keys.sender(given, key_id)
            if found is not None:
                return found
        if self._tokens is not None and scheme == "bearer" and given.count(".") == 2:
            return Sender(f"oidc-{await self._tokens.subject(given)}")
        raise unauthorized("unknown_key", "this key is not known; ask the operator of the service for one")


def _basic(text: str) -> tuple[str, str]:
    try:
        user, sign, password = base64.b64decode(text, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise Denied(400, "bad_credentials", "Authorization: Basic holds no base64 text", "unauthorized") from error
    if not sign or not user:
        raise Denied(400, "bad_credentials", "Authorization: Basic is base64 of KEY_ID:KEY", "unauthorized")
    return user, password
