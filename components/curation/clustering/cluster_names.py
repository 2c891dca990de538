"""Names of clusters: the words that set a cluster apart from the others.

Class-based TF-IDF (Grootendorst 2022, "BERTopic", arXiv:2203.05794, eq. 2): a word weighs ``tf * log(1 + A / f)``,
with its share of the cluster's words ``tf``, its number in all clusters ``f`` and the mean number of words per cluster
``A``.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from flywheel.components.curation.clustering.exchanges import Exchanges
from flywheel.components.curation.clustering.points import stem

WORDS = 3
_TOP = 10  # a name is still true while its words are among so many


@dataclass(frozen=True)
class Vocabulary:
    """Words of each cluster, the heaviest first, as people write them."""

    top: dict[int, list[str]]


def weigh(exchanges: Exchanges, labels: np.ndarray) -> Vocabulary:
    """Order the words of each cluster by c-TF-IDF; a word counts once per distinct exchange.

    The words of the exchanges are read twice: in memory is how often each stem occurs in each cluster, and how people
    write the few that are shown.

    Args:
        exchanges: What stands for personal data is no word.
        labels: Cluster of each, shape (n,).

    Returns:
        Up to ten words a cluster, no two of one stem or one beginning; ties in alphabetical order.
    """
    distinct = np.sort(np.unique(np.stack([labels, exchanges.wordings.view(np.int64)]), axis=1, return_index=True)[1])
    bags: dict[int, Counter[str]] = {label: Counter() for label in sorted(set(labels.tolist()))}
    stems: dict[str, str] = {}  # one string for a stem, whichever clusters it is in
    for case, text in exchanges.read(exchanges.words, distinct):
        bags[int(labels[case])].update({stems.setdefault(one, one) for one in map(stem, text.split())})
    del stems
    overall: Counter[str] = Counter()
    for bag in bags.values():
        overall.update(bag)
    mean = overall.total() / max(1, len(bags))
    kept = {label: _heaviest(bag, overall, mean) for label, bag in bags.items()}
    written = _written(exchanges, distinct, {word for words in kept.values() for word in words})
    return Vocabulary({label: [written[word] for word in words] for label, words in kept.items()})


def _heaviest(bag: Counter[str], overall: Counter[str], mean: float) -> list[str]:
    """The stems of a cluster that weigh most, up to ten."""
    total = bag.total()
    weight = {word: n / total * np.log1p(mean / overall[word]) for word, n in bag.items()}
    kept: list[str] = []
    for word in sorted(weight, key=lambda word: (-round(float(weight[word]), 9), word)):
        if len(kept) == _TOP:
            break
        if not any(_alike(word, other) for other in kept):
            kept.append(word)
    return kept


def _written(exchanges: Exchanges, cases: np.ndarray, stems: set[str]) -> dict[str, str]:
    """How each of the stems is written most often."""
    forms: dict[str, Counter[str]] = {word: Counter() for word in stems}
    for _, text in exchanges.read(exchanges.words, cases):
        for word in text.split():
            if stem(word) in forms:
                forms[stem(word)][word] += 1
    return {word: min(counts, key=lambda form: (-counts[form], form)) for word, counts in forms.items()}


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
