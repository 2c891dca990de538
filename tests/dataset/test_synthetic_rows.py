import json
from pathlib import Path

import datasets
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.components.curation.synthetic.rows import SyntheticRow, write
from flywheel.components.dataset import synthetic_rows
from flywheel.components.dataset.prompts import parse_messages, prompt_key


def made(number: int, parent: str, question: str, group: str = "", completion: str = "It is 36 months."):
    return SyntheticRow(
        synthetic_id=f"s{number:04d}",
        parent_id=parent,
        group_id=group or f"g{parent}",
        cluster_id="k1",
        messages=[{"role": "user", "content": question}],
        completion=completion,
        generator="templates",
        parameters={},
    )


def key(question: str) -> str:
    return prompt_key(parse_messages(question))


def candidates(world, number: int = 24):
    return [
        world.candidate(i, f"What does product number {i} cost?", f"It costs {i + 50} euros.") for i in range(number)
    ]


def test_rows_train_with_their_parent_and_never_evaluate(world, tmp_path):
    rows = candidates(world)
    world.golden = [world.golden_item(1, "Do you sell product number 3 in red?", "Yes, in red.")]
    found = [made(i, row["candidate_id"], f"Price of product number {i} please now?") for i, row in enumerate(rows)]
    found += [made(100, "c0003", "Do you sell product number 3 in red?"), made(101, "c9999", "Who are you then?")]
    path = str(tmp_path / "synthetic.jsonl")
    write(found, path)
    done = world.assemble(rows, test_share=0.4, replay_share=0.0, synthetic=path, synthetic_share=0.9)
    sft = datasets.load_from_disk(world.outputs().sft)
    evaluated = [json.loads(line) for line in Path(world.outputs().evaluation).read_text(encoding="utf-8").splitlines()]
    synthetic = [row for row in sft if row["source"] == "synthetic"]
    train = {row["candidate_id"] for row in sft if row["source"] == "correction"}
    assert len(synthetic) > 3
    assert {row["candidate_id"] for row in synthetic} == train
    assert {row["group_id"] for row in synthetic} <= {row["group_id"] for row in sft if row["source"] == "correction"}
    asked = {item["messages"][-1]["content"] for item in evaluated}
    assert not {row["prompt"][-1]["content"] for row in sft} & asked
    assert not {one.messages[-1]["content"] for one in found} & (asked - {"Do you sell product number 3 in red?"})
    counts = done.details["synthetic"]
    assert counts["read"] == len(found) == sum(count for name, count in counts.items() if name != "read")
    assert counts["parent_not_training"] + counts.get("evaluation_prompt", 0) == len(rows) - len(train) + 2
    assert done.manifest.sources["synthetic"] == len(synthetic)
    assert done.metrics["rows_synthetic"] == len(synthetic)


def test_without_synthetic_rows_the_dataset_is_the_same_as_before(world, tmp_path):
    plain = world.assemble(candidates(world), "plain", replay_share=0.0)
    write([], str(tmp_path / "none.jsonl"))
    empty = world.assemble(candidates(world), "empty", replay_share=0.0, synthetic=str(tmp_path / "none.jsonl"))
    assert plain.manifest.digest == empty.manifest.digest
    assert "synthetic" not in plain.manifest.sources


def test_the_share_is_kept_and_the_choice_is_by_id():
    units = {f"c{i}": f"g{i}" for i in range(8)}
    found = [made(i, f"c{i % 8}", f"Question number {i}?") for i in range(40)]
    few = synthetic_rows.training_rows(found, units, set(), set(), set(), 0.2, 7)
    assert len(few.rows) == 2
    assert few.left_out == {"beyond_share": 38}
    assert few == synthetic_rows.training_rows(found[::-1], units, set(), set(), set(), 0.2, 7)
    assert synthetic_rows.training_rows(found, units, set(), set(), set(), 0.0, 7).rows == []
    for share in (-0.1, 1.0):
        with pytest.raises(ValueError, match="synthetic_share"):
            synthetic_rows.training_rows(found, units, set(), set(), set(), share, 7)


def test_the_same_question_is_asked_once():
    units = {"c1": "g1"}
    found = [made(1, "c1", "Price?"), made(2, "c1", "price"), made(3, "c1", "Cost?"), made(4, "c1", "How much?")]
    done = synthetic_rows.training_rows(found, units, set(), set(), {key("Cost?")}, 0.9, 7)
    assert done.left_out == {"duplicate": 2}
    assert len(done.rows) == 2


@settings(max_examples=120)
@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 14)), max_size=40),
    st.sets(st.integers(0, 9)),
    st.sets(st.integers(0, 14)),
    st.floats(0, 0.95),
    st.integers(0, 5),
)
def test_no_split_lets_a_synthetic_row_leak(pairs, held, evaluated, share, seed):
    """Whatever is held out: no unit and no question of the evaluation comes back through a synthetic row."""
    units = {f"c{i}": f"g{i // 2}" for i in range(10)}  # two corrections a unit
    held_units = {units[f"c{i}"] for i in held}
    training = {name: unit for name, unit in units.items() if unit not in held_units}
    found = [made(place, f"c{parent}", f"Question {topic}?") for place, (parent, topic) in enumerate(pairs)]
    keys = {key(f"Question {topic}?") for topic in evaluated}
    done = synthetic_rows.training_rows(found, training, held_units, keys, set(), share, seed)
    assert done.read == len(done.rows) + sum(done.left_out.values())
    for row in done.rows:
        assert row["source"] == "synthetic"
        assert row["group_id"] not in held_units
        assert row["group_id"] == units[row["candidate_id"]]
        assert key(row["prompt"][-1]["content"]) not in keys
    assert len(done.rows) <= share / (1 - share) * len(training)
