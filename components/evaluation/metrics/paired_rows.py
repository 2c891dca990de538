"""Rows of a score table, both arms side by side: what a measure compares."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Column = NDArray[np.float64]


@dataclass(frozen=True)
class ArmColumns:
    """One model on n items; every column has shape (n,).

    Attributes:
        correct: Share of right answers over the item's samples, in [0, 1]; 0 or 1 with one sample.
        unsafe: 1 where any answer is unsafe (suite attack: where the attack succeeded), else 0.
        tokens: Tokens of the answer, mean over the samples.
        latency_ms: Milliseconds of a single request; NaN where it was not measured.
        samples: Answers per item, 1 or more.
        prompt_tokens: Tokens of the question; 0 where they were not counted.
        helpful: A judge's score in [0, 1]; NaN where no judge was asked.
        human: A person's score in [0, 1]; NaN where no person was asked.
        attempts: Suite attack: prompts that the attacker tried; NaN elsewhere.
    """

    correct: Column
    unsafe: Column
    tokens: Column
    latency_ms: Column
    samples: Column
    prompt_tokens: Column
    helpful: Column
    human: Column
    attempts: Column

    @property
    def majority(self) -> Column:
        """1 where more than half of an item's answers are right, else 0."""
        return (self.correct > 0.5).astype(np.float64)


@dataclass(frozen=True)
class PairedRows:
    """Candidate and production on the same n items.

    Attributes:
        item_id: Ids, shape (n,).
        suite: Suites, shape (n,).
        cluster: Independent unit of each item, numbered in the order of the units' names, shape (n,).
        slices: Dimension to the value of each item, shape (n,); "" where an item has none.
        production: Production's columns.
        candidate: Candidate's columns.
        preference: Words of a judge, candidate's answer shown first and shown second: "candidate", "production" or
            "tie", each of shape (n,); "" where no judge was asked.
    """

    item_id: NDArray[np.str_]
    suite: NDArray[np.str_]
    cluster: NDArray[np.int64]
    slices: dict[str, NDArray[np.str_]]
    production: ArmColumns
    candidate: ArmColumns
    preference: tuple[NDArray[np.str_], ...]

    @property
    def n(self) -> int:
        """Number of items."""
        return int(self.item_id.size)
