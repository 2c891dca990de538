"""The component through KFP's local runner, and the files that it writes."""

import stat
from pathlib import Path

import pytest
from kfp import dsl, local

from flywheel.components.report.component import write_report
from flywheel.components.report.publish import publish


@pytest.mark.slow
def test_component_through_the_local_runner(turn, tmp_path):
    store, registry = turn("good")
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(tmp_path / "root"), raise_on_error=True)
    target = tmp_path / "out" / "report.html"

    @dsl.pipeline(name="one-report")
    def one_report(store: str, registry: str, destination: str) -> str:
        return write_report(
            store=store,
            registry=registry,
            model_name="assistant",
            run_id="",
            job_id="good",
            destination=destination,
        ).outputs["Output"]

    task = one_report(store=store, registry=registry, destination=str(target))
    assert task.output == "promoted"
    page = target.read_text(encoding="utf-8")
    (artifact,) = (path for path in (tmp_path / "root").rglob("report") if path.is_file())
    assert artifact.read_text(encoding="utf-8") == page
    assert page.startswith("<!doctype html>")


def test_destination_is_replaced_whole(turn, tmp_path):
    store, registry = turn("hold", tables=False)
    target = tmp_path / "there.html"
    target.write_text("old", encoding="utf-8")
    outcome = publish(store, registry, "assistant", "hold", str(tmp_path / "r"), str(tmp_path / "s"), str(target))
    assert outcome.decision == "held"
    assert target.read_text(encoding="utf-8").endswith("</html>")
    assert stat.S_IMODE(target.stat().st_mode) == 0o644
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["r", "s", "there.html"]


@pytest.mark.parametrize(("run_id", "destination", "words"), [("", "", "run_id"), ("r", "s3://b/x", "on this machine")])
def test_what_cannot_be_written_is_said(tmp_path, run_id, destination, words):
    with pytest.raises(ValueError, match=words):
        publish(str(tmp_path), "x.db", "m", run_id, str(tmp_path / "r"), str(tmp_path / "s"), destination)
    assert not Path(tmp_path / "r").exists()
