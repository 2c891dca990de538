import json
from pathlib import Path

import pytest
from kfp import dsl, local

from flywheel.components.curation import component
from flywheel.components.store import lineage


@dsl.pipeline(name="curation-test")
def curate(feedback: str, store: str, run_id: str, labels: str = ""):
    snapshot = dsl.importer(artifact_uri=feedback, artifact_class=dsl.Dataset)
    kept = component.deduplicate_feedback(feedback=snapshot.output, store=store, run_id=run_id, jaccard=0.8)
    classified = component.classify_corrections(kept=kept.outputs["kept"], store=store, run_id=run_id, labels=labels)
    routed = component.route_candidates(classified=classified.outputs["classified"], store=store, run_id=run_id)
    clustered = component.cluster_feedback(routed=routed.outputs["routed"], store=store, run_id=run_id)
    component.mine_preferences(candidates=clustered.outputs["candidates"], store=store, run_id=run_id)


@pytest.mark.slow
def test_components_run_in_the_local_runner(log, tmp_path):
    for number in range(12):
        asked, old = (
            f"How long is the warranty of the Borel {number}?",
            f"The Borel {number} has a warranty of 24 months.",
        )
        log.correct(f"u{number}", asked, old, old.replace("24", "36"), hours=number)
    store, feedback = log.save(tmp_path)
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(tmp_path / "root"), raise_on_error=True)
    curate(feedback=feedback, store=store, run_id="r1")
    steps = {record.step: record for record in lineage.steps(store, "r1")}
    assert list(steps) == [
        "deduplicate_feedback",
        "classify_corrections",
        "route_candidates",
        "cluster_feedback",
        "mine_preferences",
    ]
    assert steps["route_candidates"].rows.accepted == steps["mine_preferences"].rows.accepted == 12
    pages = [path for path in Path(tmp_path / "root").rglob("*") if path.is_file() and path.name == "clusters"]
    assert "# Clusters of feedback" in pages[0].read_text()
    (candidates,) = [path for path in Path(tmp_path / "root").rglob("candidates") if path.is_file()]
    assert json.loads(candidates.read_text())["run_id"] == "r1"
