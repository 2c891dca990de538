"""What the classifier sees of an edit: its features, its hashed tokens, and what an encoder makes of the texts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from flywheel.components.curation.categories.edit_features import edit_tokens, features
from flywheel.components.curation.encoders import encoder as encoder_of

HASHED = "hashed"
_HASHES = 2**12


@dataclass(frozen=True)
class Description:
    """Edits as numbers.

    Attributes:
        dense: Edit features, shape (n, features).
        hashed: Hashed edit tokens in rows of length 1, sparse, shape (n, 4096).
        embedded: What the correction changed in the encoder's space, and the comment, shape (n, 2 d); None for the
            encoder "hashed", whose n-grams of the edit are `hashed` already.
    """

    dense: np.ndarray
    hashed: Any
    embedded: np.ndarray | None

    def take(self, rows: np.ndarray) -> "Description":
        """Some of the edits."""
        return Description(self.dense[rows], self.hashed[rows], None if self.embedded is None else self.embedded[rows])

    def scale(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and spread of the edit features, the spread bounded from below."""
        return self.dense.mean(axis=0), np.maximum(self.dense.std(axis=0), 0.05)

    def matrix(self, center: np.ndarray, scale: np.ndarray) -> Any:
        """Everything side by side, sparse."""
        from scipy.sparse import csr_array, hstack

        blocks = [csr_array(np.clip((self.dense - center) / scale, -4, 4)), self.hashed]
        if self.embedded is not None:
            blocks.append(csr_array(self.embedded))
        return hstack(blocks).tocsr()


def describe(edits: Sequence[dict[str, Any]], encoder: str = HASHED) -> Description:
    """Describe edits.

    Args:
        edits: prompt, response, correction and optionally comment.
        encoder: Name of an encoder (`encoders.NAMES`).

    Raises:
        ValueError: There is no such encoder.
        ModuleNotFoundError: The encoder's extra is not installed.
    """
    from sklearn.feature_extraction import FeatureHasher

    texts = [(e["prompt"], e["response"], e["correction"], e.get("comment") or "") for e in edits]
    hashed = FeatureHasher(n_features=_HASHES, input_type="string").transform(edit_tokens(*text) for text in texts)
    length = np.sqrt(np.asarray(hashed.multiply(hashed).sum(axis=1)).reshape(-1, 1))
    embedded = None
    made = encoder_of(encoder)
    if encoder != HASHED:
        change = made.encode([text[2] for text in texts]) - made.encode([text[1] for text in texts])
        said = np.array([[bool(text[3])] for text in texts], np.float32)
        embedded = np.hstack([change, said * made.encode([text[3] for text in texts])])
    return Description(
        np.array([features(*text) for text in texts]),
        hashed.multiply(1 / np.maximum(length, 1e-9)).tocsr(),
        embedded,
    )
