import itertools
import json
import random
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from flywheel.scripts.benchmarks.curation import (
    duplicates,
    duplicates_truth,
    feedback_records,
    peer_venv,
    run,
    scale,
    table,
)
from flywheel.scripts.benchmarks.curation.frame import OURS, Goal, Peer, Stage, at_least, faster, no_worse

PERSONAL = [("email", f"someone{number}@example.org") for number in range(500)]
SCRIPT = """
import time
from pathlib import Path

def prepare(data):
    sum(range(3_000_000))

def run(data, out):
    end = time.process_time() + {seconds}
    while time.process_time() < end:
        pass
    Path(out, "answer").write_text(Path(data, "records.jsonl").read_text())
    return {{"lines": {lines}}}
"""


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    monkeypatch.setenv("FLYWHEEL_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(feedback_records, "_by_faker", lambda seed: PERSONAL)


def stage_of(tmp_path, *goals):
    def prepare(folder: Path, rows: int) -> int:
        (folder / "records.jsonl").write_text("x" * rows)
        return rows

    def quality(data, out, result):
        assert (out / "answer").read_text() == (data / "records.jsonl").read_text()
        return {"recall": result["lines"] / 10}

    module = ModuleType("stage")
    module.STAGE = Stage("stage", "A stage", 1000, prepare, quality, goals, about="About it.")
    for name, seconds, lines in (("ours", 0.05, 9), ("slow", 0.5, 8)):
        (tmp_path / f"{name}.py").write_text(SCRIPT.format(seconds=seconds, lines=lines))
    (tmp_path / "broken.py").write_text("raise OSError('no such library')")
    module.peers = lambda: [
        Peer(OURS, str(tmp_path / "ours.py"), versions=("numpy", "no-such-thing")),
        Peer("slow", str(tmp_path / "slow.py"), rows=500),
        Peer("broken", str(tmp_path / "broken.py")),
        Peer("absent", str(tmp_path / "ours.py"), requirements=("absent",)),
    ]
    return module


def test_peers_are_measured_and_what_is_missing_is_named(tmp_path, monkeypatch):
    def refuse(requirements):
        if requirements:
            raise peer_venv.MissingPeerError("pip cannot install absent: not found")
        return peer_venv.python_of(requirements)

    monkeypatch.setattr(run, "python_of", refuse)
    goals = (
        faster("slow", 2, least=1.5),
        faster("absent", 2),
        at_least("recall", 0.95),
        no_worse("recall", "slow"),
        Goal("memory", lambda results: results[OURS].peak, 1e6, at_least=False, unit=" MiB"),
    )
    module = stage_of(tmp_path, *goals)
    results, missing = run.results_of(module, 1000, 2)
    assert list(results) == [OURS, "slow"]
    assert "no such library" in missing["broken"]
    assert "pip cannot install absent" in missing["absent"]
    ours, slow = results[OURS], results["slow"]
    assert (ours.rows, slow.rows) == (1000, 500)
    assert 0.04 < ours.cpu < ours.process_cpu  # the interpreter and `prepare` are not in it
    assert ours.speed > slow.speed
    assert ours.quality == {"recall": 0.9}
    assert ours.versions == {"numpy": np.__version__, "no-such-thing": "?"}
    assert [goal.met(results) for goal in goals] == [True, None, False, True, True]
    text = table.section(module.STAGE, results, missing, 2)
    assert text.startswith("About it.")
    assert text.count("| met") == 3
    assert "**MISSED**" in text
    assert "not measured" in text
    assert "*broken* is missing: " in text


def test_sections_are_put_into_the_file_in_order(tmp_path):
    path, titles = tmp_path / "out.md", ["One", "Two"]
    table.write(path, titles, "Two", "two")
    table.write(path, titles, "One", "one")
    table.write(path, titles, "Two", "three")
    text = path.read_text()
    assert text.startswith("# Speed and quality of curation")
    assert text.index("## One\n\none") < text.index("## Two\n\nthree")
    assert "two" not in text.split("## Two")[1]


def test_generated_feedback_hides_what_its_truth_says(tmp_path):
    size = feedback_records.write(tmp_path, 600, seed=5)
    lines = [json.loads(line) for line in (tmp_path / "records.jsonl").read_text().splitlines()]
    truth = [json.loads(line) for line in (tmp_path / "truth.jsonl").read_text().splitlines()]
    assert size == (tmp_path / "records.jsonl").stat().st_size
    assert [row["id"] for row in lines] == [row["id"] for row in truth]
    hidden = [
        line["text"][start:end] for line, row in zip(lines, truth, strict=True) for _, start, end in row["personal"]
    ]
    assert len(hidden) > 100
    assert set(hidden) <= {value for _, value in PERSONAL}
    edits = [row["edit"] for row in truth]
    assert edits.count("exact") == 18
    assert sum(bool(edit) for edit in edits) == 78
    assert (tmp_path / "records.jsonl").read_bytes() == _again(tmp_path)


def _again(tmp_path):
    other = tmp_path / "again"
    other.mkdir()
    feedback_records.write(other, 600, seed=5)
    return (other / "records.jsonl").read_bytes()


def test_the_oracle_is_the_definition():
    dice = random.Random(2)
    sets = [set(dice.sample(range(12), dice.randrange(0, 9))) for _ in range(60)]
    found = {(int(a), int(b)): value for a, b, value in duplicates_truth.pairs(sets)}
    expected = {
        (i, j): len(sets[i] & sets[j]) / len(sets[i] | sets[j])
        for i, j in itertools.combinations(range(len(sets)), 2)
        if sets[i] | sets[j] and len(sets[i] & sets[j]) / len(sets[i] | sets[j]) >= duplicates_truth.LOWEST
    }
    assert found == pytest.approx(expected)
    assert len(expected) >= 5


def test_wrong_groups_lower_recall_and_precision(tmp_path):
    np.save(tmp_path / "pairs.npy", np.array([[0, 1, 0.9], [2, 3, 0.75]]))
    right = duplicates_truth.quality(tmp_path, np.array([0, 0, 1, 2, 3]))
    assert right == {"recall": 1.0, "precision": 1.0, "precision .7": 1.0}
    mixed = duplicates_truth.quality(tmp_path, np.array([0, 1, 2, 2, 2]))
    assert mixed["recall"] == 0.0
    assert mixed["precision"] == 0.0
    assert mixed["precision .7"] == pytest.approx(1 / 3)


@pytest.mark.slow
def test_ours_finds_exactly_the_oracles_groups():
    results, missing = run.results_of(duplicates, 400, 1, [OURS])
    assert not missing
    assert results[OURS].quality == {"recall": 1.0, "precision": 1.0, "precision .7": 1.0}
    assert results[OURS].result["edges"] > 20


@pytest.mark.slow
def test_every_step_of_curation_runs_in_its_own_process_at_both_sizes(monkeypatch, tmp_path):
    monkeypatch.setattr(scale, "ROWS", 120)
    monkeypatch.setattr(scale, "peers", lambda: [Peer(OURS, "scale_steps.py")])
    results, missing = run.results_of(scale, 120, 1)
    assert not missing
    ours = results[OURS]
    assert list(ours.result) == list(scale.STEPS)
    assert (ours.result["intake"]["rows"], ours.result["documents"]["rows"]) == (120, 120 * scale.DOCUMENTS)
    assert ours.result["deduplicate"]["rows"] >= ours.result["classify"]["rows"] > 10
    assert all(one["cpu"] > 0 and one["peak"] > 50 for one in ours.result.values())
    assert ours.quality["deduplicate_documents MiB"] == ours.result["documents"]["peak"]
    larger = {name: {"cpu": 11 * one["cpu"], "peak": 2 * one["peak"]} for name, one in ours.result.items()}
    both = {OURS: ours, scale.TENFOLD: replace(ours, result=larger)}
    met = {goal.claim.split(": ")[1].split(" at ")[0]: goal.met(both) for goal in scale.STAGE.goals}
    assert met == {"CPU time": True, "peak memory": False}
    assert len(scale.STAGE.goals) == 2 * len(scale.STEPS)
