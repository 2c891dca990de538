"""Latency as a user meets it: one request at a time, both models in turns, on a random part of the items.

The share of a batch's time is no latency: nobody waits for it. Both models are loaded and take turns on each item, the
order alternating, so that a machine that slows down slows both. Each item is measured twice per model, in opposite
order, and the shorter time counts: noise of the machine only ever adds.
"""

from collections.abc import Sequence
from random import Random

from flywheel.components.contracts.dataset import EvaluationItem
from flywheel.components.evaluation.generate import Generator

WARM_UP = 3
"""Requests per model that are made first and not counted: they pay for lazy initialisation."""


def measure(
    production: Generator, candidate: Generator, items: Sequence[EvaluationItem], sample: int, seed: int
) -> dict[str, tuple[float, float]]:
    """Measure single-request latency of both models.

    Args:
        production: Production, loaded.
        candidate: Candidate, loaded.
        items: All items.
        sample: Items to measure; all when there are fewer.
        seed: Seed of the choice.

    Returns:
        Item id to (production, candidate) latency, milliseconds.
    """
    chosen = Random(seed).sample(list(items), min(sample, len(items)))
    for item in chosen[:WARM_UP]:
        production.latency_ms(item)
        candidate.latency_ms(item)
    found: dict[str, tuple[float, float]] = {}
    for place, item in enumerate(chosen):
        arms = [production, candidate]
        if place % 2:
            arms.reverse()
        there, back = [arm.latency_ms(item) for arm in arms], [arm.latency_ms(item) for arm in reversed(arms)]
        best = [min(there[0], back[1]), min(there[1], back[0])]
        if place % 2:
            best.reverse()
        found[item.item_id] = (best[0], best[1])
    return found
