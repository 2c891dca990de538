"""The notebook from submission to report, executed as a person would: all cells, in order."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "pipelines/examples/from_submit_to_report.ipynb"


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_notebook_runs_from_submission_to_report(tmp_path, monkeypatch):
    runs = tmp_path / "runs"
    runs.mkdir()
    cache = ROOT / "runs" / ".cache"
    cache.mkdir(parents=True, exist_ok=True)
    (runs / ".cache").symlink_to(cache)
    monkeypatch.setenv("FLYWHEEL_RUNS", str(runs))
    monkeypatch.delenv("FLYWHEEL_KFP_ENDPOINT", raising=False)
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=1000, kernel_name="python3", resources={"metadata": {"path": str(ROOT)}}).execute()
    shown = "".join(str(output) for cell in notebook.cells for output in cell.get("outputs", []))
    assert "decide_verdict" in shown
    assert "decision: held" in shown
    assert "IFrame" in shown
    assert not any(cell.get("outputs") for cell in nbformat.read(NOTEBOOK, as_version=4).cells), (
        "commit it without output"
    )
