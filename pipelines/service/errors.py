"""What can go wrong between us and the pipeline service, in words that say what to do."""

import contextlib
import json
from collections.abc import Iterator


class ServiceError(RuntimeError):
    """The pipeline service refused or failed."""


class UnreachableError(ServiceError):
    """Nothing answers at the address, or the answer was lost on the way."""


class UnauthorizedError(ServiceError):
    """The token is missing, expired or has no right to do this."""


class MissingError(ServiceError):
    """What was asked for is not there."""


class ConflictError(ServiceError):
    """Something of that name is there already and is not the same."""


@contextlib.contextmanager
def translated(what: str, host: str) -> Iterator[None]:
    """Turn the client's errors into ours.

    Args:
        what: What was tried, as in "list runs".
        host: Address of the service.

    Raises:
        UnreachableError: No connection, or a 5xx or 429 answer; trying again may help.
        UnauthorizedError: 401 or 403.
        MissingError: 404.
        ConflictError: 409.
        ServiceError: Any other refusal.
    """
    from kfp_server_api.exceptions import ApiException
    from urllib3.exceptions import HTTPError

    try:
        yield
    except HTTPError as error:
        raise UnreachableError(
            f"could not {what}: no answer from {host} ({type(error).__name__}: {error}); check the address "
            "(--endpoint or FLYWHEEL_KFP_ENDPOINT), a port-forward, and the network"
        ) from error
    except ApiException as error:
        words = _message(error.body)
        text = f"could not {what}: {host} says {error.status} {error.reason or ''}".rstrip() + (
            f": {words}" if words else ""
        )
        if error.status == 401:
            raise UnauthorizedError(f"{text}; give a valid token (--token-file or FLYWHEEL_KFP_TOKEN)") from error
        if error.status == 403:
            raise UnauthorizedError(f"{text}; this identity lacks the right in this namespace") from error
        if error.status == 404:
            raise MissingError(text) from error
        if error.status == 409:
            raise ConflictError(text) from error
        if error.status == 429 or (error.status or 0) >= 500:
            raise UnreachableError(f"{text}; try again") from error
        raise ServiceError(text) from error


def _message(body: str | bytes | None) -> str:
    """The service's own words, from a gRPC-gateway error; the first words of anything else."""
    if not body:
        return ""
    text = body.decode(errors="replace") if isinstance(body, bytes) else body
    try:
        content = json.loads(text)
    except ValueError:
        return " ".join(text.split())[:200]
    found = (
        content.get("message") or content.get("error_message") or content.get("error")
        if isinstance(content, dict)
        else ""
    )
    return str(found or "")[:500]
