"""Clusters of feedback: what people ask about where answers fail, and where they succeed.

TF-IDF and SVD, k-means with the number of clusters by silhouette, names by c-TF-IDF (Grootendorst 2022, BERTopic,
arXiv:2203.05794): the words that set a cluster apart from the others.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from flywheel.components.curation.texts.lexicons import words as word_list
from flywheel.components.curation.texts.normal_form import has_digit, normal_form, question_form

Exchange = tuple[str, str]  # question, answer

CHOICES = (2, 3, 4, 5, 6, 8, 10, 12)
_SEED = 5
_DIMENSIONS = 24
_SAMPLE = 600  # texts that k is chosen on
_LEAST = 8  # texts; fewer make one cluster


@dataclass(frozen=True)
class Cluster:
    """A cluster of failures.

    Attributes:
        id: "c01" is the largest.
        name: Its most telling words.
        count: Failed interactions in it.
        category: The most frequent error type.
        examples: Up to three questions nearest to its centre.
        error_types: Failures by error type.
        successes: Up-voted interactions that belong here by their question.
    """

    id: str
    name: str
    count: int
    category: str
    examples: list[str]
    error_types: dict[str, int] = field(default_factory=dict)
    successes: int = 0


@dataclass(frozen=True)
class Clustering:
    """All clusters, the largest first, and the cluster index of each failure."""

    clusters: list[Cluster]
    of_failure: list[int]
    silhouette: float | None


def cluster(failures: Sequence[Exchange], error_types: Sequence[str], successes: Sequence[Exchange] = ()) -> Clustering:
    """Group failed interactions by what they are about.

    Args:
        failures: Questions with the answers that failed; the answer's words tell wordings of one topic together.
        error_types: Error type of each: factual, tone, clarity, or uncorrected.
        successes: Questions with the answers that were up-voted.

    Returns:
        The clustering; it does not depend on the order of the exchanges.
    """
    if not failures:
        return Clustering([], [], None)
    texts = [_text(exchange) for exchange in failures]
    labels, silhouette, placed, closeness = _fit(texts, [_text(exchange) for exchange in successes])
    names = _names(texts, labels)
    sizes = Counter(labels.tolist())
    order = sorted(sizes, key=lambda label: (-sizes[label], names[label]))
    rank = {label: position for position, label in enumerate(order)}
    up_voted = Counter(placed)
    made = []
    for position, label in enumerate(order):
        inside = np.flatnonzero(labels == label).tolist()
        kinds = Counter(error_types[i] for i in inside)
        nearest = sorted(inside, key=lambda i: (-round(float(closeness[i]), 6), failures[i]))
        made.append(
            Cluster(
                id=f"c{position + 1:02d}",
                name=names[label],
                count=len(inside),
                category=min(kinds, key=lambda kind: (-kinds[kind], kind)),
                examples=list(dict.fromkeys(failures[i][0] for i in nearest))[:3],
                error_types=dict(sorted(kinds.items())),
                successes=up_voted[label],
            )
        )
    return Clustering(made, [rank[label] for label in labels.tolist()], silhouette)


def _text(exchange: Exchange) -> str:
    return f"{question_form(exchange[0])} {normal_form(exchange[1])}"


def _fit(texts: list[str], successes: Sequence[str]) -> tuple[np.ndarray, float | None, list[int], np.ndarray]:
    """Labels, silhouette, labels of the successes, closeness of each text to its centre."""
    from sklearn.cluster import KMeans
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.metrics import silhouette_score

    distinct = sorted(set(texts))
    one = np.zeros(len(texts), dtype=np.int64)
    alone = one, None, [0] * len(successes), np.ones(len(texts))
    if len(distinct) < _LEAST:
        return alone
    vectorizer = TfidfVectorizer(
        tokenizer=_topic_words, token_pattern=None, lowercase=False, sublinear_tf=True, min_df=2
    )
    try:
        weights = vectorizer.fit_transform(distinct)
    except ValueError:  # no word occurs twice: nothing to group by
        return alone
    size = min(_DIMENSIONS, weights.shape[1] - 1, len(distinct) - 1)
    if size < 2:
        return alone
    reducer = TruncatedSVD(size, random_state=_SEED).fit(weights)

    def embed(matrix: Any) -> np.ndarray:
        points = reducer.transform(matrix)
        return np.asarray(points / np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-9))

    points = embed(weights)
    sample = points[np.random.default_rng(_SEED).permutation(len(points))[:_SAMPLE]]
    spots = len(np.unique(sample.round(6), axis=0))
    best: tuple[float, int] | None = None
    for k in CHOICES:
        if k > spots // 2:
            break
        labels = KMeans(k, n_init=2, random_state=_SEED).fit_predict(sample)
        if len(set(labels.tolist())) > 1:
            score = float(silhouette_score(sample, labels))
            best = max(best or (-1.0, 0), (round(score, 6), k), key=lambda item: (item[0], -item[1]))
    if best is None:
        return alone
    model = KMeans(best[1], n_init=4, random_state=_SEED).fit(points)
    position = {text: i for i, text in enumerate(distinct)}
    rows = np.array([position[text] for text in texts])
    closeness = -np.linalg.norm(points - model.cluster_centers_[model.labels_], axis=1)
    placed = model.predict(embed(vectorizer.transform(successes))) if successes else []
    return model.labels_[rows].astype(np.int64), best[0], [int(label) for label in placed], closeness[rows]


def _topic_words(text: str) -> list[str]:
    """Content words without numbers; a crude stem makes "prices" and "price" one word."""
    stop = word_list("stop")
    words = [word for word in text.split() if word not in stop and not has_digit(word) and len(word) > 1]
    return [word[:-1] if len(word) > 4 and word.endswith("s") and not word.endswith("ss") else word for word in words]


def _names(texts: list[str], labels: np.ndarray) -> dict[int, str]:
    """Three words each, by c-TF-IDF: frequency in the cluster times log(1 + words per cluster / frequency overall)."""
    bags: dict[int, Counter[str]] = {label: Counter() for label in sorted(set(labels.tolist()))}
    for text, label in zip(texts, labels.tolist(), strict=True):
        bags[label].update(set(_topic_words(text)))
    overall: Counter[str] = sum(bags.values(), Counter())
    mean = sum(overall.values()) / max(1, len(bags))
    names: dict[int, str] = {}
    for label, bag in bags.items():
        weight = {word: n / bag.total() * np.log1p(mean / overall[word]) for word, n in bag.items()}
        top = sorted(weight, key=lambda word: (-round(float(weight[word]), 9), word))[:3]
        name = ", ".join(top) or "other"
        names[label] = name if name not in names.values() else f"{name} ({label + 1})"
    return names
