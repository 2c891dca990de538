"""Exchanges as points: encoded texts, and the few directions of them that carry the topics.

The encoder is stateless, so centroids in its space can be compared between runs; the directions (principal components)
are fitted on each run's texts and serve only to find the groups.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from flywheel.components.curation.encoders import Encoder
from flywheel.components.curation.texts.lexicons import words as word_list
from flywheel.components.curation.texts.normal_form import has_digit, normal_form, question_form

if TYPE_CHECKING:
    from flywheel.components.curation.clustering.exchanges import Exchanges

SEED = 5
FIT = 4000  # distinct texts that a run is fitted on; the others are placed by the nearest centre
_DIRECTIONS = 16
_BATCH = 512
_PLACEHOLDER = re.compile(r"\[[A-Z][A-Z_]*_\d+\]")


class Case(NamedTuple):
    """A question with its answer, who asked and when."""

    question: str
    answer: str
    user: str = ""
    at: datetime | None = None


class Wording(NamedTuple):
    """A case in normal form.

    Attributes:
        written: Question and answer as they were written.
        words: Content words of both, without numbers and what stands for personal data.
    """

    written: str
    words: list[str]


@dataclass(frozen=True)
class Projection:
    """From an encoder's space to the few directions that carry a run's topics.

    Attributes:
        mean: Mean vector of the sample, shape (dimensions,).
        directions: Principal directions of the sample, shape (dimensions, at most 16); signs fixed.
    """

    mean: np.ndarray
    directions: np.ndarray

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        """Points of vectors: along the principal directions, scaled to length 1, float64 (n, at most 16)."""
        points = np.zeros((len(vectors), self.directions.shape[1]))
        for start in range(0, len(vectors), _BATCH):  # in double precision vectors take twice their room
            points[start : start + _BATCH] = (vectors[start : start + _BATCH] - self.mean) @ self.directions
        return np.asarray(points / np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-9))


@dataclass(frozen=True)
class Points:
    """The distinct texts of the cases, and vectors of a sample of them.

    Attributes:
        exchanges: The cases; their distinct texts are sorted, so that nothing depends on the order of the cases.
        encoder: What makes vectors of texts.
        sample: Indices of the texts that groups are fitted on, shape (s,), s at most `FIT`.
        vectors: Vectors of the sample, float32 (s, dimensions), rows of length 1.
    """

    exchanges: "Exchanges"
    encoder: Encoder
    sample: np.ndarray
    vectors: np.ndarray

    @cached_property
    def projection(self) -> Projection:
        """Fitted on the sample."""
        if not len(self.vectors):
            return Projection(np.zeros(self.encoder.dimensions), np.zeros((self.encoder.dimensions, 0)))
        mean = np.asarray(self.vectors.mean(axis=0))
        centred = np.empty(self.vectors.shape, np.float64)
        for start in range(0, len(centred), _BATCH):
            centred[start : start + _BATCH] = self.vectors[start : start + _BATCH] - mean
        values, found = np.linalg.eigh(centred.T @ centred)
        kept = found[:, ::-1][:, :_DIRECTIONS][:, values[::-1][:_DIRECTIONS] > 1e-8 * max(values[-1], 1e-12)]
        strongest = kept[np.abs(kept).argmax(axis=0), np.arange(kept.shape[1])]
        return Projection(mean, np.asarray(kept * np.sign(strongest)))

    @cached_property
    def fitted(self) -> np.ndarray:
        """Points of the sample, float64 (s, at most 16)."""
        return self.projection(self.vectors)


def read(
    exchanges: "Exchanges", texts: np.ndarray, encoder: Encoder, projection: Projection
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Points of distinct texts, batch by batch, so that memory holds the vectors of one batch only.

    Args:
        exchanges: The cases.
        texts: Indices of the distinct texts wanted.
        encoder: What makes vectors of them.
        projection: What makes points of vectors.

    Yields:
        Indices of a batch of the texts, and their points.
    """
    for start in range(0, len(texts), _BATCH):
        batch = texts[start : start + _BATCH]
        yield batch, projection(encoder.encode(exchanges.shown.read(exchanges.firsts[batch])))


def embed(exchanges: "Exchanges", encoder: Encoder) -> Points:
    """Encode a sample of the distinct texts of the cases.

    Args:
        exchanges: Questions with answers; the answer's words tell wordings of one topic together.
        encoder: Of `curation.encoders`.

    Returns:
        The points; equal for every order of the cases.
    """
    sample = np.random.default_rng(SEED).permutation(exchanges.texts)[:FIT]
    vectors = encoder.encode(exchanges.shown.read(exchanges.firsts[sample]))
    return Points(exchanges, encoder, sample, vectors)


def wording(case: Case) -> Wording:
    """Read a case once: what it says, and the words that tell what it is about."""
    bare = without_placeholders(case.question), without_placeholders(case.answer)
    forms = question_form(bare[0]), normal_form(bare[1])
    written = forms
    if bare != (" ".join(case.question.split()), " ".join(case.answer.split())):
        written = question_form(case.question), normal_form(case.answer)
    return Wording("\0".join(written), content_words(" ".join(forms)))


def shown_text(case: Case, words: Sequence[str], encoder: str) -> str:
    """What is encoded of a case: its topic words for a word encoder, its sentences for a sentence encoder.

    A crude stem makes "prices" and "price" one word.
    """
    if encoder == "hashed":
        return " ".join(map(stem, words))
    return f"{without_placeholders(case.question)} {without_placeholders(case.answer)}".strip()


def without_placeholders(text: str) -> str:
    """The text without what intake put in place of personal data, such as `[PHONE_1]`: it names no topic."""
    return " ".join(_PLACEHOLDER.sub(" ", text).split())


def content_words(form: str) -> list[str]:
    """Words of a normal form that are no stop words, numbers or single letters."""
    stop = word_list("stop")
    return [word for word in form.split() if word not in stop and not has_digit(word) and len(word) > 1]


def stem(word: str) -> str:
    """A word without its plural "s"."""
    return word[:-1] if len(word) > 4 and word.endswith("s") and not word.endswith("ss") else word
