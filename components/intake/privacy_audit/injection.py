"""Canaries and controls in the user's rows: each on a line of its own behind a made-up word that finds it again."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from flywheel.components.intake.privacy_audit.canary import Canary
from flywheel.components.intake.privacy_audit.controls import Control
from flywheel.components.intake.privacy_audit.host_rows import Host

_CONSONANTS, _VOWELS = "bdfgklmnprtvz", "aeiou"


@dataclass(frozen=True)
class Planted:
    """One canary or control and how to find it.

    Attributes:
        item: What was put in.
        marker: The made-up word on the line before it.
        place: Where in the row.
        row: Index of the row.
    """

    item: Canary | Control
    marker: str
    place: str
    row: int


def plant(
    rows: list[dict[str, Any]], items: list[Canary | Control], seed: int, into: Sequence[int] | None = None
) -> tuple[list[dict[str, Any]], list[Planted]]:
    """Put items into rows, evenly, at random places.

    Args:
        rows: The sample; changed in place.
        items: What to put in.
        seed: Of the order and the places.
        into: Indices of the rows that take items; None for all.

    Returns:
        The rows with the items, and where each went.
    """
    random = Random(f"injection {seed}")
    hosts = {index: Host(rows[index]) for index in (range(len(rows)) if into is None else into)}
    indices = list(hosts)
    order = list(items)
    random.shuffle(order)
    planted = []
    markers: set[str] = set()
    for number, item in enumerate(order):
        row = indices[number % len(indices)]
        place = random.choice(hosts[row].places)
        marker = _marker(random, markers)
        place.add(f"{marker}\n{item.sentence}")
        planted.append(Planted(item, marker, place.name, row))
    return [hosts[index].finished() if index in hosts else row for index, row in enumerate(rows)], planted


def _marker(random: Random, taken: set[str]) -> str:
    while True:
        word = "q" + "".join(random.choice(letters) for letters in (_VOWELS, _CONSONANTS) * 6)
        if word not in taken:
            taken.add(word)
            return word
