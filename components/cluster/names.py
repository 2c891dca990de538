"""Object names and label values that the API server accepts, derived so that equal inputs give equal names."""

import hashlib
import re

MOST = 63  # RFC 1035 label; also the longest label value
_LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?")


def object_name(prefix: str, fingerprint: str, limit: int = MOST) -> str:
    """Build a deterministic name `<prefix>-<fingerprint>`; the prefix gives way, never the fingerprint.

    Args:
        prefix: Any text; brought to lower case letters, digits and dashes.
        fingerprint: Hex digits; the part that makes the name unique.
        limit: Most characters; children of the object may need room for their own endings.

    Raises:
        ValueError: The fingerprint is no hex text or leaves no room for a letter.
    """
    if not re.fullmatch(r"[0-9a-f]+", fingerprint) or len(fingerprint) > limit - 2:
        raise ValueError(f"a name of {limit} characters cannot be built from fingerprint {fingerprint!r}")
    words = re.sub(r"[^a-z0-9]+", "-", prefix.lower()).strip("-")
    words = words if words[:1].isalpha() else f"n{words}"
    return f"{words[: limit - len(fingerprint) - 1].rstrip('-')}-{fingerprint}"


def check_name(name: str, what: str, limit: int = MOST) -> str:
    """Refuse a name that a person gave and the API server would not take.

    Raises:
        ValueError: Not an RFC 1035 label, or too long; the message says which.
    """
    if len(name) > limit:
        raise ValueError(f"{what} {name!r} has {len(name)} characters; Kubernetes takes at most {limit} here")
    if not _LABEL.fullmatch(name):
        raise ValueError(f"{what} {name!r}: use lower case letters, digits and dashes, starting with a letter")
    return name


def label_value(text: str) -> str:
    """Turn any text into a label value; text that had to change gets a digest, so that two never become one."""
    if len(text) <= MOST and _VALUE.fullmatch(text):
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[:10]
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", text)[: MOST - 11].strip("-_.")
    return f"{plain}-{digest}" if plain else digest
