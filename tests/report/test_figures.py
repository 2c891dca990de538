"""The figures are what the records and tables say, recomputed here by other means."""

import json
import math
import subprocess
import sys

import pytest

from flywheel.components.contracts.feedback import SIMULATED_SOURCE
from flywheel.components.report.figures import figures
from flywheel.components.report.wilson_interval import wilson_interval
from flywheel.components.store import delta_table, lineage


def made(turn, story, **more):
    store, registry = turn(story, **more)
    return figures(store, registry, "assistant", story), store


def test_satisfaction_is_recomputed_from_the_table(turn):
    found, store = made(turn, "good")
    rows = delta_table.read(delta_table.latest(store, "feedback")).to_pylist()
    ratings = [row for row in rows if row["kind"] == "rating" and row["source"] == "log"]
    days = {}
    for row in ratings:
        up, down = days.get(row["timestamp"].date().isoformat(), (0, 0))
        days[row["timestamp"].date().isoformat()] = (up + (row["value"] > 0), down + (row["value"] < 0))
    assert {one["day"]: (one["up"], one["down"]) for one in found["satisfaction"]["periods"]} == days
    total = found["satisfaction"]["total"]
    assert total["rated"] == len(ratings) == total["up"] + total["down"] + total["neutral"]
    assert total["share"] == pytest.approx(sum(row["value"] > 0 for row in ratings) / len(ratings))
    assert total["lower"] < total["share"] < total["upper"]


def test_canary_arms_are_recomputed_from_the_tables(turn):
    found, store = made(turn, "good")
    answers = delta_table.read(delta_table.latest(store, "interactions")).to_pylist()
    arm = {
        row["interaction_id"]: json.loads(row["attributes"])["arm"]
        for row in answers
        if row["source"] == SIMULATED_SOURCE
    }
    ratings = delta_table.read(delta_table.latest(store, "feedback")).to_pylist()
    for name in ("production", "candidate"):
        own = [r["value"] for r in ratings if r["kind"] == "rating" and arm.get(r["interaction_id"]) == name]
        told = found["satisfaction"]["canary"][name]
        assert (told["up"], told["down"]) == (sum(v > 0 for v in own), sum(v < 0 for v in own))
        assert told["answers"] == sum(value == name for value in arm.values())


def test_borders_are_the_records_rows_and_conserve(turn):
    found, store = made(turn, "good")
    rows = {record.step: record.rows for record in lineage.steps(store, "good") if record.rows is not None}
    assert {line["step"] for line in found["borders"]} == rows.keys()
    for line in found["borders"]:
        parts = line["accepted"] + line["duplicates"] + line["in_review"] + sum(line["quarantined"].values())
        assert parts == line["rows_in"] == rows[line["step"]].rows_in
        assert line["conserved"]
        assert line.get("continuous", True)


def test_verdict_canary_and_lineage_are_taken_over(turn):
    found, store = made(turn, "good")
    records = {record.step: record for record in lineage.steps(store, "good")}
    assert found["verdict"] == records["decide_verdict"].details["verdict"]
    assert found["canary"]["looks"] == records["run_canary"].details["rollout"]["looks"]
    origin = found["lineage"]
    assert origin["weights"]["dataset_digest"] == origin["dataset"]["digest"]
    assert origin["dataset"]["candidates"] == 403
    assert origin["registry"]["version"] == 2
    assert origin["registry"]["aliases"] == {"production": 2, "previous": 1}
    assert [event["kind"] for event in origin["registry"]["trail"]]


@pytest.mark.parametrize(
    ("story", "decision", "decided"),
    [("good", "promoted", None), ("harmful", "rolled back", "canary"), ("ambiguous", "held", "gauntlet"),
     ("hold", "held", "contract"), ("contract", "held", "contract"), ("crash", "failed", "training")],
)  # fmt: skip
def test_stories(turn, story, decision, decided):
    found, _ = made(turn, story, tables=False)
    assert found["outcome"]["decision"] == decision
    marked = [one["key"] for one in found["loop"] if one["state"] in ("decided", "failed")]
    assert marked == ([decided] if decided else [])


def test_nothing_at_all(tmp_path):
    found = figures(str(tmp_path / "none"), f"sqlite:///{tmp_path / 'none.db'}", "assistant", "r")
    assert found["outcome"]["decision"] == "failed"
    assert found["steps"] == found["borders"] == []
    assert found["lineage"]["registry"] is None
    assert not [one for one in found["loop"] if one["state"] != "idle"]
    assert not (tmp_path / "none").exists(), "reading made a store"
    assert not (tmp_path / "none.db").exists(), "reading made a registry"


def test_a_remote_registry_that_cannot_be_read_is_no_reason_to_fail(turn):
    store, _ = turn("hold", tables=False)
    found = figures(store, "mlflow://somewhere", "assistant", "hold")
    assert found["lineage"]["registry"] is None
    assert found["lineage"]["registry_problem"]


def test_many_looks_are_thinned_but_no_action_is_lost(turn):
    from flywheel.components.report.figures import _thinned

    looks = [{"n": n, "action": "advance" if n % 97 == 5 else "hold"} for n in range(5000)]
    kept = _thinned(looks)
    assert len(kept) < 400
    assert kept[-1] == looks[-1]
    assert [one for one in kept if one["action"] == "advance"] == [one for one in looks if one["action"] == "advance"]


@pytest.mark.parametrize(("events", "trials"), [(0, 1), (1, 1), (3, 7), (50, 100), (0, 400)])
def test_wilson_solves_its_equation(events, trials):
    z = 1.959963984540054
    share = events / trials
    for limit in wilson_interval(events, trials):
        assert 0 <= limit <= 1
        if 0 < limit < 1:  # a limit p solves |share - p| = z sqrt(p (1 - p) / n)
            assert abs(share - limit) == pytest.approx(z * math.sqrt(limit * (1 - limit) / trials), rel=1e-9)


@pytest.mark.parametrize(("events", "trials"), [(1, 0), (-1, 3), (4, 3)])
def test_wilson_refuses_impossible_counts(events, trials):
    with pytest.raises(ValueError, match="no share"):
        wilson_interval(events, trials)


def test_reading_loads_nothing_heavy(turn):
    store, registry = turn("good")
    program = (
        "import sys\n"
        "from flywheel.components.report.publish import publish\n"
        f"publish({store!r}, {registry!r}, 'assistant', 'good', {store + '/r.html'!r}, {store + '/r.md'!r})\n"
        "print([n for n in ('torch', 'sklearn', 'daft', 'kfp', 'scipy') if n in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.strip() == "[]", done.stderr
