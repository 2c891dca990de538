from pathlib import Path

import pytest
from kfp import dsl, local

from flywheel.components.contracts.model import ModelManifest
from flywheel.components.contracts.verdict import Decision, MetricResult, Verdict
from flywheel.components.registry import overview
from flywheel.components.registry.component import (
    promote_model,
    register_model,
    resolve_production,
    resolve_version,
    restore_production,
)
from flywheel.components.store import lineage
from flywheel.components.training.weights import model_digest

pytestmark = pytest.mark.slow


def folder(path: Path) -> Path:
    path.mkdir()
    (path / "model.safetensors").write_bytes(path.name.encode())
    (path / "config.json").write_text("{}")
    ModelManifest(
        digest=model_digest(path), base_digest="b", dataset_digest="d", table_version=3, code_version="c", run_id="run",
        method="sft", config={}, metrics={"loss": 0.1},
    ).write(path / "model.json")  # fmt: skip
    return path


def verdict(path: Path, model: Path) -> Path:
    primary = MetricResult(
        name="accuracy_changed", role="primary", direction="higher", n=9, clusters=9, production=0.1, candidate=0.9,
        difference=0.8, lower=0.6, upper=0.95, confidence=0.9, margin=0.0, test="t", p_value=0.001, alpha=0.05,
        outcome="superior",
    )  # fmt: skip
    Verdict(
        run_id="run", decision=Decision.PROMOTE, reasons=(), metrics=(primary,), candidate_digest=model_digest(model),
        production_digest="p", scores_digest="scores", spec_digest="spec", error_rate="",
    ).write(path)  # fmt: skip
    return path


def test_a_version_goes_through_its_life(tmp_path: Path) -> None:
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(tmp_path / "out"), raise_on_error=True)
    base, good, bad = (folder(tmp_path / name) for name in ("base", "good", "bad"))
    judged = {model: verdict(tmp_path / f"{model.name}.json", model) for model in (good, bad)}
    store, registry = str(tmp_path / "store"), f"sqlite:///{tmp_path / 'registry.db'}"

    def trial(model: Path, passes: bool):
        @dsl.pipeline(name="trial")
        def pipeline(store: str, registry: str, name: str, run_id: str, production: str) -> str:
            resolve = resolve_production(
                registry=registry, model_name=name, production_model=production, store=store, run_id=run_id
            )
            register = register_model(
                model=dsl.importer(artifact_uri=str(model), artifact_class=dsl.Model).output,
                verdict=dsl.importer(artifact_uri=str(judged[model]), artifact_class=dsl.Artifact).output,
                registry=registry, model_name=name, store=store, run_id=run_id,
            ).after(resolve)  # fmt: skip
            chosen = resolve_version(registry=registry, model_name=name, version="candidate").after(register)
            common = {
                "registry": registry,
                "model_name": name,
                "store": store,
                "run_id": run_id,
                "reason": "the canary",
            }
            if passes:
                return promote_model(
                    version=chosen.outputs["number"], expected_production=chosen.outputs["production"], **common
                ).output
            return restore_production(version=chosen.outputs["number"], **common).output

        return pipeline

    values = {"store": store, "registry": registry, "name": "m"}
    assert trial(good, True)(run_id="run-1", production=str(base), **values).output == "2"
    assert trial(bad, False)(run_id="run-2", production="", **values).output == "2"

    shown = overview.show(registry, "m")
    assert shown["aliases"] == {"production": 2, "previous": 1}
    assert [row["uri"] for row in shown["versions"]] == [str(base), str(good), str(bad)]
    assert shown["versions"][1]["metrics"]["accuracy_changed/candidate"] == 0.9
    assert shown["versions"][1]["table_version"] == 3
    records = {record.step: record for record in lineage.steps(store, "run-1")}
    assert set(records) == {"resolve_production", "register_model", "promote_model"}
    assert records["promote_model"].details["aliases"] == {"production": 2, "previous": 1}
    assert records["promote_model"].details["version"] == "2" and records["promote_model"].outcome == "promoted"
    withdrawn = lineage.steps(store, "run-2")[-1]
    assert (withdrawn.step, withdrawn.outcome, withdrawn.details["reason"]) == (
        "restore_production",
        "withdrawn",
        "the canary",
    )
