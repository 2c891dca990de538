"""Canaries and controls in the user's rows: each on a line of its own behind a made-up word that finds it again."""

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
    """

    item: Canary | Control
    marker: str
    place: str


def plant(
    rows: list[dict[str, Any]], items: list[Canary | Control], seed: int
) -> tuple[list[dict[str, Any]], list[Planted]]:
    """Put items into rows, evenly, at random places.

    Args:
        rows: The sample; changed in place.
        items: What to put in.
        seed: Of the order and the places.

    Returns:
        The rows with the items, and where each went.
    """
    random = Random(f"injection {seed}")
    hosts = [Host(row) for row in rows]
    order = list(items)
    random.shuffle(order)
    planted = []
    markers: set[str] = set()
    for number, item in enumerate(order):
        place = random.choice(hosts[number % len(hosts)].places)
        marker = _marker(random, markers)
        place.add(f"{marker}\n{item.sentence}")
        planted.append(Planted(item, marker, place.name))
    return [host.finished() for host in hosts], planted


def _marker(random: Random, taken: set[str]) -> str:
    while True:
        word = "q" + "".join(random.choice(letters) for letters in (_VOWELS, _CONSONANTS) * 6)
        if word not in taken:
            taken.add(word)
            return word
