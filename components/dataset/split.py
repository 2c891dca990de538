"""Which corrections are held out: whole groups of near-duplicates, by hash, so that no question is on both sides."""

import hashlib
from collections.abc import Iterable, Sequence

from flywheel.components.dataset.corrections import Correction


def units(corrections: Sequence[Correction]) -> dict[str, str]:
    """Join near-duplicate groups that share a question into the units that the split may not cut.

    Args:
        corrections: Accepted corrections with group and question key.

    Returns:
        Candidate id -> unit, named after the smallest group id in it (connected components by union-find).
    """
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        parent.setdefault(name, name)
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for item in corrections:
        group, question = root(f"g{item.group_id}"), root(f"q{item.key}")
        parent[max(group, question)] = min(group, question)  # "g" < "q": a group is always the root
    return {item.candidate_id: root(f"g{item.group_id}")[1:] for item in corrections}


def share_of(unit: str, seed: int) -> float:
    """Map a unit to [0, 1), evenly and for ever the same: the first 53 bits of SHA-256 over seed and name."""
    word = hashlib.sha256(f"{seed}\0{unit}".encode()).digest()
    return (int.from_bytes(word[:8], "big") >> 11) / 2**53


def held_out(names: Iterable[str], test_share: float, seed: int) -> frozenset[str]:
    """Choose the units that evaluate and never train.

    By hash, not by rank: a unit stays on its side when others come and go, so what was held out in one turn of the
    flywheel is not trained on in the next. With two units or more, each side gets at least one.

    Args:
        names: Units.
        test_share: Expected share of the units held out, 0 to below 1; 0 holds nothing out.
        seed: Chooses another split.

    Returns:
        The units held out; their number is binomial around `test_share` times the number of units.

    Raises:
        ValueError: The share is not in [0, 1).
    """
    if not 0 <= test_share < 1:
        raise ValueError(f"test_share is {test_share}; give a share from 0 to below 1")
    ranked = sorted(set(names), key=lambda name: (share_of(name, seed), name))
    if test_share == 0 or len(ranked) < 2:
        return frozenset()
    chosen = sum(share_of(name, seed) < test_share for name in ranked)
    return frozenset(ranked[: min(max(chosen, 1), len(ranked) - 1)])
