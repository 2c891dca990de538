"""Can a classifier tell the current prompts from the reference prompts of other users?

The classifier is a nearest-centroid one on TF-IDF of words and letter groups: a prompt's margin is its inner product
with (mean of the current minus mean of the reference prompts), where the means leave out its own user. The mean margin
is then a sum over pairs of different users of psi_u . psi_v, which makes a full refit under every one of thousands of
sign flips one matrix product; fixed AUC cut-offs (0.55 and the like) are not used, because they ignore n.
It is the linear-kernel MMD with users as units: Gretton et al. (2012), JMLR 13:723; sign flips as in `user_flips`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flywheel.components.monitoring import user_flips, windows
from flywheel.components.monitoring.prompt_features import PromptFeatures

MAX_USERS = 1000
"""Users in the test; of more, a random part, because its cost is quadratic in them."""


@dataclass(frozen=True)
class DomainShift:
    """How well the windows can be told apart.

    Attributes:
        auc: Chance that a current prompt has a larger margin than a reference prompt, each scored by a classifier
            that never saw its user; 0.5 when nothing changed.
        p_value: p-value of the sign-flip test over users.
        exemplars: Current prompts with the largest margins that may be shown: what is new.
    """

    auc: float
    p_value: float
    exemplars: list[str]


def compare_prompts(
    features: PromptFeatures,
    current: NDArray[np.bool_],
    users: NDArray[np.int64],
    prompts: list[str],
    may_be_shown: NDArray[np.bool_],
    flips: int,
    seed: int,
    shown: int = 6,
) -> DomainShift | None:
    """Test whether the prompts' distribution moved.

    Args:
        features: Features of the prompts.
        current: Whether a row is in the current window, shape (n,).
        users: User of each row in 0..U-1, shape (n,).
        prompts: The prompts, length n.
        may_be_shown: Whether the user consented, shape (n,).
        flips: Random flips of users.
        seed: Seed of the flips and of the choice of users.
        shown: Most exemplars.

    Returns:
        AUC, p-value and exemplars; None if of the users looked at too few are in one of the windows.
    """
    from scipy import sparse, stats

    keep = _some_users(users, seed)
    x, mask = features.letters[keep], current[keep]
    if not windows.big_enough(users[keep], mask):
        return None
    people, who = np.unique(users[keep], return_inverse=True)
    weights = user_flips.row_weights(mask)
    sums = sparse.csr_matrix((weights, (who, np.arange(who.size))), shape=(people.size, who.size))
    raw = (sums @ x).tocsr()  # user sums of weighted prompts, shape (U, v)
    middle = np.asarray(x.mean(axis=0)).ravel()
    load = np.asarray(sums.sum(axis=1)).ravel()
    # Gram matrix of the centred contributions psi_u = raw_u - load_u * middle, without making them dense.
    cross = np.outer(np.asarray(raw @ middle).ravel(), load)
    gram = (raw @ raw.T).toarray() - cross - cross.T + np.outer(load, load) * float(middle @ middle)
    np.fill_diagonal(gram, 0)
    dust = 1e-6 * float(raw.multiply(raw).sum())
    p_value = _quadratic_p(gram, dust, flips, seed)
    direction = np.asarray(raw.sum(axis=0)).ravel() - load.sum() * middle
    own = np.asarray(x.multiply(raw[who]).sum(axis=1)).ravel() - load[who] * np.asarray(x @ middle).ravel()
    margins = np.asarray(x @ direction).ravel() - own
    ranks = stats.rankdata(margins)
    inside = int(mask.sum())
    auc = (ranks[mask].sum() - inside * (inside + 1) / 2) / (inside * (mask.size - inside))
    exemplars: list[str] = []
    for place in np.argsort(-margins, kind="stable"):
        row = int(keep[place])
        if mask[place] and may_be_shown[row] and prompts[row][:160] not in exemplars:
            exemplars.append(prompts[row][:160])
        if len(exemplars) == shown:
            break
    return DomainShift(auc=float(auc), p_value=p_value, exemplars=exemplars)


def _some_users(users: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    people = np.unique(users)
    if people.size <= MAX_USERS:
        return np.arange(users.size, dtype=np.int64)
    chosen = np.random.default_rng(seed).choice(people, MAX_USERS, replace=False)
    return np.flatnonzero(np.isin(users, chosen)).astype(np.int64)


def _quadratic_p(gram: NDArray[np.float64], dust: float, flips: int, seed: int) -> float:
    """p-value of 1'G1 among e'Ge over random sign vectors e; what differs by rounding dust counts as equal."""
    bar = float(gram.sum()) - dust
    random = np.random.default_rng(seed)
    small = gram.astype(np.float32)
    hits, done = 0, 0
    while done < flips:
        size = min(2048, flips - done)
        signs = random.integers(0, 2, size=(size, gram.shape[0]), dtype=np.int8).astype(np.float32) * 2 - 1
        hits += int((np.einsum("bu,bu->b", signs @ small, signs) >= bar).sum())
        done += size
    return (hits + 1) / (flips + 1)
