"""How often an answer that is right gets an up-vote: what the silence of those who read an answer is worth.

Of fifty users who read a right answer, seventeen like it where users rate, and one where hardly anybody does. So that
nobody of them liked it says that it is wrong in the one log, and nothing in the other. The share is measured on the
answers that nobody corrected, and taken low: the lower limit of all of them, or the mean over users where that is
smaller, so that a few users who like everything do not speak for the others. Answers are not liked equally often: the
number of up-votes is beta-binomial, its spread from the moments.

Source: Skellam (1948), JRSS B 10:257 (beta-binomial); Kleinman (1973), JASA 68:46 (moments).
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flywheel.components.statistics.binomial_bounds import lower_bound

LEAST_ANSWERS = 100  # given answers that nobody corrected; fewer do not show how users rate
_LEAST_OVERLAP, _MOST_OVERLAP = 0.001, 0.9  # correlation of two users' votes on one answer
_LARGEST = 5000  # users; beyond, more of them say nothing new
_AT_ONCE = 65_536  # texts


@dataclass(frozen=True)
class Approval:
    """How users of a log up-vote answers that are right.

    Attributes:
        share: Probability that a user up-votes a right answer, in (0, 1).
        spread: Sum of the beta's parameters; small when some right answers are liked far more than others.
        answers: Given answers that this rests on.
    """

    share: float
    spread: float
    answers: int

    def unliked_p(self, users: int, up_votes: int) -> float:
        """Probability that so few or fewer of the users who read a right answer up-vote it.

        Args:
            users: Users who read the answer; none or fewer show nothing (1).
            up_votes: Those of them who up-voted it.
        """
        from scipy.special import betaln, gammaln

        if up_votes >= users:
            return 1.0
        n = min(users, _LARGEST)
        x = np.arange(min(up_votes, n) + 1)
        a, b = self.share * self.spread, (1 - self.share) * self.spread
        ways = gammaln(n + 1) - gammaln(x + 1) - gammaln(n - x + 1)
        return min(1.0, float(np.exp(ways + betaln(x + a, n - x + b) - betaln(a, b)).sum()))


def of_log(interactions: pa.Table, feedback: pa.Table, corrected: Collection[str]) -> Approval | None:
    """Measure the approval of a log.

    Args:
        interactions: Rows of the store's `interactions` table.
        feedback: Rows of the store's `feedback` table.
        corrected: The answers that somebody corrected, as they were given; they are left out.
    """
    up = feedback.filter(pc.and_(pc.equal(feedback["kind"], "rating"), pc.greater(feedback["value"], 0)))
    liked = pc.is_in(interactions["interaction_id"], up["interaction_id"].combine_chunks()).to_numpy()
    left_out = pa.array(sorted({"", *corrected}), pa.string())
    kept = pc.invert(pc.is_in(interactions["response"], left_out)).to_numpy()
    return fit(_codes(interactions["response"])[kept], _codes(interactions["subject"])[kept], liked[kept])


def fit(answers: np.ndarray, subjects: np.ndarray, liked: np.ndarray) -> Approval | None:
    """Fit the law to given answers that nobody corrected.

    Args:
        answers: Which answer was given, as numbers from 0, shape (n,).
        subjects: To whom, as numbers from 0, shape (n,).
        liked: Whether the user up-voted it, shape (n,).

    Returns:
        The fit; None when there are fewer than `LEAST_ANSWERS`, or nobody likes anything.
    """
    n = liked.size
    ups = int(liked.sum())
    if n < LEAST_ANSWERS or ups == 0:
        return None
    asked = np.bincount(subjects)
    by_user = np.bincount(subjects, weights=liked)[asked > 0] / asked[asked > 0]
    pooled = ups / n
    share = min(lower_bound(ups, n), float(by_user.mean()))
    given = np.bincount(answers).astype(float)
    votes = np.bincount(answers, weights=liked)
    pairs = float((given * (given - 1)).sum())
    overlap = 0.0
    if pairs and pooled < 1:
        overlap = (float(((votes - given * pooled) ** 2).sum()) / (pooled * (1 - pooled)) - n) / pairs
    overlap = min(_MOST_OVERLAP, max(_LEAST_OVERLAP, overlap))
    return Approval(min(share, 0.999), 1 / overlap - 1, n)


def _codes(column: pa.ChunkedArray) -> np.ndarray:
    """A number for each distinct text, by first appearance, shape (n,); the texts are not held twice."""
    pieces = (piece for chunk in column.chunks for piece in pa.table([chunk], ["text"]).to_batches(_AT_ONCE))
    hashes = [np.fromiter(map(hash, piece["text"].to_pylist()), np.int64, piece.num_rows) for piece in pieces]
    _, first, codes = np.unique(
        np.concatenate([np.zeros(0, np.int64), *hashes]), return_index=True, return_inverse=True
    )
    # hashes of texts differ between processes, and with their order the last digits of the sums would
    place: np.ndarray = np.argsort(np.argsort(first))
    return place[codes] if codes.size else codes
