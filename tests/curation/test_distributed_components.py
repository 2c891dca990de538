"""Components over Daft against scipy's, on graphs of every awkward form."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.components.curation.duplicates import distributed_components, edges, groupings
from flywheel.components.store.engine import daft_module


def shapes(dice):
    """Disjoint graphs, their nodes renumbered by chance: (nodes, edges)."""
    path = [(i, i + 1) for i in range(300)]
    star = [(0, i) for i in range(1, 80)]
    clique = [(i, j) for i in range(20) for j in range(i)]
    tree = [(i, (i - 1) // 2) for i in range(1, 63)]
    ring = [(i, (i + 1) % 50) for i in range(50)]
    loops = [(0, 0), (1, 1), (0, 1), (1, 0), (0, 1)]
    start, found = 0, []
    for graph in (path, star, clique, tree, ring, loops):
        size = max(map(max, graph)) + 1
        found += [(a + start, b + start) for a, b in graph]
        start += size + 2  # two nodes without an edge
    pairs = dice.permutation(start)[np.array(found)]
    return start, dice.permutation(pairs)


@pytest.mark.parametrize("seed", range(3))
def test_paths_stars_cliques_trees_rings_and_loops(seed):
    count, pairs = shapes(np.random.default_rng(seed))
    found = distributed_components.connected(count, pairs[:, 0], pairs[:, 1])
    assert np.array_equal(found, edges.connected(count, pairs[:, 0], pairs[:, 1]))
    assert found.max() + 1 == 6 + 2 * 6


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=60), st.integers(0, 3))
def test_equals_scipy_on_any_graph(pairs, more):
    left, right = np.array(pairs, np.int64).reshape(-1, 2).T
    count = 41 + more
    found = distributed_components.connected(count, left, right)
    assert np.array_equal(found, edges.connected(count, left, right))


def test_rounds_lie_in_the_folder_and_only_the_last_stays(tmp_path):
    daft = daft_module()
    ends = {"left": list(range(64)), "right": list(range(1, 65))}
    found = distributed_components.components(daft.from_pydict(ends), tmp_path).to_pydict()
    assert sorted(found["node"]) == list(range(1, 65))
    assert set(found["least"]) == {0}
    (left,) = tmp_path.iterdir()
    assert int(left.name.removeprefix("round-")) >= 3  # a path takes several rounds, and their files are gone
    kept = distributed_components.components(daft.from_pydict(ends)).to_pydict()
    assert sorted(zip(kept["node"], kept["least"], strict=True)) == sorted(
        zip(found["node"], found["least"], strict=True)
    )


def test_edges_that_never_settle_are_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(distributed_components, "_large_star", lambda pairs: pairs)
    monkeypatch.setattr(distributed_components, "_small_star", lambda pairs: pairs)
    with pytest.raises(distributed_components.NotConvergedError, match="did not settle in 8 rounds"):
        daft = daft_module()
        distributed_components.components(daft.from_pydict({"left": [0, 1], "right": [1, 2]}), tmp_path)


def test_deduplication_gives_the_same_groups_beyond_the_bound(monkeypatch):
    labels = [np.array(one) for one in ([0, 1, 1, -1, 2, 0], [1, 1, 2, 3, 4, 5], [-1, 0, -1, 0, 1, 1])]
    inside = groupings._joined(*labels)
    monkeypatch.setattr(edges, "MOST_EDGES", 0)
    asked = []
    over_daft = distributed_components.connected
    monkeypatch.setattr(distributed_components, "connected", lambda *a: asked.append(len(a[1])) or over_daft(*a))
    assert groupings._joined(*labels).tolist() == inside.tolist() == [0, 0, 0, 0, 0, 0]
    assert asked == [15]
