"""Evaluation items as columns: which suite, which cluster, which slice; the same before and after they are answered."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ItemColumns:
    """Columns of shape (n,).

    Attributes:
        item_id: Ids.
        suite: Suites.
        cluster: Name of the independent unit of each item.
        slices: Dimension to the value of each item; "" where an item has no value.
    """

    item_id: NDArray[np.str_]
    suite: NDArray[np.str_]
    cluster: NDArray[np.str_]
    slices: dict[str, NDArray[np.str_]]

    def mask(self, suites: Sequence[str]) -> NDArray[np.bool_]:
        """Tell which rows belong to one of the suites."""
        return np.isin(self.suite, list(suites))

    @cached_property
    def cluster_codes(self) -> NDArray[np.int64]:
        """Clusters as numbers, in the order of their names: every metric needs them, and text is slow to sort."""
        return np.unique(self.cluster, return_inverse=True)[1].astype(np.int64).ravel()

    @cached_property
    def _slice_codes(self) -> dict[str, tuple[NDArray[np.str_], NDArray[np.int64]]]:
        return {}

    def slice_codes(self, dimension: str) -> tuple[NDArray[np.str_], NDArray[np.int64]]:
        """Return the values of a slice dimension in order and, per row, the place of its value among them."""
        if dimension not in self._slice_codes:
            values = self.slices.get(dimension, np.full(self.item_id.size, "", dtype=np.str_))
            names, codes = np.unique(values, return_inverse=True)
            self._slice_codes[dimension] = (names, codes.astype(np.int64).ravel())
        return self._slice_codes[dimension]
