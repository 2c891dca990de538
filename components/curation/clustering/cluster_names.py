"""Names of clusters: the words that set a cluster apart from the others.

Class-based TF-IDF (Grootendorst 2022, "BERTopic", arXiv:2203.05794, eq. 2): a word weighs ``tf * log(1 + A / f)``,
with its share of the cluster's words ``tf``, its number in all clusters ``f`` and the mean number of words per cluster
``A``.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from flywheel.components.curation.clustering.points import Case, content_words, stem, without_placeholders
from flywheel.components.curation.texts.normal_form import normal_form, question_form

WORDS = 3
_TOP = 10  # a name is still true while its words are among so many


@dataclass(frozen=True)
class Vocabulary:
    """Words of each cluster, the heaviest first, as people write them."""

    top: dict[int, list[str]]


def weigh(cases: Sequence[Case], labels: Sequence[int]) -> Vocabulary:
    """Order the words of each cluster by c-TF-IDF; a word counts once per distinct exchange.

    Args:
        cases: Exchanges; what stands for personal data is no word.
        labels: Cluster of each.

    Returns:
        Up to ten words a cluster, no two of one stem or one beginning; ties in alphabetical order.
    """
    bags: dict[int, Counter[str]] = {label: Counter() for label in sorted(set(labels))}
    written: dict[str, Counter[str]] = defaultdict(Counter)
    seen: set[tuple[int, str, str]] = set()
    for case, label in zip(cases, labels, strict=True):
        key = (label, question_form(case.question), normal_form(case.answer))
        if key in seen:
            continue
        seen.add(key)
        forms = (question_form(without_placeholders(case.question)), normal_form(without_placeholders(case.answer)))
        words = content_words(" ".join(forms))
        bags[label].update({stem(word) for word in words})
        for word in words:
            written[stem(word)][word] += 1
    overall: Counter[str] = sum(bags.values(), Counter())
    mean = overall.total() / max(1, len(bags))
    top = {}
    for label, bag in bags.items():
        weight = {word: n / bag.total() * np.log1p(mean / overall[word]) for word, n in bag.items()}
        ranked = sorted(weight, key=lambda word: (-round(float(weight[word]), 9), word))
        kept: list[str] = []
        for word in ranked:
            if not any(_alike(word, other) for other in kept):
                kept.append(word)
        shown = (min(written[word], key=lambda form: (-written[word][form], form)) for word in kept[:_TOP])
        top[label] = list(shown)
    return Vocabulary(top)


def name(vocabulary: Vocabulary, order: Sequence[int], former: Mapping[int, str]) -> dict[int, str]:
    """Name the clusters; no two names are equal.

    Args:
        vocabulary: Of `weigh`.
        order: Clusters, the one to be named first first.
        former: Names that clusters had in the run before; kept while their words still describe the cluster.

    Returns:
        Cluster -> name: three words, more where three do not tell two clusters apart, "other" without words.
    """
    names: dict[int, str] = {}
    for label in order:
        words = former[label].split(", ") if label in former else []
        if words and set(words) <= set(vocabulary.top[label]) and former[label] not in names.values():
            names[label] = former[label]
    for label in order:
        if label not in names:
            names[label] = _new(vocabulary.top[label], set(names.values()))
    return names


def _new(words: Sequence[str], taken: set[str]) -> str:
    for length in range(WORDS, max(WORDS, len(words)) + 1):
        text = ", ".join(words[:length]) or "other"
        if text not in taken:
            return text
    text = ", ".join(words[:WORDS]) or "other"
    return next(f"{text} ({number})" for number in range(2, len(taken) + 3) if f"{text} ({number})" not in taken)


def _alike(a: str, b: str) -> bool:
    """Whether one word begins with the other, as "weigh" and "weight"."""
    short, long = sorted((a, b), key=len)
    return len(short) >= 4 and long.startswith(short)
