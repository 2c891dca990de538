"""Connected components of graphs that do not fit into one process: alternating large-star and small-star over Daft.

Kiveris, Lattanzi, Mirrokni, Rastogi & Vassilvitskii (2014), "Connected Components in MapReduce and Beyond" (SoCC). Both
operations keep which nodes are connected; together they pull every node towards the least node of its component, until
the edges are stars: (node, least node of its component). O(log^2 n) rounds are proven for n nodes, about log n are
seen. A round is two group-bys and two joins, on whichever engine the process runs (`store.engine`); between rounds the
edges lie in Parquet files, so that the plan does not grow and no process holds them.
"""

import math
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from flywheel.components.store.engine import daft_module, workers

if TYPE_CHECKING:
    import daft


class NotConvergedError(RuntimeError):
    """The rounds that the theory allows did not suffice: the edges changed meanwhile, or there is a defect."""


def components(edges: "daft.DataFrame", folder: Path | None = None, partitions: int = 2) -> "daft.DataFrame":
    """Find the component of every node that has an edge to another one.

    Args:
        edges: Columns `left` and `right`, int64, in any order and direction; copies and loops are allowed.
        folder: Folder for the edges between rounds, that every worker reaches; None: Daft keeps them (on Ray in its
            object store, which spills to the workers' disks).
        partitions: Partitions that the edges have between rounds without a folder; else their number would double with
            every round.

    Returns:
        Columns `node` and `least`: the least node of its component, for every node that is not the least itself.

    Raises:
        NotConvergedError: More than (log2 n)^2 + 4 rounds for n edges.
    """
    daft = daft_module()
    left, right = daft.col("left"), daft.col("right")
    # From the larger node to the smaller one; nothing else is kept between rounds.
    oriented = edges.where(left != right).select(
        daft.functions.columns_max(left, right).alias("node"), daft.functions.columns_min(left, right).alias("least")
    )
    now = _settled(oriented.distinct(), folder, partitions, 0)
    rounds = int(math.log2(now.count_rows() + 2) ** 2) + 4
    for number in range(1, rounds + 1):
        if _are_stars(now):
            return now
        now = _settled(_small_star(_large_star(now)), folder, partitions, number)
    if _are_stars(now):
        return now
    raise NotConvergedError(f"connected components did not settle in {rounds} rounds; run the step again")


def connected(count: int, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Connected components of a graph, numbered by first appearance; the same as `edges.connected`.

    Args:
        count: Nodes.
        left: One end of each edge, shape (e,).
        right: The other end, shape (e,).

    Returns:
        Label of each node, shape (count,), int64.
    """
    daft = daft_module()
    pair = {"left": np.asarray(left, np.int64), "right": np.asarray(right, np.int64)}
    native = daft.runners.get_or_infer_runner_type() == "native"  # a cluster's workers cannot read this disk
    folder = Path(tempfile.mkdtemp(prefix="flywheel-components-")) if native else None
    try:
        found = components(daft.from_arrow(pa.table(pair)), folder, 1 if native else workers())
        least = np.arange(count)
        for part in found.to_arrow_iter():
            least[part["node"].to_numpy()] = part["least"].to_numpy()
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
    # The least node of a component is its first, so counting those gives the numbers by first appearance.
    first = least == np.arange(count)
    return (np.cumsum(first) - 1)[least]


def _large_star(edges: "daft.DataFrame") -> "daft.DataFrame":
    """Connect the greater neighbours of every node to the least node around it, itself included."""
    daft = daft_module()
    node, other, least = daft.col("node"), daft.col("other"), daft.col("least")
    forth = edges.select(node, least.alias("other"))
    both = forth.concat(forth.select(other.alias("node"), node.alias("other")))
    # Of every pair one end sees the other as smaller, so the least neighbour is looked up for each end.
    nearest = both.groupby("node").agg(other.min().alias("least"))
    nearest = nearest.select(node, daft.functions.columns_min(node, least).alias("least"))
    greater = both.where(other > node).join(nearest, on="node")
    return greater.select(other.alias("node"), least).where(node != least).distinct()


def _small_star(edges: "daft.DataFrame") -> "daft.DataFrame":
    """Connect every node and its smaller neighbours to the least of them."""
    daft = daft_module()
    node, other, least = daft.col("node"), daft.col("other"), daft.col("least")
    nearest = edges.groupby("node").agg(least.min().alias("least"))
    smaller = edges.select(node, least.alias("other")).join(nearest, on="node").where(other != least)
    return smaller.select(other.alias("node"), least).concat(nearest).distinct()


def _are_stars(edges: "daft.DataFrame") -> bool:
    """Whether every node has one edge, to a node that has none: then that one is the least of its component."""
    daft = daft_module()
    several = edges.groupby("node").agg(daft.col("least").count().alias("edges")).where(daft.col("edges") > 1)
    if several.limit(1).count_rows():
        return False
    ends = edges.select(daft.col("least").alias("node")).distinct()
    return int(ends.join(edges, on="node", how="semi").limit(1).count_rows()) == 0


def _settled(edges: "daft.DataFrame", folder: Path | None, partitions: int, number: int) -> "daft.DataFrame":
    """Compute a round's edges and let go of how they came about."""
    if folder is None:
        return edges.into_partitions(partitions).collect()
    daft = daft_module()
    here = folder / f"round-{number}"
    edges.write_parquet(str(here))
    if number:
        shutil.rmtree(folder / f"round-{number - 1}")
    return daft.read_parquet(str(here / "*.parquet"))
