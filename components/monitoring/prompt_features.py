"""Prompts as numbers: TF-IDF over words and letter groups, learnt from both windows without telling them apart.

That the features do not know the windows is what keeps the tests honest: fitted on the reference alone, they would
fit it better than the current window even when nothing changed.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_ROWS = 20_000
"""Rows that the input tests look at, half of each window; of more a random part, so that a step's time is bounded."""

_WORDS = r"(?u)\b[^\W\d_]{2,}\b"


@dataclass(frozen=True)
class PromptFeatures:
    """Features of prompts.

    Attributes:
        words: TF-IDF of words, sparse, shape (n, w), rows of unit length.
        terms: The words, length w.
        letters: TF-IDF of words and of groups of 3 to 5 letters, sparse, shape (n, v), rows of unit length.
    """

    words: Any
    terms: NDArray[Any]
    letters: Any


def prompt_features(prompts: list[str]) -> PromptFeatures | None:
    """Turn prompts into features.

    Args:
        prompts: Texts in any language.

    Returns:
        The features; None if the prompts hold no words at all.
    """
    from scipy.sparse import hstack
    from sklearn.feature_extraction.text import TfidfVectorizer

    cleaned = [prompt[:2000].lower() for prompt in prompts]
    least = 2 if len(prompts) >= 200 else 1
    shared = {"min_df": least, "sublinear_tf": True, "dtype": np.float32}
    by_letters = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), max_features=30_000, **shared)
    words = None
    # English function words are left out by a list, others by being everywhere; if nothing is left, all words count.
    for left_out in ({"stop_words": "english", "max_df": 0.5}, {}):
        by_word = TfidfVectorizer(token_pattern=_WORDS, max_features=20_000, **shared, **left_out)
        try:
            words = by_word.fit_transform(cleaned)
            letters = by_letters.fit_transform(cleaned)
            break
        except ValueError:  # scikit-learn's word for "empty vocabulary"
            continue
    if words is None:
        return None
    both = hstack([words, letters]).tocsr() * np.float32(np.sqrt(0.5))
    return PromptFeatures(words=words.tocsr(), terms=by_word.get_feature_names_out(), letters=both)


def thin(current: NDArray[np.bool_], seed: int) -> NDArray[np.int64]:
    """Choose the rows that an input test looks at: at most MAX_ROWS / 2 of each window, at random, whatever they hold.

    Args:
        current: Whether a row is in the current window, shape (n,).
        seed: Seed of the choice.

    Returns:
        Row numbers, rising.
    """
    random = np.random.default_rng(seed)
    kept = []
    for window in (np.flatnonzero(current), np.flatnonzero(~current)):
        most = MAX_ROWS // 2
        kept.append(window if window.size <= most else random.choice(window, most, replace=False))
    return np.sort(np.concatenate(kept)).astype(np.int64)
