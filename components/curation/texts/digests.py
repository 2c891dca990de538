"""What stands for a text where only equal ones count: so many bytes, however long it is."""

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np

SIZE = 16  # bytes; two different texts have the same digest with probability 2^-128


def digest(texts: Sequence[str]) -> bytes:
    """Digest of some texts in their order, `SIZE` bytes; ("ab", "c") and ("a", "bc") are different."""
    spelled = f"{list(map(len, texts))}{''.join(texts)}"
    return hashlib.blake2b(spelled.encode("utf-8", "surrogatepass"), digest_size=SIZE).digest()


def array_of(digests: Iterable[bytes]) -> np.ndarray:
    """Digests as numbers, shape (n, 2), uint64."""
    return np.frombuffer(b"".join(digests), dtype=np.uint64).reshape(-1, 2)


def numbered(digests: np.ndarray) -> np.ndarray:
    """A number for each distinct digest, by first appearance.

    Args:
        digests: Shape (n, 2), uint64.

    Returns:
        Shape (n,), int64, from 0.
    """
    order = np.lexsort((digests[:, 1], digests[:, 0]))
    begins = np.ones(len(order), dtype=bool)
    begins[1:] = (digests[order[1:]] != digests[order[:-1]]).any(axis=1)
    first = order[begins]  # lexsort is stable, so that the first of a run is its least
    place = np.empty(len(first), dtype=np.int64)
    place[np.argsort(first)] = np.arange(len(first))
    found = np.empty(len(order), dtype=np.int64)
    found[order] = place[np.cumsum(begins) - 1]
    return found
