"""Single components for pipelines that are not ours: their own YAML, their pages, and a team's pipeline that runs."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from flywheel.pipelines import component_pages
from flywheel.pipelines.components import ROOT, compile_components, components, drifted

GOLDEN = Path(__file__).parents[1] / "intake" / "golden" / "feedback.jsonl"


def test_committed_components_are_up_to_date():
    assert drifted() == []
    assert len(list(ROOT.glob("*/compiled/*.yaml"))) == len(components()) >= 28


def test_drift_is_seen_and_leftovers_go(tmp_path):
    compile_components(tmp_path)
    (tmp_path / "intake/compiled/intake_feedback.yaml").write_text("changed: true\n")
    (tmp_path / "intake/compiled/gone.yaml").write_text("old: true\n")
    assert drifted(tmp_path)[:2] == ["intake/compiled/gone.yaml", "intake/compiled/intake_feedback.yaml"]
    compile_components(tmp_path)
    assert not (tmp_path / "intake/compiled/gone.yaml").exists()


@pytest.mark.parametrize(("room", "name"), list(components()), ids=str)
def test_component_explains_itself(room, name):
    """Each input and output has a meaning, and the page says what a retry does."""
    component = components()[room, name]
    page = (ROOT / room / "README.md").read_text()
    part = page.split(f"### `{name}`")[1].split("\n### ")[0].split(component_pages.END)[0]
    rows = [line for line in part.splitlines() if line.startswith("| ")]
    for title in [*(component.component_spec.inputs or {}), *(component.component_spec.outputs or {})]:
        (row,) = [row for row in rows if row.startswith(f"| `{title}` |")]
        assert row.rstrip(" |").split("|")[-1].strip(), f"{title} has no meaning: {row}"
    assert any(row.startswith("| idempotency | ") and len(row) > 25 for row in rows)
    assert f"]({'compiled/' + name}.yaml)" in part


def test_pages_are_up_to_date():
    assert component_pages.drifted() == []


def test_metadata_that_lacks_a_component_is_refused(tmp_path):
    shutil.copytree(ROOT, tmp_path / "components", ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    file = tmp_path / "components/store/metadata.yaml"
    content = yaml.safe_load(file.read_text())
    content["components"] = {"other": {"idempotency": "none"}}
    file.write_text(yaml.safe_dump(content))
    with pytest.raises(ValueError, match=r"store/metadata.yaml: components missing \['snapshot_feedback'\]"):
        component_pages.pages(tmp_path / "components")


def test_single_component_loads_from_its_yaml():
    from kfp.components import load_component_from_file

    loaded = load_component_from_file(str(ROOT / "curation/compiled/deduplicate_feedback.yaml"))
    assert set(loaded.component_spec.inputs) >= {"feedback", "store", "run_id"}


@pytest.mark.slow
def test_platform_team_runs_its_own_pipeline_with_two_of_our_components(tmp_path):
    from kfp import local

    from flywheel.pipelines.examples.weekly_corrections import weekly_corrections

    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(tmp_path / "out"), raise_on_error=True)
    weekly_corrections(logs=str(GOLDEN), store=str(tmp_path / "store"), run_id="team")
    (table,) = (tmp_path / "out").glob("*/count-corrections/table")
    (output,) = (tmp_path / "out").glob("*/count-corrections/executor_output.json")
    corrections = json.loads(output.read_text())["parameterValues"]["Output"]
    rows = [line.split("|") for line in table.read_text().splitlines()[2:]]
    assert sum(int(row[3]) for row in rows) == corrections > 0
