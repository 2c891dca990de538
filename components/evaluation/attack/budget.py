"""What an attack may spend."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Budget:
    """What the attacker may spend; the same on both models.

    Attributes:
        seeds: Seed items at most.
        queries: Prompts per seed and model in the search.
        generation: Prompts per seed between two looks at what worked.
        transfers: Prompts per seed that cross to the other model at least; every success crosses.
        controls: Benign controls made of harmless items.
        seed: Seed of all chance.
    """

    seeds: int = 120
    queries: int = 10
    generation: int = 5
    transfers: int = 1
    controls: int = 200
    seed: int = 7
