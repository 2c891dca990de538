"""Bearer tokens of an OpenID Connect issuer, checked against its published keys (RFC 7517, RFC 7519)."""

import asyncio
import hashlib
import time
from typing import Any

import httpx
import jwt

from flywheel.components.intake.service.refusals import Denied, unauthorized

ALGORITHMS = ("RS256", "ES256")  # never "none", never HMAC: a public key is no secret
_FRESH_SECONDS = 600.0
_LEAST_SECONDS = 10.0  # between two fetches, whatever key ids strangers invent
_LEEWAY_SECONDS = 30


class TokenVerifier:
    """Verifies signature, `exp`, `iss` and `aud`; keys are fetched once and kept while the issuer is away."""

    def __init__(self, issuer: str, audience: str) -> None:
        self._issuer = issuer
        self._audience = audience
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched = self._tried = float("-inf")
        self._lock = asyncio.Lock()

    async def subject(self, token: str) -> str:
        """Return a digest of the token's subject, 12 hex digits (a subject may be an address).

        Raises:
            Denied: 401 when the token is not valid (the reason says which check failed), 503 when the issuer's keys
                were never reached.
        """
        try:
            header = jwt.get_unverified_header(token)
        except jwt.InvalidTokenError as error:
            raise unauthorized("bad_token", f"not a JSON Web Token: {error}") from error
        if header.get("alg") not in ALGORITHMS:
            raise unauthorized("bad_token", f"tokens are signed with {' or '.join(ALGORITHMS)}")
        key = await self._key(str(header.get("kid", "")))
        if key.algorithm_name != header["alg"]:
            raise unauthorized("bad_token", "the token's algorithm is not that of its key")
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=[key.algorithm_name],
                audience=self._audience,
                issuer=self._issuer,
                leeway=_LEEWAY_SECONDS,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except jwt.ExpiredSignatureError as error:
            raise unauthorized("token_expired", "the token has expired; get a new one") from error
        except jwt.InvalidTokenError as error:
            raise unauthorized("bad_token", str(error)) from error
        return hashlib.sha256(str(claims["sub"]).encode()).hexdigest()[:12]

    async def _key(self, kid: str) -> jwt.PyJWK:
        now = time.monotonic()
        if kid not in self._keys or now - self._fetched > _FRESH_SECONDS:
            async with self._lock:  # one fetch for all who wait
                now = time.monotonic()
                stale = kid not in self._keys or now - self._fetched > _FRESH_SECONDS
                if stale and now - self._tried > _LEAST_SECONDS:
                    self._tried = now
                    await self._fetch()
        if kid in self._keys:
            return self._keys[kid]
        if not self._keys:
            raise Denied(503, "issuer_unreachable", "the keys of the token's issuer cannot be fetched", retry_after=10)
        raise unauthorized("bad_token", "the token is signed with a key that its issuer does not publish")

    async def _fetch(self) -> None:
        try:
            async with httpx.AsyncClient(timeout=5.0) as client:
                address = f"{self._issuer.rstrip('/')}/.well-known/openid-configuration"
                configuration = (await client.get(address)).raise_for_status().json()
                if configuration.get("issuer") != self._issuer:
                    raise ValueError(f"{address} speaks for another issuer")
                document = (await client.get(configuration["jwks_uri"])).raise_for_status().json()
            keys = _usable(document["keys"])
            if not keys:
                raise ValueError(f"{configuration['jwks_uri']} holds no {' or '.join(ALGORITHMS)} key")
        except (httpx.HTTPError, ValueError, KeyError, TypeError, AttributeError) as error:
            print(f"serve-intake: keys of {self._issuer} not fetched: {error!r}", flush=True)
            return
        self._keys, self._fetched = keys, time.monotonic()


def _usable(documents: list[dict[str, Any]]) -> dict[str, jwt.PyJWK]:
    keys = {}
    for document in documents:
        if document.get("use", "sig") != "sig" or document.get("kty") not in ("RSA", "EC"):
            continue
        try:
            key = jwt.PyJWK(document)
        except jwt.PyJWTError:  # a key of a kind that is not used here
            continue
        if key.algorithm_name in ALGORITHMS:
            keys[str(document.get("kid", ""))] = key
    return keys
