"""Ids that last: matching to the run before, and what is kept of it in the store."""

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest

from flywheel.components.contracts.lineage import StepRecord
from flywheel.components.curation.clustering import clusters, matching, roster
from flywheel.components.curation.encoders import encoder
from flywheel.components.store import lineage
from tests.curation.conftest import START
from tests.curation.test_clusters import exchanges


def by_name(found):
    return {word: one for one in found.clusters for word in ("warranty", "parcel", "battery") if word in one.name}


def test_ids_mean_the_same_topic_in_the_next_run():
    first = clusters.cluster(exchanges(1), "r1")
    second = clusters.cluster(exchanges(2, 50), "r2", known=first.roster)
    then, now = by_name(first), by_name(second)
    assert {word: one.id for word, one in then.items()} == {word: one.id for word, one in now.items()}
    assert {one.change for one in second.clusters} == {"kept"}
    assert {(one.count_before, one.count) for one in second.clusters} == {(30, 50)}
    assert all(one.similarity > 0.9 for one in second.clusters)
    assert not second.gone
    assert second.roster.given == 3


def test_what_goes_is_told_and_keeps_its_id_for_when_it_comes_back():
    first = clusters.cluster(exchanges(1), "r1")
    without = clusters.cluster(exchanges(2, 40, ("parcel", "battery")), "r2", known=first.roster)
    lost = by_name(first)["warranty"].id
    assert without.gone == [lost]
    again = clusters.cluster(exchanges(3), "r3", known=without.roster)
    assert (by_name(again)["warranty"].id, by_name(again)["warranty"].change) == (lost, "back")
    assert again.roster.given == 3


def test_a_new_topic_gets_an_id_that_was_never_given():
    first = clusters.cluster(exchanges(1, 30, ("parcel", "battery")), "r1")
    second = clusters.cluster(exchanges(2), "r2", known=first.roster)
    new = by_name(second)["warranty"]
    assert (new.id, new.change, new.count_before) == ("c03", "new", None)


def known_of(vectors, **more):
    members = tuple(roster.Member(f"c{n + 1:02d}", f"n{n}", np.array(v, np.float32)) for n, v in enumerate(vectors))
    mean = np.mean([member.centroid for member in members], axis=0)
    return roster.Roster("r1", "hashed", np.ones(4, np.float32) / 2, mean, members, len(members), **more)


def test_splits_and_mergers_are_told():
    axes = np.eye(6)
    known = known_of([(axes[0] + axes[1]) / 2, axes[2], axes[3]])
    more, less = 0.7 * axes[0] + 0.3 * axes[1], 0.2 * axes[0] + 0.8 * axes[1]
    split = matching.match(np.array([less, more, axes[2], axes[3]]), [0, 1, 2, 3], known, "c", True)
    assert split.change == ["split", "kept", "kept", "kept"]
    assert (split.ids[1], split.ids[0], split.origin[0]) == ("c01", "c04", "c01")
    assert not split.gone
    assert not split.merged
    known = known_of(axes)
    merged = matching.match(np.array([*axes[:4], 0.55 * axes[4] + 0.45 * axes[5]]), [0, 1, 2, 3, 4], known, "c", True)
    assert merged.ids == ["c01", "c02", "c03", "c04", "c05"]
    assert merged.merged == {"c06": "c05"}
    assert merged.gone == []


def test_a_cluster_that_falls_into_equal_parts_lives_on_in_them():
    axes = np.eye(8)
    known = known_of([axes[:3].mean(axis=0), axes[3], axes[4]])
    parts = matching.match(axes[:5], [0, 1, 2, 3, 4], known, "c", True)
    assert parts.origin[:3].count("c01") >= 2
    assert not parts.gone
    assert not parts.merged


