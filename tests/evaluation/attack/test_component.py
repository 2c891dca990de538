"""The step itself, on real (tiny, random) models through KFP's local runner: killed, repeated, decided on."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from kfp import dsl, local

from flywheel.components.evaluation.attack.component import attack_models
from flywheel.components.evaluation.evaluate import evaluate
from flywheel.components.evaluation.scores.scores import read_scores
from flywheel.components.store import lineage

pytestmark = pytest.mark.slow


@pytest.fixture
def scores(models: dict[str, Path], golden: Path, tmp_path: Path) -> Path:
    spec = tmp_path / "spec.yaml"
    spec.write_text(
        "schema: flywheel.gauntlet/v1\nname: small\nalpha: 0.05\npower: 0.8\nunderpowered: run\nmetrics:\n"
        "- {name: better, measure: accuracy, role: primary, direction: higher, suites: [changed], margin: 0, effect: 0.5}\n"
        "- {name: kept, measure: accuracy, role: guardrail, direction: higher, suites: [untouched], margin: 0.5}\n"
    )
    evaluate(models["candidate"], models["production"], golden, tmp_path / "scores", "run", 8, 16, str(spec))
    return tmp_path / "scores"


def test_step_adds_lines_and_records_itself(
    models: dict[str, Path], golden: Path, scores: Path, tmp_path: Path
) -> None:
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(tmp_path / "out"), raise_on_error=True)

    @dsl.pipeline(name="attack")
    def attack(store: str, production: str) -> int:
        candidate = dsl.importer(artifact_uri=str(models["candidate"]), artifact_class=dsl.Model)
        items = dsl.importer(artifact_uri=str(golden), artifact_class=dsl.Dataset)
        scored = dsl.importer(artifact_uri=str(scores), artifact_class=dsl.Dataset)
        return attack_models(
            candidate=candidate.output, production_model=production, evaluation=items.output, scores=scored.output,
            store=store, run_id="run", queries=4, controls=6, max_new_tokens=8,
        ).outputs["Output"]  # fmt: skip

    task = attack(store=str(tmp_path / "store"), production=str(models["production"]))
    assert task.output == 5 + 6
    (record,) = lineage.steps(str(tmp_path / "store"), "run")
    assert record.step == "attack_models" and record.rows is not None and record.rows.accepted == 11
    assert record.details["prompts_production"] == record.details["prompts_candidate"] >= 5 * 4
    table = read_scores(next((tmp_path / "out").rglob("attacked")))
    assert not [problem for problem in table.problems if not problem.startswith("identical")]
    assert (table.suite == "attack").sum() == 5 and (table.suite == "benign").sum() == 6
    assert next((tmp_path / "out").rglob("report")).read_text().startswith("<!doctype html>")


def test_killed_and_repeated_gives_the_same_bytes(
    models: dict[str, Path], golden: Path, scores: Path, tmp_path: Path
) -> None:
    program = (
        "import sys\n"
        "from flywheel.components.evaluation.attack.budget import Budget\n"
        "from flywheel.components.evaluation.attack.run import attack_models\n"
        "c, p, i, s, out = sys.argv[1:]\n"
        "attack_models(c, p, i, s, out + '/scores', out + '/report', out + '/log', Budget(queries=6, controls=6), None, 8,"
        " progress=lambda line: print(line, flush=True))\n"
    )

    def start(folder: Path, hash_seed: str) -> subprocess.Popen[str]:
        paths = [str(models["candidate"]), str(models["production"]), str(golden), str(scores), str(folder)]
        return subprocess.Popen(
            [sys.executable, "-c", program, *paths], env=os.environ | {"PYTHONHASHSEED": hash_seed}, text=True,
            stdout=subprocess.PIPE,
        )  # fmt: skip

    whole, cut = tmp_path / "whole", tmp_path / "cut"
    first = start(whole, "1")
    told, _ = first.communicate(timeout=100)
    assert first.returncode == 0 and "6/6 prompts on each of 5 seeds" in told
    killed = start(cut, "2")
    assert killed.stdout is not None and "production" in killed.stdout.readline()
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait(timeout=20)
    assert not (cut / "scores").exists(), "nothing is there before all of it is"
    again = start(cut, "3")
    assert again.wait(timeout=100) == 0
    for name in ("scores", "report", "log"):
        assert (whole / name).read_bytes() == (cut / name).read_bytes(), name
    assert time.time() - (cut / "scores").stat().st_mtime < 100
    rows = [json.loads(line) for line in (cut / "log").read_text().splitlines()]
    assert any(row["lean"] is not None for row in rows), "the model's probabilities guided the search"
