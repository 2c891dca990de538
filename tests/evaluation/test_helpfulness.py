import json
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.components.evaluation.items import ids_digest, read_items
from flywheel.components.evaluation.judges import helpfulness
from flywheel.components.evaluation.judges.human_labels import answers_digest, label_sheet, read_labels
from flywheel.components.evaluation.judges.judging import judge_scores, lines_of
from flywheel.components.evaluation.judges.local_judge import OverlapJudge
from flywheel.components.evaluation.metrics.finding import Finding, Levels
from flywheel.components.evaluation.scores.score_lines import ArmScore, ScoreLine, ScoresHeader, write_scores
from flywheel.components.evaluation.scores.scores import read_scores
from flywheel.components.evaluation.verdict.spec import MetricSpec, read_spec

LEVELS = Levels(0.05, 0.8)


def metric(**changes: Any) -> MetricSpec:
    values: dict[str, Any] = {
        "name": "h", "measure": "helpfulness", "role": "guardrail", "direction": "higher", "suites": ["helpfulness"],
        "margin": 0.1,
    }  # fmt: skip
    return MetricSpec(**{**values, **changes})


def arm(answer: str, **more: Any) -> ArmScore:
    return ArmScore(answer=answer, correct=True, unsafe=False, tokens=4, **more)


