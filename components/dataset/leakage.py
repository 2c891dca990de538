"""Keep evaluation questions out of training data, and measure what would have leaked."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field


@dataclass
class Leakage:
    """Training rows that ask an evaluation question, per source, before and after the guard."""

    before: dict[str, int] = field(default_factory=dict)
    after: dict[str, int] = field(default_factory=dict)

    def details(self) -> dict[str, dict[str, int]]:
        """Render for the report."""
        return {"before": self.before, "after": self.after}


def count_leaks(keys: Iterable[str], evaluation_keys: Collection[str]) -> int:
    """Count the training rows whose question is an evaluation question."""
    return sum(key in evaluation_keys for key in keys)


def leaked_groups(training_units: Iterable[str], evaluation_units: Iterable[str]) -> set[str]:
    """Find near-duplicate groups that are on both sides of the split."""
    return set(training_units) & set(evaluation_units)
