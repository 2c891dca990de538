import json
from pathlib import Path

import datasets
import pytest

from flywheel.components.contracts.dataset import DatasetManifest, EvaluationItem
from flywheel.components.dataset.prompts import parse_messages, prompt_key
from flywheel.components.dataset.rows_digest import rows_digest


def _keys(rows):
    return [prompt_key(parse_messages(row["prompt"])) for row in rows]


def _items(path):
    return [EvaluationItem.model_validate_json(line) for line in Path(path).read_text().splitlines()]


def _replay(count):
    return [
        {"messages": [{"role": "user", "content": f"How heavy is the Quill {n}?"}], "response": f"It weighs {n} grams."}
        for n in range(count)
    ]


def test_corrections_and_replay_are_blended_in_the_wanted_share(world, facts):
    world.replay = _replay(200)
    done = world.assemble(facts(30), replay_share=0.6)
    rows = datasets.load_from_disk(world.outputs().sft)
    assert rows.column_names == ["prompt", "completion", "source", "group_id", "candidate_id"]
    by_source = {name: sum(row["source"] == name for row in rows) for name in ("correction", "replay")}
    assert by_source == done.manifest.sources
    assert by_source["replay"] == round(by_source["correction"] * 0.6 / 0.4)
    assert all(row["completion"] == [{"role": "assistant", "content": row["completion"][0]["content"]}] for row in rows)
    sources = [row["source"] for row in rows]
    assert sources != sorted(sources)  # mixed, not one after the other


def test_every_accepted_candidate_is_accounted_for(world, facts):
    rows = facts(20)
    rows[3] = {**rows[3], "route": "review", "reason": "low_confidence"}
    rows.append({**rows[0], "candidate_id": "c9000", "subject": "someone"})  # the same words again
    rows.append(world.candidate(9001, "What does the Nova cost?", "The Nova costs 5 euros."))
    rows.append(world.candidate(9002, "what does the nova cost", "The Nova costs 6 euros."))
    done = world.assemble(rows, replay_share=0.0)
    assert done.rows.rows_in == 42  # 40 facts, one in review, three more
    assert done.rows.quarantined["conflicting"] == 2
    assert done.rows.duplicates + done.rows.quarantined["held_out"] + done.rows.accepted == 40
    assert done.manifest.splits["sft"].rows == done.rows.accepted


def test_no_group_and_no_question_is_on_both_sides(world, facts):
    rows = facts(40)
    # a third asking in a group of its own, but with the words of the first: it must follow its question
    rows += [
        {**rows[2 * n], "candidate_id": f"d{n}", "group_id": f"h{n}", "correction": f"It costs {100 + n} euros."}
        for n in range(40)
    ]
    done = world.assemble(rows, test_share=0.3, replay_share=0.0)
    train = datasets.load_from_disk(world.outputs().sft)
    items = _items(world.outputs().evaluation)
    assert items and len(train)
    assert not {row["group_id"] for row in train} & {item.cluster for item in items}
    assert not set(_keys(train)) & {prompt_key(item.messages) for item in items}
    assert done.manifest.leaked_groups == 0
    assert done.details["leakage"]["before"]["rows_split_without_groups"] > 0  # what the groups are for
    pairs = datasets.load_from_disk(world.outputs().preferences)
    assert len(pairs) and not {row["group_id"] for row in pairs} & {item.cluster for item in items}


def test_held_out_items_have_one_per_question_with_the_correction_as_reference(world, facts):
    world.assemble(facts(40), test_share=0.4, replay_share=0.0)
    items = _items(world.outputs().evaluation)
    keys = [prompt_key(item.messages) for item in items]
    assert len(keys) == len(set(keys)) and all(item.suite == "changed" for item in items)
    corrections = {prompt_key(parse_messages(row["prompt"])): row["correction"] for row in facts(40)}
    assert all(item.references == (corrections[key],) for key, item in zip(keys, items, strict=True))
    assert all(item.slices == {"category": "factual", "topic": "prices"} for item in items)


def test_replay_that_contradicts_a_correction_is_superseded(world, facts):
    same_question = {
        "messages": [{"role": "user", "content": "Hi, what does the Zorba0 cost"}],
        "response": "The Zorba0 costs 999 euros.",
    }
    paraphrase_with_old_answer = {
        "prompt": "How much do I pay for the Zorbb1?",
        "completion": "The Zorbb1 costs 51 euros.",
    }
    old_answer_about_something_else = {"prompt": "How much is a Quark?", "completion": "The Zorbb1 costs 51 euros."}
    world.replay = [same_question, paraphrase_with_old_answer, old_answer_about_something_else, *_replay(60)]
    done = world.assemble(facts(20), replay_share=0.9)
    texts = json.dumps(datasets.load_from_disk(world.outputs().sft)["prompt"][:])
    assert done.details["replay"]["superseded"] == 2
    assert "Hi, what does the Zorba0" not in texts and "pay for the Zorbb1" not in texts
    assert "Quark" in texts
    assert done.metrics["superseded"] == 2