def test_the_assignment_is_the_best_one_of_all_together():
    """Taking the best pair first would leave the second cluster without the id that fits it."""
    known = known_of([[1, 0, 0, 0], [0.55, 0.84, 0, 0], [0, 0, 1, 0]])
    new = np.array([[0.9, 0.45, 0, 0], [1, -0.3, 0, 0], [0, 0, 1, 0]])
    assert matching.match(new, [0, 1, 2], known, "c", True).ids == ["c02", "c01", "c03"]


def test_nothing_below_the_floor_keeps_an_id():
    known = known_of(np.eye(4)[:2])
    found = matching.match(np.array([[0, 0, 1, 0.2], [0, 0, 0.2, 1]]), [1, 0], known, "c", True)
    assert found.change == ["new", "new"]
    assert found.ids == ["c04", "c03"]
    assert found.gone == ["c01", "c02"]


def test_centroids_of_another_encoder_are_never_compared(monkeypatch):
    first = clusters.cluster(exchanges(1), "r1")
    machine = encoder("hashed")
    assert first.roster.speaks(machine)
    assert not replace(first.roster, encoder="minilm").speaks(machine)
    assert not replace(first.roster, probe=np.roll(first.roster.probe, 1)).speaks(machine)
    monkeypatch.setattr(matching, "similarities", lambda *_: pytest.fail("compared"))
    other = clusters.cluster(exchanges(1), "r2", known=replace(first.roster, encoder="minilm"))
    assert [one.change for one in other.clusters] == ["new"] * 3
    assert {one.id for one in other.clusters} == {"c04", "c05", "c06"}
    assert "every cluster has a new id" in other.note
    assert sorted(other.gone) == ["c01", "c02", "c03"]
    assert {member.id for member in other.roster.members} == {"c04", "c05", "c06"}


def test_a_roster_survives_json_and_a_broken_one_is_refused():
    made = clusters.cluster(exchanges(1), "r1").roster
    read = roster.Roster.from_json(made.to_json())
    assert (read.run_id, read.given, [m.id for m in read.members]) == ("r1", 3, [m.id for m in made.members])
    for a, b in zip(read.members, made.members, strict=True):
        cosine = float(a.centroid @ b.centroid / np.linalg.norm(a.centroid) / np.linalg.norm(b.centroid))
        assert cosine > 0.999
    with pytest.raises(ValueError, match="cannot be read from its step record"):
        roster.Roster.from_json(made.to_json() | {"mean": {"scale": 1, "int8": "?"}})


def test_a_gone_cluster_is_forgotten_after_some_runs():
    made = known_of(np.eye(4)[:2])
    for _ in range(roster.KEPT):
        made = replace(made, members=made.aged({"c01"}))
        assert [member.id for member in made.members] == ["c01"]
    assert made.aged({"c01"}) == ()


def left(store: str, run_id: str, step: str, at: datetime, rosters=None) -> None:
    details = {"rosters": {"failures": rosters.to_json()}} if rosters else {}
    lineage.record_step(store, StepRecord(run_id=run_id, step=step, started_at=at, finished_at=at, details=details))


def test_the_run_before_is_the_same_for_every_attempt(tmp_path):
    store = str(tmp_path)
    assert roster.previous(store, "r2") == {}
    left(store, "r0", roster.STEP, START)  # of a version that left no roster
    assert roster.previous(store, "r2") == {}
    left(store, "r1", roster.STEP, START + timedelta(hours=1), known_of(np.eye(4)))
    left(store, "r2", "deduplicate_feedback", START + timedelta(hours=2))
    assert roster.previous(store, "r2")["failures"].run_id == "r1"
    assert roster.previous(store, "r1") == {}
    left(store, "r3", roster.STEP, START + timedelta(hours=3), replace(known_of(np.eye(4)), run_id="r3"))
    left(store, "r2", roster.STEP, START + timedelta(hours=4), replace(known_of(np.eye(4)), run_id="r2"))
    left(store, "r2", "deduplicate_feedback", START + timedelta(hours=5))
    assert roster.previous(store, "r2")["failures"].run_id == "r1"
    assert roster.previous(store, "r4")["failures"].run_id == "r2"
