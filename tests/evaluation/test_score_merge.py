from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from flywheel.components.evaluation.scores.score_merge import annotate, extend
from flywheel.components.evaluation.scores.scores import ArmScore, ScoreLine, read_scores


def line(item_id: str, suite: str = "attack", **arm: object) -> ScoreLine:
    score = ArmScore.model_validate({"answer": "no", "correct": True, "unsafe": False, "tokens": 1, **arm})
    return ScoreLine.model_validate(
        {"item_id": item_id, "suite": suite, "cluster": item_id, "production": score, "candidate": score}
    )


def codes(path: Path) -> set[str]:
    return {problem.split(":")[0] for problem in read_scores(path).problems}


def test_added_lines_count_and_old_ones_keep_their_bytes(scores: Path, tmp_path: Path) -> None:
    out = tmp_path / "more.jsonl"
    assert extend(scores, out, [line("a1", attempts=7), line("b1", "benign")], {"attack_budget": 8}) == 2
    before, after = read_scores(scores), read_scores(out)
    assert after.problems == () and after.header.items == before.header.items + 2
    assert after.header.settings["attack_budget"] == 8
    assert out.read_bytes().split(b"\n")[1:-3] == scores.read_bytes().split(b"\n")[1:-1]
    rows = after.rows((after.item_id == "a1").nonzero()[0])
    assert rows.candidate.attempts.tolist() == [7.0] and rows.suite.tolist() == ["attack"]
    again = tmp_path / "again.jsonl"
    extend(scores, again, [line("a1", attempts=7), line("b1", "benign")], {"attack_budget": 8})
    assert again.read_bytes() == out.read_bytes()


def test_in_place_and_nothing_to_add(scores: Path) -> None:
    before = scores.read_bytes().split(b"\n")[1:]
    assert extend(scores, scores, [], {}) == 0
    assert scores.read_bytes().split(b"\n")[1:] == before and codes(scores) == set()


def test_an_item_counts_once(scores: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'changed-0' is scored already"):
        extend(scores, tmp_path / "out", [line("changed-0")], {})
    with pytest.raises(ValueError, match="'a' is scored already"):
        extend(scores, tmp_path / "out", [line("a"), line("a")], {})
    assert not (tmp_path / "out").exists()


def test_settings_cannot_be_rewritten(scores: Path, tmp_path: Path) -> None:
    extend(scores, scores, [line("a")], {"attack_budget": 8})
    with pytest.raises(ValueError, match="another attack_budget: 8"):
        extend(scores, tmp_path / "out", [line("b")], {"attack_budget": 9})


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda rows: rows[:-1], "dropped_items"),
        (lambda rows: [*rows, rows[-1]], "duplicate_items"),
        (lambda rows: [*rows[:-1], rows[-1].replace(b"safety-", b"other-", 1)], "other_items"),
        (lambda rows: [*rows[:-1], b"{"], "unreadable_scores"),
    ],
)
def test_what_was_wrong_stays_wrong(
    scores: Path, tmp_path: Path, spoil: Callable[[list[bytes]], list[bytes]], code: str
) -> None:
    header, *rows = scores.read_bytes().strip().split(b"\n")
    scores.write_bytes(b"\n".join([header, *spoil(rows)]) + b"\n")
    assert code in codes(scores)
    extend(scores, tmp_path / "out.jsonl", [line("a")], {})
    assert code in codes(tmp_path / "out.jsonl")


def test_a_lost_line_cannot_be_made_up_for(scores: Path, tmp_path: Path) -> None:
    header, *rows = scores.read_bytes().strip().split(b"\n")
    scores.write_bytes(b"\n".join([header, *rows[:-1]]) + b"\n")
    promised = orjson.loads(header)["items"]
    extend(scores, tmp_path / "out.jsonl", [line("a")], {})
    table = read_scores(tmp_path / "out.jsonl")
    assert (table.header.items, table.item_id.size) == (promised + 1, promised)
    assert codes(tmp_path / "out.jsonl") == {"dropped_items"}


def test_a_judge_annotates_lines(scores: Path, tmp_path: Path) -> None:
    def judged(old: ScoreLine) -> ScoreLine:
        if old.suite != "unseen":
            return old
        arm = old.candidate.model_copy(update={"helpful": 0.75})
        return old.model_copy(update={"candidate": arm, "preference": ("candidate", "tie")})

    out = tmp_path / "judged.jsonl"
    assert annotate(scores, out, judged, {"judge": "m"}) == 120
    table = read_scores(out)
    assert table.problems == () and table.header.settings["judge"] == "m"
    rows = table.rows((table.suite == "unseen").nonzero()[0])
    assert set(rows.candidate.helpful.tolist()) == {0.75} and set(rows.preference[1].tolist()) == {"tie"}
    with pytest.raises(ValueError, match="became 'x'"):
        annotate(scores, out, lambda old: old.model_copy(update={"item_id": "x"}), {})


def test_samples_and_summary_must_agree() -> None:
    wrong = {"answer": "b", "correct": False, "unsafe": False, "tokens": 1}
    right = {**wrong, "correct": True}
    with pytest.raises(ValueError, match="1 of 3 are right"):
        line("a", correct=True, samples=[right, wrong, wrong])
    with pytest.raises(ValueError, match="unsafe contradicts"):
        line("a", correct=False, samples=[{**wrong, "unsafe": True}, wrong, wrong])
    assert line("a", correct=True, samples=[right, wrong, right]).candidate.correct
