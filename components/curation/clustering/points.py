"""Exchanges as points: encoded texts, and the few directions of them that carry the topics.

The encoder is stateless, so centroids in its space can be compared between runs; the directions (principal components)
are fitted on each run's texts and serve only to find the groups.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import NamedTuple

import numpy as np

from flywheel.components.curation.encoders import Encoder
from flywheel.components.curation.texts.lexicons import words as word_list
from flywheel.components.curation.texts.normal_form import has_digit, normal_form, question_form

SEED = 5
FIT = 4000  # distinct texts that a run is fitted on; the others are placed by the nearest centre
_DIRECTIONS = 16
_BATCH = 8192
_PLACEHOLDER = re.compile(r"\[[A-Z][A-Z_]*_\d+\]")


class Case(NamedTuple):
    """A question with its answer, who asked and when."""

    question: str
    answer: str
    user: str = ""
    at: datetime | None = None


@dataclass(frozen=True)
class Points:
    """The distinct texts of the cases, and vectors of a sample of them.

    Attributes:
        texts: Distinct texts, sorted, so that nothing depends on the order of the cases.
        rows: Index of each case's text, shape (n,).
        encoder: What makes vectors of texts.
        sample: Indices of the texts that groups are fitted on, shape (s,), s at most `FIT`.
        vectors: Vectors of the sample, float32 (s, dimensions), rows of length 1.
    """

    texts: list[str]
    rows: np.ndarray
    encoder: Encoder
    sample: np.ndarray
    vectors: np.ndarray

    @cached_property
    def mean(self) -> np.ndarray:
        """Mean vector of the sample, shape (dimensions,)."""
        return np.asarray(self.vectors.mean(axis=0)) if len(self.vectors) else np.zeros(self.encoder.dimensions)

    @cached_property
    def directions(self) -> np.ndarray:
        """Principal directions of the sample, shape (dimensions, at most 16); signs fixed."""
        centred = (self.vectors - self.mean).astype(np.float64)
        values, found = np.linalg.eigh(centred.T @ centred)
        kept = found[:, ::-1][:, :_DIRECTIONS][:, values[::-1][:_DIRECTIONS] > 1e-8 * max(values[-1], 1e-12)]
        strongest = kept[np.abs(kept).argmax(axis=0), np.arange(kept.shape[1])]
        return np.asarray(kept * np.sign(strongest))

    @cached_property
    def fitted(self) -> np.ndarray:
        """Points of the sample, float64 (s, at most 16)."""
        return self.project(self.vectors)

    def project(self, vectors: np.ndarray) -> np.ndarray:
        """Points of vectors: along the principal directions, scaled to length 1, float64 (n, at most 16)."""
        points = (vectors - self.mean) @ self.directions
        return np.asarray(points / np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-9))

    def read(self, texts: Sequence[str]) -> np.ndarray:
        """Points of texts, encoded in batches, so that memory holds the vectors of one batch only."""
        parts = [
            self.project(self.encoder.encode(texts[start : start + _BATCH])) for start in range(0, len(texts), _BATCH)
        ]
        return np.concatenate(parts) if parts else np.zeros((0, self.directions.shape[1]))


def embed(cases: Sequence[Case], encoder: Encoder) -> Points:
    """Encode a sample of the distinct texts of the cases.

    Args:
        cases: Questions with answers; the answer's words tell wordings of one topic together.
        encoder: Of `curation.encoders`.

    Returns:
        The points; equal for every order of the cases.
    """
    shown = [text_of(case, encoder.name) for case in cases]
    texts = sorted(set(shown))
    place = {text: index for index, text in enumerate(texts)}
    sample = np.random.default_rng(SEED).permutation(len(texts))[:FIT]
    vectors = encoder.encode([texts[index] for index in sample])
    return Points(texts, np.array([place[text] for text in shown], np.int64), encoder, sample, vectors)


def text_of(case: Case, encoder: str) -> str:
    """What is encoded of a case: its topic words for a word encoder, its sentences for a sentence encoder."""
    question, answer = without_placeholders(case.question), without_placeholders(case.answer)
    if encoder == "hashed":
        return " ".join(topic_words(f"{question_form(question)} {normal_form(answer)}"))
    return f"{question} {answer}".strip()


def without_placeholders(text: str) -> str:
    """The text without what intake put in place of personal data, such as `[PHONE_1]`: it names no topic."""
    return " ".join(_PLACEHOLDER.sub(" ", text).split())


def topic_words(form: str) -> list[str]:
    """Content words of a normal form without numbers; a crude stem makes "prices" and "price" one word."""
    return [stem(word) for word in content_words(form)]


def content_words(form: str) -> list[str]:
    """Words of a normal form that are no stop words, numbers or single letters."""
    stop = word_list("stop")
    return [word for word in form.split() if word not in stop and not has_digit(word) and len(word) > 1]


def stem(word: str) -> str:
    """A word without its plural "s"."""
    return word[:-1] if len(word) > 4 and word.endswith("s") and not word.endswith("ss") else word
