"""Who asks: about 300 users with habits, some of whom log in with an e-mail address."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeVar

Item = TypeVar("Item")

_FIRST = (
    "amira",
    "boris",
    "chen",
    "dalia",
    "emil",
    "farah",
    "goran",
    "hana",
    "ivo",
    "jana",
    "karim",
    "lotte",
    "milan",
    "nadia",
    "oskar",
    "petra",
    "quinn",
    "rosa",
    "samir",
    "tessa",
    "ugo",
    "vera",
    "wanda",
    "xenia",
    "yusuf",
    "zora",
)
_LAST = (
    "abel",
    "brandt",
    "costa",
    "dietz",
    "eriksen",
    "fischer",
    "garcia",
    "huber",
    "ivanov",
    "jansen",
    "keller",
    "lindt",
    "moreau",
    "novak",
    "olsen",
    "pereira",
    "rossi",
    "santos",
    "toth",
    "urban",
    "vogel",
    "weiss",
)


@dataclass(frozen=True)
class User:
    """One user and how they behave.

    Attributes:
        name: What the log holds as `user`; an e-mail address for some.
        activity: Relative number of questions.
        rates: Probability of a thumb after an answer.
        corrects: Probability of writing the right answer when the answer is known to be wrong.
        sloppy: Probability of typing a question sloppily.
    """

    name: str
    activity: float
    rates: float
    corrects: float
    sloppy: float


def users(count: int, seed: int, corrects: float = 0.7) -> list[User]:
    """Make the users.

    Args:
        count: Users.
        seed: The world's seed.
        corrects: Mean probability of correcting a known mistake.

    Returns:
        Users in a fixed order; about one in eight is named by an e-mail address.
    """
    random = Random(f"{seed}:users:{count}")
    made: list[User] = []
    for number in range(count):
        name = f"user-{number:04d}"
        if random.random() < 0.12:
            name = (
                f"{random.choice(_FIRST)}.{random.choice(_LAST)}{number}@example.{random.choice(('com', 'org', 'net'))}"
            )
        made.append(
            User(
                name=name,
                activity=random.paretovariate(2.5),
                rates=random.uniform(0.15, 0.75),
                corrects=min(1.0, max(0.0, random.gauss(corrects, 0.2))),
                sloppy=random.choice((0.0, 0.05, 0.1, 0.3)),
            )
        )
    return made


def popularity(items: Sequence[Item], random: Random, exponent: float = 0.6) -> dict[Item, float]:
    """Give items Zipf-like weights (rank to the power of -exponent) in a random order of ranks."""
    order = list(items)
    random.shuffle(order)
    return {item: (rank + 1) ** -exponent for rank, item in enumerate(order)}
