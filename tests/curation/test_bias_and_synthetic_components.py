"""The bias check and the expansion as KFP steps: the same bodies that run on a cluster, in the local runner."""

from pathlib import Path

import pytest
from kfp import dsl, local

from flywheel.components.curation import component
from flywheel.components.curation.bias.component import check_bias
from flywheel.components.curation.synthetic import rows
from flywheel.components.curation.synthetic.component import expand_thin_clusters
from flywheel.components.store import lineage


@dsl.pipeline(name="bias-and-synthetic-test")
def check_and_expand(feedback: str, store: str, run_id: str):
    snapshot = dsl.importer(artifact_uri=feedback, artifact_class=dsl.Dataset)
    kept = component.deduplicate_feedback(feedback=snapshot.output, store=store, run_id=run_id)
    classified = component.classify_corrections(kept=kept.outputs["kept"], store=store, run_id=run_id)
    routed = component.route_candidates(classified=classified.outputs["classified"], store=store, run_id=run_id)
    check_bias(routed=routed.outputs["routed"], store=store, run_id=run_id)
    clustered = component.cluster_feedback(routed=routed.outputs["routed"], store=store, run_id=run_id)
    expand_thin_clusters(candidates=clustered.outputs["candidates"], store=store, run_id=run_id, max_share=0.3)


@pytest.mark.slow
def test_components_run_in_the_local_runner(log, tmp_path):
    frames = ("How long is the warranty of the Borel {}?", "What warranty does the Borel {} have?")
    for number in range(12):
        old = f"The Borel {number} has a warranty of 24 months."
        for frame in frames[: 1 + number % 2]:
            log.correct(f"u{number}", frame.format(number), old, old.replace("24", "36"), hours=number)
    store, feedback = log.save(tmp_path)
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(tmp_path / "root"), raise_on_error=True)
    check_and_expand(feedback=feedback, store=store, run_id="r1")
    steps = {record.step: record for record in lineage.steps(store, "r1")}
    assert steps["check_bias"].outcome in ("ok", "look")
    assert steps["check_bias"].rows.rows_in == steps["route_candidates"].rows.rows_in
    pages = [path.read_text() for path in Path(tmp_path / "root").rglob("page") if path.is_file()]
    assert any("# Bias check" in page for page in pages)
    assert any("# Synthetic rows" in page for page in pages)
    (path,) = [path for path in Path(tmp_path / "root").rglob("synthetic") if path.is_file()]
    made = rows.read(str(path))
    assert len(made) == steps["expand_thin_clusters"].rows.accepted > 0
