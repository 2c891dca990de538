"""How long a request is tried again, and with what pauses."""

import random
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Patience:
    """Bounds of trying again: a request is given up after `seconds`, never earlier than after two tries."""

    seconds: float = 60.0
    first: float = 0.2  # upper end of the first pause
    most: float = 10.0  # upper end of every later one

    def pauses(self) -> Iterator[float]:
        """Yield pauses with full jitter, doubling: clients that failed together do not come back together.

        Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
        """
        ceiling = self.first
        while True:
            yield random.uniform(ceiling / 4, ceiling)
            ceiling = min(self.most, 2 * ceiling)


SHORT = Patience(seconds=10.0, most=2.0)
