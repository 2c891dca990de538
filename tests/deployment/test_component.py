import json
from pathlib import Path

import pytest
from kfp import dsl, local

from flywheel.components.contracts.rollout import RolloutState
from flywheel.components.deployment.component import prepare_traffic, run_canary
from flywheel.components.store import lineage

QUESTION = (
    '{"subject": "u%d", "messages": [{"role": "user", "content": "What is the price of %s?"}], "references": ["%s"]}'
)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_component_runs_in_kfps_local_runner(model_folders: dict[str, Path], tmp_path: Path) -> None:
    traffic = tmp_path / "traffic.jsonl"
    traffic.write_text("\n".join(QUESTION % (number, "akora", "akora costs 11.") for number in range(60)))
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(tmp_path / "root"), raise_on_error=True)
    store = str(tmp_path / "store")

    @dsl.pipeline(name="canary")
    def pipeline() -> str:
        found = dsl.importer(artifact_uri=str(model_folders["good"]), artifact_class=dsl.Model)
        users = prepare_traffic(traffic=str(traffic), store=store, run_id="run-1")
        task = run_canary(
            candidate=found.output,
            production_model=str(model_folders["production"]),
            users=users.outputs["users"],
            registry=str(tmp_path / "registry.db"),
            service="assistant",
            store=store,
            run_id="run-1",
            shares="0.5,1.0",
        )
        return task.outputs["Output"]

    task = pipeline()
    assert task.output == "hold"  # 60 users are too few, and a time-out never ships
    prepared, record = lineage.steps(store, "run-1")
    assert prepared.details["questions"] == 60
    assert (record.step, record.outcome) == ("run_canary", "hold")
    assert record.metrics["users"] == 60
    state = RolloutState.model_validate(record.details["rollout"])
    assert state.decision == "hold"
    assert "traffic-ended" in state.reasons[0]
    assert record.details["timeline"][-1]["requests"] == sum(state.looks[-1].requests.values())
    written = [path for path in (tmp_path / "root").rglob("rollout") if path.is_file()]
    assert [RolloutState.read(path) for path in written] == [state]
    (alert,) = [json.loads(line) for line in (tmp_path / "store" / "alerts.jsonl").read_text().splitlines()]
    assert (alert["kind"], alert["reason"], alert["severity"]) == ("canary_hold", "canary_traffic_ended", "warning")
    assert "too-few-users" in alert["summary"]
    (page,) = [path for path in (tmp_path / "root").rglob("ramp*") if path.is_file()]
    assert "held" in page.read_text()
    assert json.loads(state.to_json())["schema"] == "flywheel.rollout/v1"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"shares": "0.5"}, r"shares must rise to 1\.0"),
        ({"harm_budget": 3.0}, "harm_budget must lie in"),
        ({"policy": "/none.yaml"}, "not a valid canary policy"),
    ],
)
def test_rules_that_are_none_are_refused_before_anything_starts(given: dict, message: str) -> None:
    class Place:
        path = "/nowhere"

    with pytest.raises(ValueError, match=message):
        run_canary.python_func(
            Place(), "production", Place(), "registry", "assistant", Place(), Place(), Place(), "store", "r", **given
        )
