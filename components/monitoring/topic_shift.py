"""Which topics people ask about more or less than before."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from flywheel.components.monitoring import user_flips
from flywheel.components.monitoring.prompt_features import PromptFeatures
from flywheel.components.monitoring.topics import Topic, TopicShift

MAX_TOPICS = 12
CONFIDENCE = 0.95


def find_topics(features: PromptFeatures, seed: int) -> NDArray[np.int64]:
    """Group prompts by k-means on the leading directions of their words.

    Args:
        features: Features of the prompts.
        seed: Seed of the decomposition and the start.

    Returns:
        Topic of each prompt, shape (n,). The grouping is blind to the windows.
    """
    from sklearn.cluster import KMeans
    from sklearn.decomposition import TruncatedSVD
    from sklearn.preprocessing import normalize

    rows, terms = features.words.shape
    topics = int(np.clip(rows // 25, 2, MAX_TOPICS))
    directions = min(32, terms - 1)
    points = features.words.toarray() if directions < 2 else None
    if points is None:
        points = TruncatedSVD(directions, n_iter=3, random_state=seed).fit_transform(features.words)
    points = normalize(points)
    topics = min(topics, len(np.unique(points.round(6), axis=0)))
    if topics < 2:
        return np.zeros(rows, dtype=np.int64)
    return KMeans(topics, n_init=2, max_iter=60, random_state=seed).fit_predict(points).astype(np.int64)


def compare_topics(
    topics: NDArray[np.int64],
    names: list[str],
    examples: list[str],
    current: NDArray[np.bool_],
    users: NDArray[np.int64],
    flips: int,
    seed: int,
) -> TopicShift:
    """Compare topic shares between the windows.

    The statistic is chi-square like, the sum over topics of (change of share)^2 / pooled share.

    Args:
        topics: Topic of each row in 0..K-1, shape (n,).
        names: Name of each topic, length K.
        examples: A typical prompt of each topic, length K.
        current: Whether a row is in the current window, shape (n,).
        users: User of each row, shape (n,).
        flips: Random flips of users.
        seed: Seed of the flips.

    Returns:
        The shares, their changes with simultaneous intervals, and the p-value.
    """
    from scipy import stats

    member = (topics[:, None] == np.arange(len(names))).astype(np.float64)
    share = member.mean(axis=0)
    sums = user_flips.user_sums(member, current, users)
    scale = 1 / np.maximum(share, 1e-12)
    _, p_value = user_flips.flip_p(lambda moved: (moved**2 * scale).sum(axis=1), sums, flips, seed)
    change, error = user_flips.difference(member, current, users)
    freedom = max(len(np.unique(users)) - 1, 1)
    reach = float(stats.t.isf((1 - CONFIDENCE) / 2 / len(names), freedom)) * error
    before, after = member[~current].mean(axis=0), member[current].mean(axis=0)
    found = [
        Topic(
            name=names[k],
            reference=float(before[k]),
            current=float(after[k]),
            change=float(change[k]),
            lower=float(max(change[k] - reach[k], -1)),
            upper=float(min(change[k] + reach[k], 1)),
            rows=int(member[:, k].sum()),
            example=examples[k],
        )
        for k in range(len(names))
    ]
    found.sort(key=lambda topic: (-abs(topic.change), topic.name))
    return TopicShift(topics=found, total_variation=float(np.abs(change).sum() / 2), p_value=p_value)


def name_topics(features: PromptFeatures, topics: NDArray[np.int64], words: int = 3) -> list[str]:
    """Name each topic by the words that tell it apart from the rest.

    Args:
        features: Features of the prompts.
        topics: Topic of each prompt, shape (n,).
        words: Words per name.

    Returns:
        Names by topic number; equal names are told apart by a number.
    """
    overall = np.asarray(features.words.mean(axis=0)).ravel()
    names: list[str] = []
    for topic in range(int(topics.max()) + 1):
        mean = np.asarray(features.words[topics == topic].mean(axis=0)).ravel()
        telling = mean - overall
        best = [int(place) for place in np.argsort(-telling, kind="stable")[:words] if telling[place] > 0]
        name = ", ".join(str(features.terms[place]) for place in best) or "other"
        copies = sum(known == name or known.startswith(f"{name} (") for known in names)
        names.append(f"{name} ({copies + 1})" if copies else name)
    return names


def typical(
    features: PromptFeatures, topics: NDArray[np.int64], prompts: list[str], may_be_shown: NDArray[np.bool_]
) -> list[str]:
    """Find, for each topic, the prompt nearest to its middle among those that may be shown.

    Args:
        features: Features of the prompts.
        topics: Topic of each prompt, shape (n,).
        prompts: The prompts, length n.
        may_be_shown: Whether the user consented, shape (n,).

    Returns:
        One prompt per topic, at most 160 characters; "" if none may be shown.
    """
    chosen: list[str] = []
    for topic in range(int(topics.max()) + 1):
        rows = np.flatnonzero((topics == topic) & may_be_shown)
        if not rows.size:
            chosen.append("")
            continue
        middle: Any = np.asarray(features.words[topics == topic].mean(axis=0)).ravel()
        near = np.asarray(features.words[rows] @ middle).ravel()
        chosen.append(prompts[rows[int(near.argmax())]][:160])
    return chosen
