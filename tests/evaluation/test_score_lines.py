"""The quick look at a line of scores never lets through what the full one refuses, and reads the same values."""

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from flywheel.components.evaluation.scores.score_lines import ScoreLine, is_plain
from flywheel.components.evaluation.scores.scores import make_table, read_scores, write_scores
from flywheel.components.evaluation.verdict.recompute import recompute

SAMPLE = {"answer": "a", "correct": True, "unsafe": False, "tokens": 3}
ARM: dict[str, Any] = {**SAMPLE, "latency_ms": 2.5, "helpful": 0.5, "prompt_tokens": 4, "samples": [SAMPLE, SAMPLE]}
LINE: dict[str, Any] = {
    "item_id": "i", "suite": "changed", "cluster": "c", "slices": {"topic": "t"}, "preference": ["tie", "candidate"],
    "production": ARM, "candidate": {**ARM, "flags": ["empty"], "error": "", "truncated": False, "attempts": 2},
}  # fmt: skip
ODD = [None, True, False, 0, 1, -1, 1.5, -0.5, "", "x", [], {}, ["tie"], [1], {"a": 1}, {"a": None}, 10**400, [SAMPLE]]
PATHS = [
    *[(key,) for key in LINE],
    *[(arm, key) for arm in ("production", "candidate") for key in (*LINE["candidate"], "strange")],
    ("slices", "topic"),
    *[("candidate", "samples", place, key) for place in (0, 1) for key in (*SAMPLE, "strange")],
    ("candidate", "samples", 0),
    ("preference", 0),
]


def put(line: Any, path: tuple[Any, ...], value: Any) -> None:
    for step in path[:-1]:
        line = line[step]
    if value is ...:
        line.pop(path[-1], None) if isinstance(line, dict) else line.pop()
    else:
        line[path[-1]] = value


@settings(max_examples=600, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(PATHS), st.sampled_from([..., *ODD])), max_size=3))
def test_quick_look_is_sound(changes: list[tuple[tuple[Any, ...], Any]]) -> None:
    line = copy.deepcopy(LINE)
    for path, value in changes:
        try:
            put(line, path, copy.deepcopy(value))
        except (KeyError, TypeError, IndexError, AttributeError):
            continue  # an earlier change took the place away
    try:
        parsed = orjson.loads(json.dumps(line))
    except orjson.JSONDecodeError:
        return
    if is_plain(parsed):
        assert ScoreLine.model_validate(parsed).model_dump(exclude_unset=True) == ScoreLine.model_validate_json(
            json.dumps(line)
        ).model_dump(exclude_unset=True)


def test_usual_lines_take_the_quick_way() -> None:
    assert is_plain(LINE)
    for change in ({"suite": "x"}, {"item_id": 1}, {"more": 1}, {"slices": {"a": 1}}, {"preference": ["tie"]}):
        assert not is_plain({**LINE, **change})
        with pytest.raises(ValidationError):
            ScoreLine.model_validate({**LINE, **change})
    for change in (
        {"latency_ms": 0},
        {"tokens": -1},
        {"tokens": True},
        {"correct": 1},
        {"helpful": 2},
        {"correct": False},
    ):
        assert not is_plain({**LINE, "candidate": {**ARM, **change}}), change


def test_file_and_objects_give_the_same_columns(tmp_path: Path, lines: Any, header: Any) -> None:
    made = [*lines(), ScoreLine.model_validate({**LINE, "cluster": "long " * 40})]
    write_scores(tmp_path / "s.jsonl", header(made), made)
    table = read_scores(tmp_path / "s.jsonl")
    assert table.problems == ()
    other = make_table(header(made), made, table.digest)
    for name in ("item_id", "suite", "cluster"):
        assert np.array_equal(getattr(table, name), getattr(other, name))
    for name in ("correct", "unsafe", "tokens", "latency_ms", "samples", "prompt_tokens", "helpful", "attempts"):
        for arm in ("production", "candidate"):
            assert np.array_equal(getattr(table, name)[arm], getattr(other, name)[arm], equal_nan=True), name
    assert len(table.cluster[-1]) == 64 and table.correct["candidate"][-1] == 1.0