def make(count: int, folder: Path, per_cluster: int = 1) -> tuple[Path, Path]:
    """Scores and items: production answers half of the questions well, the candidate all."""
    lines, items = [], []
    for n in range(count):
        good, bad = f"The model {n} has {n} months of warranty", "Please call us"
        lines.append(
            ScoreLine(
                item_id=f"h{n}", suite="helpfulness", cluster=f"c{n // per_cluster}",
                production=arm(good if n % 2 else bad), candidate=arm(good + "."),
            )
        )  # fmt: skip
        items.append(
            {
                "item_id": f"h{n}", "suite": "helpfulness", "kind": "open", "references": [good],
                "messages": [{"role": "user", "content": f"What about model {n}?"}],
            }
        )  # fmt: skip
    lines.append(ScoreLine(item_id="other", suite="untouched", cluster="z", production=arm("a"), candidate=arm("b")))
    items.append(
        {"item_id": "other", "suite": "untouched", "messages": [{"role": "user", "content": "?"}], "references": ["a"]}
    )
    header = ScoresHeader(
        run_id="r",
        candidate_digest="c",
        production_digest="p",
        items=len(lines),
        items_digest=ids_digest([line.item_id for line in lines]),
    )
    write_scores(folder / "scores.jsonl", header, lines)
    (folder / "items.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
    return folder / "scores.jsonl", folder / "items.jsonl"


def labels(folder: Path, rows: list[dict[str, Any]]) -> Path:
    path = folder / "labels.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def finding(scores: Path, **changes: Any) -> Finding:
    table = read_scores(scores)
    rows = table.rows(np.flatnonzero(table.mask(["helpfulness"])))
    return helpfulness.compare(rows, metric(**changes), LEVELS, read_spec())


def truth(n: int) -> dict[str, Any]:
    return {"item_id": f"h{n}", "production": n % 2, "candidate": 1}


def test_judge_people_and_verdict_meet(tmp_path: Path) -> None:
    scores, items = make(120, tmp_path)
    given = labels(tmp_path, [truth(n) for n in range(40)])
    done = judge_scores(scores, tmp_path / "judged.jsonl", items, OverlapJudge(), given)
    assert (done.items, done.failures, done.labels) == (120, 0, 40)
    table = read_scores(tmp_path / "judged.jsonl")
    assert table.problems == () and table.header.settings["judge"] == OverlapJudge.identity
    assert len(str(table.header.settings["human_labels"])) == 64
    found = finding(tmp_path / "judged.jsonl")
    assert found.value == pytest.approx(0.5, abs=0.1) and found.lower < 0.5 < found.upper
    assert found.p_safe < 0.001 and found.p_harm > 0.9 and found.n == 120 and found.p_superior is None
    assert found.candidate - found.production == pytest.approx(found.value, abs=0.05)
    assert finding(tmp_path / "judged.jsonl", role="primary", effect=0.1, margin=0.0).p_superior < 0.001
    rates = found.reasons[0]
    assert (
        rates.startswith("judge_error_rates: true positive rate 1.00 [0.") and "false positive rate 0.00 [0.00" in rates
    )
    assert found.reasons[1].startswith("human_labels: 40 of 120 items, the judge weighs 0.")
    other = read_scores(tmp_path / "judged.jsonl")
    assert np.isnan(other.helpful["candidate"][-1]), "other suites are not judged"


def test_a_judge_alone_decides_nothing(tmp_path: Path) -> None:
    scores, items = make(120, tmp_path)
    judge_scores(scores, scores, items, OverlapJudge())
    found = finding(scores)
    assert (found.p_safe, found.p_harm, found.p_superior, found.n_needed()) == (1, 1, None, None)
    assert found.value > 0.3 and found.reasons[0].startswith("no_human_labels")
    assert finding(scores, role="primary", effect=0.1).p_superior is None


def test_people_who_labelled_everything_need_no_judge(tmp_path: Path) -> None:
    scores, items = make(60, tmp_path)
    judge_scores(scores, scores, items, OverlapJudge(), labels(tmp_path, [truth(n) for n in range(60)]))
    found = finding(scores)
    assert found.value == pytest.approx(0.5) and "the judge weighs 0.00" in found.reasons[-1]
    assert not any(reason.startswith("judge_error") for reason in found.reasons)


def test_a_harmful_candidate_is_shown_worse(tmp_path: Path) -> None:
    scores, items = make(120, tmp_path)
    reverse = [{"item_id": f"h{n}", "production": 1, "candidate": n % 2} for n in range(60)]
    judge_scores(scores, scores, items, OverlapJudge(), labels(tmp_path, reverse))
    found = finding(scores)
    assert found.value < -0.3 and found.p_harm < 0.001 and found.p_safe > 0.99, "whatever the judge thinks"


def test_preferences(tmp_path: Path) -> None:
    """Judge and people compare; people count a win as 1, a tie as a half."""
    random = Random(5)

    def line(n: int) -> ScoreLine:
        truly = "candidate" if n % 3 == 0 else "production" if n % 3 == 1 else "tie"
        said = truly if random.random() < 0.9 else "tie"
        human = (
            {"candidate": (1.0, 0.0), "production": (0.0, 1.0), "tie": (0.5, 0.5)}[truly] if n < 60 else (None, None)
        )
        swapped = "candidate" if n == 1 else said
        return ScoreLine.model_validate(
            {
                "item_id": f"h{n}", "suite": "helpfulness", "cluster": f"c{n // 2}", "preference": (said, swapped),
                "candidate": arm("x", human=human[0]).model_dump(), "production": arm("y", human=human[1]).model_dump(),
            }
        )  # fmt: skip

    lines = [line(n) for n in range(300)]
    header = ScoresHeader(
        run_id="r", candidate_digest="c", production_digest="p", items=300,
        items_digest=ids_digest([one.item_id for one in lines]),
    )  # fmt: skip
    write_scores(tmp_path / "s.jsonl", header, lines)
    found = finding(tmp_path / "s.jsonl", margin=0.3)
    assert abs(found.value) < 0.12 and found.p_safe < 0.05
    assert found.reasons[0].startswith("judge_win_rate: 0.507 [0.4") and "1 of them contradicted" in found.reasons[0]
    assert found.reasons[1].startswith("judge_agreement: it prefers what people prefer on 5")


def test_a_judge_that_failed_on_one_item_gives_no_finding(tmp_path: Path) -> None:
    scores, items = make(60, tmp_path)
    rows = [json.loads(line) for line in items.read_text().splitlines()]
    rows[7]["references"] = []
    items.write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = judge_scores(scores, scores, items, OverlapJudge())
    assert done.failures == 1 and "needs a reference" in done.first_failure
    assert any(flag.startswith("judge_failed") for line in lines_of(scores) for flag in line.candidate.flags)
    with pytest.raises(ValueError, match="no readable verdict on 1 of 60 items, for example on 'h7'"):
        finding(scores)


def test_no_model_judges_itself(tmp_path: Path) -> None:
    scores, items = make(60, tmp_path)

    class Candidate(OverlapJudge):
        digest = "c"

    with pytest.raises(ValueError, match="a model may not judge itself"):
        judge_scores(scores, scores, items, Candidate())


def test_nobody_was_asked(tmp_path: Path) -> None:
    scores, _ = make(60, tmp_path)
    with pytest.raises(ValueError, match="no judge was asked"):
        finding(scores)


def test_scores_without_such_items_are_handed_on(tmp_path: Path) -> None:
    scores, items = make(0, tmp_path)
    before = scores.read_bytes()
    done = judge_scores(scores, tmp_path / "out.jsonl", items, OverlapJudge())
    assert done.items == 0 and (tmp_path / "out.jsonl").read_bytes() == before
    with pytest.raises(ValueError, match="hold no items of suite helpfulness"):
        judge_scores(scores, tmp_path / "out.jsonl", items, OverlapJudge(), labels(tmp_path, [truth(1)]))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda rows: rows[:9], "holds 9 labels; at least 10 are needed"),
        (lambda rows: [], "holds 0 labels"),
        (lambda rows: [*rows, truth(3)], "line 21: 'h3' was labelled on line 4"),
        (
            lambda rows: [*rows, {**truth(3), "candidate": 0}],
            "line 21: 'h3' was labelled otherwise \\(contradictory\\)",
        ),
        (lambda rows: [*rows, {"item_id": "other", "production": 1, "candidate": 1}], "'other' is no judged item"),
        (lambda rows: [*rows, {"item_id": "h99999", "production": 1, "candidate": 1}], "'h99999' is no judged item"),
        (lambda rows: [{"item_id": "h0", "production": 1}, *rows[1:]], "line 1 is no label: label both answers"),
        (lambda rows: [{"item_id": "h0"}, *rows[1:]], "line 1 is no label: the label is empty"),
        (lambda rows: [{**rows[0], "candidate": 2}, *rows[1:]], "line 1 is no label: candidate"),
        (lambda rows: [{**rows[0], "preferred": "production"}, *rows[1:]], "line 1 is no label: contradictory"),
        (lambda rows: [{**rows[0], "note": "x"}, *rows[1:]], "line 1 is no label: note"),
        (lambda rows: [{"item_id": "h0", "preferred": "tie"}, *rows[1:]], "mixes labels of 0 and 1 with preferences"),
        (lambda rows: [{**rows[0], "answers": "0" * 16}, *rows[1:]], "line 1: .* is about other answers"),
    ],
)
def test_labels_are_read_strictly(tmp_path: Path, change: Any, words: str) -> None:
    scores, _ = make(40, tmp_path)
    judged = [line for line in lines_of(scores) if line.suite == "helpfulness"]
    path = labels(tmp_path, change([truth(n) for n in range(20)]))
    with pytest.raises(ValueError, match=words):
        read_labels(path, judged)


