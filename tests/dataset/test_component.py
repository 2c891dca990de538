"""The component through KFP's local runner."""

from pathlib import Path

from kfp import dsl, local

from flywheel.components.contracts.dataset import DatasetManifest
from flywheel.components.dataset.component import assemble_dataset
from flywheel.components.store import lineage


def test_the_component_runs_and_records_itself(world, facts, tmp_path):
    candidates = world.write_candidates(facts(12))
    pairs = world.write_pairs(facts(12))
    world.replay = [{"prompt": f"How heavy is the Quill {n}?", "completion": f"{n} grams."} for n in range(30)]
    replay = world.lines("replay.jsonl", world.replay)
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(tmp_path / "root"), raise_on_error=True)

    @dsl.pipeline
    def turn(store: str, replay_data: str) -> int:
        from_curation = dsl.importer(artifact_uri=candidates, artifact_class=dsl.Dataset)
        mined = dsl.importer(artifact_uri=pairs, artifact_class=dsl.Dataset)
        task = assemble_dataset(
            candidates=from_curation.output,
            pairs=mined.output,
            replay_data=replay_data,
            golden="",
            store=store,
            run_id="run-1",
            replay_share=0.5,
        )
        return task.outputs["Output"]

    rows = turn(store=world.store, replay_data=replay).output
    [record] = lineage.steps(world.store, "run-1")
    assert record.step == "assemble_dataset" and record.rows is not None
    assert rows == record.rows.accepted * 2 == record.metrics["rows"]
    manifests = [path for path in Path(tmp_path / "root").rglob("manifest") if path.is_file()]
    assert DatasetManifest.read(manifests[0]).model_dump(mode="json", by_alias=True) == record.details["manifest"]
    assert (manifests[0].parent / record.details["manifest"]["splits"]["sft"]["path"]).is_dir()
