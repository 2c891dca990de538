"""The judge as a step: with and without open questions, labels and settings that make no sense."""

import json
from pathlib import Path

import pytest
from kfp import dsl, local

from flywheel.components.evaluation.component import judge_answers
from flywheel.components.evaluation.items import ids_digest
from flywheel.components.evaluation.scores.score_lines import ArmScore, ScoreLine, ScoresHeader, write_scores
from flywheel.components.evaluation.scores.scores import read_scores
from flywheel.components.store import lineage

pytestmark = pytest.mark.slow


def test_the_step_judges_labels_and_records(tmp_path: Path) -> None:
    lines, items, labels = [], [], []
    for n in range(40):
        arms = {
            arm: ArmScore(answer=f"{arm} says {n} months", correct=True, unsafe=False, tokens=3)
            for arm in ("production", "candidate")
        }
        lines.append(ScoreLine(item_id=f"h{n}", suite="helpfulness", cluster=f"h{n}", **arms))
        messages = [{"role": "user", "content": f"How long, model {n}?"}]
        items.append(
            {"item_id": f"h{n}", "suite": "helpfulness", "kind": "open", "references": ["no"], "messages": messages}
        )
        labels.append({"item_id": f"h{n}", "production": 0, "candidate": n % 2})
    header = ScoresHeader(
        run_id="run",
        candidate_digest="c",
        production_digest="p",
        items=40,
        items_digest=ids_digest([line.item_id for line in lines]),
    )
    write_scores(tmp_path / "scores", header, lines)
    (tmp_path / "items").write_text("".join(json.dumps(item) + "\n" for item in items))
    (tmp_path / "labels").write_text("".join(json.dumps(label) + "\n" for label in labels[:20]))
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(tmp_path / "out"), raise_on_error=True)

    @dsl.pipeline(name="judging")
    def judging(store: str, scores: str, items: str, labels: str) -> int:
        made = dsl.importer(artifact_uri=scores, artifact_class=dsl.Dataset)
        asked = dsl.importer(artifact_uri=items, artifact_class=dsl.Dataset)
        return judge_answers(
            scores=made.output, evaluation=asked.output, store=store, run_id="run", human_labels=labels
        ).outputs["Output"]

    store = str(tmp_path / "store")
    task = judging(
        store=store, scores=str(tmp_path / "scores"), items=str(tmp_path / "items"), labels=str(tmp_path / "labels")
    )
    assert task.output == 40
    judged = read_scores(next((tmp_path / "out").rglob("judge-answers/judged")))
    assert judged.problems == () and str(judged.header.settings["judge"]).startswith("overlap")
    (record,) = lineage.steps(store, "run")
    assert record.step == "judge_answers" and record.metrics == {"judged": 40, "failures": 0, "human_labels": 20}