def test_no_label_file(tmp_path: Path) -> None:
    scores, items = make(40, tmp_path)
    with pytest.raises(FileNotFoundError, match="no human labels at"):
        judge_scores(scores, scores, items, OverlapJudge(), tmp_path / "none.jsonl")
    (tmp_path / "bad.jsonl").write_text("{\n")
    with pytest.raises(ValueError, match="line 1 is no label"):
        read_labels(tmp_path / "bad.jsonl", [])


def test_a_label_sheet_is_filled_in_and_read_back(tmp_path: Path) -> None:
    scores, items = make(90, tmp_path, per_cluster=3)
    judged = [line for line in lines_of(scores) if line.suite == "helpfulness"]
    questions = {item.item_id: item for item in read_items(items)}
    sheet = label_sheet(judged, questions, 20, 7)
    clusters = {line.item_id: line.cluster for line in judged}
    assert len(sheet) == 21 and len({clusters[str(row["item_id"])] for row in sheet}) == 7, "whole clusters"
    assert sheet == label_sheet(judged[::-1], questions, 20, 7)
    assert sheet != label_sheet(judged, questions, 20, 8)
    assert sheet[0]["question"] == f"What about model {str(sheet[0]['item_id'])[1:]}?"
    with pytest.raises(ValueError, match="the label is empty"):
        read_labels(labels(tmp_path, sheet), judged)
    filled = [row | {"production": 0, "candidate": 1} for row in sheet]
    assert set(read_labels(labels(tmp_path, filled), judged).scores.values()) == {(1.0, 0.0)}
    changed = [line.model_copy(update={"candidate": arm("new")}) for line in judged]
    with pytest.raises(ValueError, match="about other answers"):
        read_labels(labels(tmp_path, filled), changed)
    assert answers_digest(judged[0]) != answers_digest(changed[0])
    for count in (9, 91):
        with pytest.raises(ValueError, match="label between 10 and 90 items"):
            label_sheet(judged, questions, count, 7)


@settings(deadline=None)  # the machine may be busy
@given(st.binary(max_size=80))
def test_any_bytes_are_labels_or_a_clear_error(tmp_path_factory: pytest.TempPathFactory, raw: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.jsonl"
    path.write_bytes(raw)
    with pytest.raises(ValueError, match="line|holds 0 labels"):
        read_labels(path, [])
