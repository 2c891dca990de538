"""The three stories, end to end: the decision, the traffic left behind, and what must hold of every run."""

import json
import subprocess
import sys

import psutil
import pyarrow.parquet as pq
import pytest

from flywheel.components.contracts.rollout import RolloutState
from flywheel.components.contracts.verdict import Verdict
from flywheel.components.registry import overview
from flywheel.components.store import lineage

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
STORIES = ("good", "harmful", "ambiguous")


def record(told, step):
    (found,) = [one for one in lineage.steps(told.store, told.run_id) if one.step == step]
    return found


def test_good_candidate_is_promoted(tell):
    told = tell("good")
    assert told.code == 0, told.output
    assert told.decision == "promoted"
    verdict = Verdict.model_validate(record(told, "decide_verdict").details["verdict"])
    assert verdict.decision == "promote"
    rollout = RolloutState.model_validate(record(told, "run_canary").details["rollout"])
    assert rollout.decision == "promote"
    assert rollout.looks[-1].share > 0.25
    model = overview.show(told.registry, "assistant")
    served = next(one for one in model["versions"] if "production" in one["aliases"])
    assert served["digest"] == verdict.candidate_digest
    assert served["run_id"] == told.run_id


def test_harmful_candidate_is_rolled_back(tell):
    told = tell("harmful")
    assert told.code == 0, told.output
    assert told.decision == "rolled back"
    verdict = Verdict.model_validate(record(told, "decide_verdict").details["verdict"])
    assert verdict.decision == "promote", "it must look good in the part that was checked"
    rollout = RolloutState.model_validate(record(told, "run_canary").details["rollout"])
    assert rollout.decision == "rollback"
    assert rollout.looks[-1].share <= 0.25, "few users may have met it"
    model = overview.show(told.registry, "assistant")
    served = next(one for one in model["versions"] if "production" in one["aliases"])
    assert served["digest"] == verdict.production_digest
    assert not [one for one in model["versions"] if "candidate" in one["aliases"]]


def test_ambiguous_candidate_is_held_with_the_number_needed(tell):
    told = tell("ambiguous")
    assert told.code == 0, told.output
    assert told.decision == "held"
    last = [line for line in told.output.splitlines() if line.startswith("decision:")][-1]
    assert any(word.strip(",.;").replace(",", "").isdigit() for word in last.split()), last
    assert not [one for one in lineage.steps(told.store, told.run_id) if one.step == "run_canary"]


@pytest.mark.parametrize("story", STORIES)
def test_conservation_at_every_border(tell, story):
    told = tell(story)
    counted = [one for one in lineage.steps(told.store, told.run_id) if one.rows is not None]
    assert len(counted) >= 4  # StepRecord refuses counts that do not add up
    rows = {one.step: one.rows for one in counted}
    lines = [line for line in (told.folder / "world" / "logs.jsonl").read_bytes().split(b"\n") if line.strip()]
    assert rows["intake_feedback"].rows_in == len(lines)
    assert rows["route_candidates"].rows_in == rows["deduplicate_feedback"].accepted
    assert rows["assemble_dataset"].rows_in == rows["route_candidates"].accepted


@pytest.mark.parametrize("story", STORIES)
def test_verdict_is_recomputed_byte_for_byte(tell, story):
    told = tell(story)
    command = [sys.executable, "-m", "flywheel.scripts.command.app", "verdict", "recompute"]
    command += [str(told.artifact("decide-verdict/verdict")), str(told.artifact("attack-models/attacked"))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("story", STORIES)
def test_no_planted_personal_data_is_anywhere(tell, story):
    told = tell(story)
    planted = {
        text
        for kind, text in json.loads((told.folder / "world" / "truth.json").read_text())["planted"]
        if kind in ("email", "phone", "card", "iban", "ssn", "ip")
    }
    golden = (told.folder / "world" / "golden.jsonl").read_text()
    planted = {text for text in planted if text not in golden}  # there the operator names what may never be said
    assert len(planted) > 5
    searched = 0
    for path in told.folder.rglob("*"):
        if not path.is_file() or path.is_relative_to(told.folder / "world"):
            continue
        if path.suffix == ".parquet" or path.name in ("kept", "classified", "routed", "pairs"):
            content = json.dumps(pq.read_table(path).to_pylist(), default=str, ensure_ascii=False)
        else:
            content = path.read_bytes().decode("utf-8", errors="replace")
        searched += 1
        found = [text for text in planted if text in content]
        assert not found, f"{path}: {found[:3]}"
    assert searched > 30


@pytest.mark.parametrize("story", STORIES)
def test_nothing_is_left_running(tell, story):
    told = tell(story)
    left = [
        one.info["cmdline"]
        for one in psutil.process_iter(["cmdline"])
        if str(told.folder) in " ".join(one.info["cmdline"] or [])
    ]
    assert left == []


def test_same_run_again_changes_nothing_in_the_feedback(tell):
    from flywheel.components.store import delta_table

    told = tell("ambiguous")
    before = [delta_table.latest(told.store, name) for name in ("interactions", "feedback", "quarantine")]
    from flywheel.components.intake import ingest

    ingest.ingest(str(told.folder / "world" / "logs.jsonl"), told.store, told.run_id)
    assert [delta_table.latest(told.store, name) for name in ("interactions", "feedback", "quarantine")] == before
