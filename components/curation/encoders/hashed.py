"""Hashed n-grams: no model, no download, any language that separates words.

Signed feature hashing (Weinberger et al. 2009, "Feature hashing for large scale multitask learning") of the words and
the character 3- to 5-grams inside words: texts that share words or stems are near each other.
"""

from collections.abc import Sequence

import numpy as np

from flywheel.components.curation.texts.normal_form import normal_form

DIMENSIONS = 1024
_AT_ONCE = 256  # texts
_WORD_SHARE = 0.5  # of a vector's squared length; the rest is character n-grams


class HashedEncoder:
    """Stateless: nothing is fitted, so vectors of different runs can be compared."""

    name = "hashed"
    dimensions = DIMENSIONS

    def __init__(self) -> None:
        from sklearn.feature_extraction.text import HashingVectorizer

        self._words = HashingVectorizer(analyzer=str.split, n_features=DIMENSIONS)
        self._shingles = HashingVectorizer(
            analyzer="char_wb", ngram_range=(3, 5), lowercase=False, n_features=DIMENSIONS
        )

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors of the texts, float32 (n, 1024), rows of length 1; a text without a word gets the first axis."""
        vectors = np.zeros((len(texts), DIMENSIONS), np.float32)
        for start in range(0, len(texts), _AT_ONCE):  # the n-grams of a text take many times its own room
            vectors[start : start + _AT_ONCE] = self._few(texts[start : start + _AT_ONCE])
        return vectors

    def _few(self, texts: Sequence[str]) -> np.ndarray:
        forms = [normal_form(text) for text in texts]
        mixed = np.sqrt(_WORD_SHARE) * self._words.transform(forms)
        mixed = mixed + np.sqrt(1 - _WORD_SHARE) * self._shingles.transform(forms)
        vectors = np.asarray(mixed.toarray(), np.float32)
        length = np.linalg.norm(vectors, axis=1, keepdims=True)
        vectors[length[:, 0] == 0, 0] = 1
        return np.asarray(vectors / np.where(length > 0, length, 1), np.float32)


def make() -> HashedEncoder:
    """The encoder."""
    return HashedEncoder()