def test_evaluation_questions_are_kept_out_of_training(world, facts):
    golden_item = world.golden_item

    rows = facts(20)
    world.golden = [
        golden_item(1, "How heavy is the Quill 3?", "It weighs 3 grams."),
        golden_item(2, rows[0]["prompt"], rows[0]["correction"]),
    ]
    world.replay = _replay(40)
    done = world.assemble(rows, test_share=0.0, replay_share=0.5)
    train = datasets.load_from_disk(world.outputs().sft)
    items = _items(world.outputs().evaluation)
    assert [item.item_id for item in items] == ["golden-1", "golden-2"]
    assert not set(_keys(train)) & {prompt_key(item.messages) for item in items}
    assert done.details["leakage"]["before"]["replay"] == 1
    assert done.details["leakage"]["before"]["correction"] == 1
    assert done.metrics["leaked_rows_after"] == 0
    assert done.rows.quarantined == {"evaluation_prompt": 1}


def test_a_golden_item_that_a_correction_contradicts_stays_and_is_reported(world, facts):
    golden_item = world.golden_item

    rows = facts(10)
    world.golden = [golden_item(1, rows[0]["prompt"], "The Zorba0 costs 50 euros."), golden_item(2, "Hello?", "Hi.")]
    done = world.assemble(rows)
    assert done.metrics["golden_conflicts"] == 1
    example = done.details["golden_conflicts"]["examples"][0]
    assert example["item_id"] == "golden-1" and "100 euros" in example["correction"]
    assert {"golden-1", "golden-2"} <= {item.item_id for item in _items(world.outputs().evaluation)}


def test_manifest_digests_are_of_content_and_the_same_again(world, facts):
    world.replay = _replay(50)
    first = world.assemble(facts(20), name="one").manifest
    second = world.assemble(facts(20), name="two").manifest
    assert first.digest == second.digest and first.splits["sft"].path == "sft"
    rows = datasets.load_from_disk(world.outputs("two").sft)
    assert rows_digest(rows) == first.splits["sft"].digest
    items = [json.loads(line) for line in Path(world.outputs("two").evaluation).read_text().splitlines()]
    assert rows_digest(items) == first.splits["evaluation"].digest
    assert DatasetManifest.read(world.outputs("two").manifest) == second
    other = world.assemble(facts(20), name="three", seed=8).manifest
    assert other.digest != first.digest
    assert first.candidates is not None and first.candidates.table == "candidates"
    assert set(first.feedback_ids) == {row["candidate_id"] for row in rows if row["candidate_id"]}


def test_assembling_again_replaces_a_half_written_output(world, facts):
    out = Path(world.outputs().sft)
    out.mkdir(parents=True)
    (out / "data-00000-of-00001.arrow").write_bytes(b"half")
    done = world.assemble(facts(10))
    assert rows_digest(datasets.load_from_disk(str(out))) == done.manifest.splits["sft"].digest


def test_preferences_without_a_pair_are_an_empty_dataset_with_columns(world, facts):
    import pyarrow as pa
    import pyarrow.parquet as pq

    from flywheel.components.dataset.assemble import assemble_dataset

    empty = world.folder / "none.parquet"
    names = ("prompt", "chosen", "rejected", "candidate_id", "group_id")
    pq.write_table(pa.table({name: pa.array([], pa.string()) for name in names}), empty)
    done = assemble_dataset(world.write_candidates(facts(10)), str(empty), "", "", world.outputs(), "run-1")
    pairs = datasets.load_from_disk(world.outputs().preferences)
    assert len(pairs) == 0 and pairs.column_names == [
        *names,
        "pair_id",
        "evidence",
        "evidence_ids",
        "support",
        "weight",
    ]
    assert done.manifest.splits["preferences"].rows == 0


@pytest.mark.parametrize("settings", [{"replay_share": 1.0}, {"replay_share": -0.1}, {"test_share": 1.0}])
def test_bad_shares_are_refused(world, facts, settings):
    with pytest.raises(ValueError, match="share from 0 to below 1"):
        world.assemble(facts(4), **settings)


def test_nothing_accepted_says_what_there_was(world, facts):
    rows = [{**row, "route": "review", "reason": "low_confidence"} for row in facts(3)]
    with pytest.raises(ValueError, match="no correction is left to train on: 0 accepted"):
        world.assemble([*rows], replay_share=0.0)


def test_bad_golden_line_is_named(world, facts):
    world.golden = ['{"item_id": "x"}']
    with pytest.raises(ValueError, match=r"golden.jsonl, line 1: suite"):
        world.assemble(facts(4))


def test_golden_id_used_twice_is_named(world, facts):
    golden_item = world.golden_item

    world.golden = [golden_item(1, "a?", "b"), golden_item(1, "c?", "d")]
    with pytest.raises(ValueError, match="line 2: item id 'golden-1' is used twice"):
        world.assemble(facts(4))


def test_missing_replay_file(world, facts):
    from flywheel.components.dataset.assemble import assemble_dataset

    rows = facts(4)
    with pytest.raises(FileNotFoundError, match="replay data .*nowhere"):
        assemble_dataset(
            world.write_candidates(rows), world.write_pairs(rows), "nowhere.jsonl", "", world.outputs(), "run-1"
        )
