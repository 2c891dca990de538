import json
from pathlib import Path

import pytest
from kfp import dsl, local

from flywheel.components.contracts.verdict import Verdict
from flywheel.components.evaluation.component import decide_verdict, evaluate_models
from flywheel.components.evaluation.verdict.recompute import check
from flywheel.components.store import lineage

pytestmark = pytest.mark.slow


def test_components_run_one_after_the_other(
    models: dict[str, Path], golden: Path, tmp_path: Path, lenient: Path
) -> None:
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(tmp_path / "out"), raise_on_error=True)
    store = str(tmp_path / "store")

    @dsl.pipeline(name="judge")
    def judge(store: str, run_id: str, production: str, spec: str) -> str:
        candidate = dsl.importer(artifact_uri=str(models["candidate"]), artifact_class=dsl.Model)
        items = dsl.importer(artifact_uri=str(golden), artifact_class=dsl.Dataset)
        scored = evaluate_models(
            candidate=candidate.output,
            production_model=production,
            evaluation=items.output,
            store=store,
            run_id=run_id,
            max_new_tokens=8,
            spec=spec,
        )
        return decide_verdict(scores=scored.outputs["scores"], store=store, run_id=run_id, spec=spec).outputs["Output"]

    task = judge(store=store, run_id="run", production=str(models["production"]), spec=str(lenient))
    assert task.output == "reject"  # a model that babbles refuses nothing it should
    records = {record.step: record for record in lineage.steps(store, "run")}
    assert set(records) == {"evaluate_models", "decide_verdict"}
    assert records["evaluate_models"].rows is not None and records["evaluate_models"].rows.accepted == 20
    assert records["decide_verdict"].outcome == "reject"
    stored = Verdict.model_validate_json(json.dumps(records["decide_verdict"].details["verdict"]))
    verdict = next((tmp_path / "out").rglob("decide-verdict/verdict"))
    scores = next((tmp_path / "out").rglob("evaluate-models/scores"))
    assert Verdict.read(verdict) == stored
    assert check(verdict, scores, lenient).equal
    for name, start in (("forest_plot", "<!doctype html>"), ("summary", "# Reject")):
        assert next((tmp_path / "out").rglob(f"decide-verdict/{name}")).read_text().startswith(start)


def test_deciding_needs_no_torch() -> None:
    import subprocess
    import sys

    program = (
        "import sys; import flywheel.components.evaluation.verdict.publish, flywheel.components.registry.overview; "
        "print([name for name in ('torch', 'transformers', 'kfp', 'kubernetes') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
