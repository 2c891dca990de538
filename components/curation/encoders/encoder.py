"""The interface of text encoders, and the choice of one by name."""

from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from typing import Protocol, cast

import numpy as np

_ROOM = "flywheel.components.curation.encoders"
# Loaded by name: what an extra brings is imported only by who asks for it.
_MODULES = {"hashed": f"{_ROOM}.hashed", "minilm": f"{_ROOM}.minilm"}
NAMES = tuple(_MODULES)


class Encoder(Protocol):
    """Turns texts into vectors; the vector of a text does not depend on the order of the others.

    Attributes:
        name: What `encoder` knows it by.
        dimensions: Length of a vector.
    """

    name: str
    dimensions: int

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors of the texts: float32, shape (n, dimensions), every row of Euclidean length 1."""
        ...


def encoder(name: str) -> Encoder:
    """The encoder of that name; made once per process.

    Args:
        name: "hashed" (character and word n-grams, no model) or "minilm" (all-MiniLM-L6-v2; extra `embeddings`).

    Raises:
        ValueError: There is no such encoder.
        ModuleNotFoundError: The extra that brings it is not installed; the message says how to get it.
    """
    if name not in _MODULES:
        raise ValueError(f"encoder {name!r} is none of {', '.join(NAMES)}")
    return _loaded(name)


@cache
def _loaded(name: str) -> Encoder:
    make = cast(Callable[[], Encoder], import_module(_MODULES[name]).make)
    return make()