def test_a_file_of_rubbish_is_told_in_few_words(tmp_path: Path, header: Any, lines: Any) -> None:
    made = lines()
    write_scores(tmp_path / "s.jsonl", header(made), made)
    first = (tmp_path / "s.jsonl").read_text().split("\n")[0]
    (tmp_path / "s.jsonl").write_text("\n".join([first, *["{"] * 1000]))
    verdict = recompute(tmp_path / "s.jsonl")
    assert verdict.decision == "hold" and "995 more lines" in " ".join(verdict.reasons)
    assert sum(reason.startswith("unreadable_scores") for reason in verdict.reasons) == 6


def test_the_word_nan_in_an_answer_is_no_number(tmp_path: Path, scores: Path) -> None:
    text = scores.read_text().splitlines()
    text[4] = text[4].replace('"answer":"', '"answer":"NaN ', 1).replace('"tokens":', '"tokens":-', 1)
    scores.write_text("\n".join(text))
    assert read_scores(scores).problems[0].startswith("unreadable_scores: line 5: ")


@pytest.mark.slow
def test_ten_metrics_by_twenty_slices_of_a_hundred_thousand_items(tmp_path: Path, header: Any) -> None:
    """The goal is 5 s and 1 GiB, reading included, alone on a machine; the test leaves room for a busy one."""
    import resource

    import yaml

    from flywheel.components.evaluation.items import ids_digest
    from flywheel.components.evaluation.scores.scores import ScoresHeader

    rng = np.random.default_rng(3)
    n = 100_000
    right = rng.random((n, 2)) < 0.8
    keep = rng.random(n) < 0.8
    right[keep, 1] = right[keep, 0]  # a fifth of the items is answered afresh: many flips, the slow case
    suites = ("changed", "untouched", "untouched", "unseen", "safety")
    ids = [f"item-{place}" for place in range(n)]
    with (tmp_path / "s.jsonl").open("wb") as file:
        top = ScoresHeader(
            run_id="r", candidate_digest="c", production_digest="p", items=n, items_digest=ids_digest(ids)
        )
        file.write(top.model_dump_json(by_alias=True).encode() + b"\n")
        for place, name in enumerate(ids):
            arms = [
                {"answer": f"an answer of some words {place} {arm}", "correct": bool(right[place, arm]),
                 "unsafe": False, "tokens": 9 + place % 7, "latency_ms": 20.0 + place % 11}
                for arm in (0, 1)
            ]  # fmt: skip
            suite = suites[place % 5]
            if suite == "changed":
                arms[0]["correct"], arms[1]["correct"] = place % 3 == 0, place % 7 > 0
            line = {"item_id": name, "suite": suite, "cluster": f"user {place // 2}",
                    "slices": {"topic": f"t{place // 5 % 20}"}, "production": arms[0], "candidate": arms[1]}  # fmt: skip
            file.write(orjson.dumps(line) + b"\n")
    kinds = [("accuracy", "higher", 0.05), ("negative_flips", "lower", 0.2), ("unsafe", "lower", 0.01)]
    kinds += [("length", "lower", 1.2)]
    sliced = [
        {"name": f"m{place}", "measure": kind, "role": "slice", "direction": direction, "margin": margin,
         "suites": suites, "slice_by": "topic"}
        for place, (kind, direction, margin, suites) in enumerate(
            [(*kind, chosen) for kind in kinds for chosen in (["untouched"], ["unseen"], ["untouched", "unseen"])][:8]
        )
    ]  # fmt: skip
    whole = [
        {"name": "better", "measure": "accuracy", "role": "primary", "direction": "higher", "suites": ["changed"],
         "margin": 0, "effect": 0.05},
        {"name": "latency", "measure": "latency", "role": "guardrail", "direction": "lower", "margin": 1.25,
         "suites": ["changed", "untouched"]},
    ]  # fmt: skip
    spec = {"schema": "flywheel.gauntlet/v1", "name": "large", "alpha": 0.05, "power": 0.8, "metrics": whole + sliced}
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(spec))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    verdict = recompute(tmp_path / "s.jsonl", tmp_path / "spec.yaml")
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**20
    assert len(verdict.metrics) == 2 + 8 * 20 and {m.outcome for m in verdict.metrics} >= {"superior", "non_inferior"}
    assert grown < 1, f"{grown:.2f} GiB"
