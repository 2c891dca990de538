"""From a feedback log to a dataset: no group of near-duplicates has members on both sides of a split."""

import itertools
import json
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import load_from_disk

from flywheel.components.contracts.tables import CandidateSnapshot
from flywheel.components.curation.duplicates.near_duplicates import similar
from flywheel.components.curation.stages.deduplicate import deduplicate
from flywheel.components.curation.texts.normal_form import question_form
from flywheel.components.dataset.assemble import Outputs, assemble_dataset
from flywheel.components.store import delta_table, tables

NAMES = ("Borel", "Tamrin", "Osvald", "Quenby", "Zephim", "Ludrik")
LEXICON = frozenset(name.casefold() for name in NAMES)
ASPECTS = ("warranty period", "battery lifetime", "delivery time", "return window")


def fill(log, dice):
    """Questions with typos, fillers and other wordings; answers that agree, differ, and are near each other."""
    for name, aspect in itertools.product(NAMES, ASPECTS):
        asked = f"What is the {aspect} of the {name} when I buy it in the shop?"
        old, new = (f"The {aspect} of the {name} is {number} days." for number in dice.sample(range(10, 99), 2))
        for number in range(dice.randrange(1, 5)):
            place = asked.index(aspect) + dice.randrange(1, len(aspect.split()[0]) - 1)  # inside the first word
            typo = asked[:place] + asked[place + 1] + asked[place] + asked[place + 2 :]
            said = dice.choice((asked, asked.lower(), f"Hi, {asked} Thanks!", typo))
            better = dice.choice((new, new.replace("The", "Today the"), f"{new[:-1]} in all our shops."))
            log.correct(f"{name}{number}", said, dice.choice((old, old[:-1])), better, hours=dice.randrange(99))


@pytest.mark.parametrize("seed", [1, 2])
def test_a_group_never_straddles_a_split(log, tmp_path, seed):
    fill(log, random.Random(seed))
    store, feedback = log.save(tmp_path)
    kept, groups = str(tmp_path / "kept"), str(tmp_path / "groups")
    deduplicate(feedback, kept, "r", groups=groups)
    membership = pq.read_table(groups).to_pylist()
    assert len(membership) == len(log.interactions)
    group_of = {row["interaction_id"]: row["group_id"] for row in membership}
    wording_of = {row["interaction_id"]: question_form(row["prompt"]) for row in log.interactions}
    # two typos in different places of one word are two edits apart: without the right word between them, two groups
    assert 0 <= len(set(group_of.values())) - len(NAMES) * len(ASPECTS) <= 2

    rows = [
        {name: row.get(name, "") for name in tables.SCHEMAS["candidates"].names}
        | {"candidate_id": f"c{number:04d}", "run_id": "r", "route": "accept", "category": "factual", "confidence": 1.0}
        for number, row in enumerate(pq.read_table(kept).to_pylist())
    ]
    assert len(rows) > len(NAMES) * len(ASPECTS)  # groups of several rows reach the split
    table = pa.Table.from_pylist(rows, schema=tables.SCHEMAS["candidates"])
    reference = delta_table.append(store, "candidates", table, batch="all").reference
    CandidateSnapshot(candidates=reference, run_id="r").write(tmp_path / "candidates")
    pairs = [
        {"prompt": json.loads(row["messages"]), "chosen": row["correction"], "rejected": row["response"]}
        | {name: row[name] for name in ("candidate_id", "group_id")}
        for row in rows
    ]
    pq.write_table(pa.Table.from_pylist(pairs), tmp_path / "pairs")
    interaction_of = {row["candidate_id"]: row["interaction_id"] for row in rows}
    straddled_without = 0
    for split_seed in range(3):
        out = tmp_path / f"out{split_seed}"
        outputs = Outputs(*(str(out / part) for part in ("sft", "preferences", "evaluation", "manifest")))
        inputs = str(tmp_path / "candidates"), str(tmp_path / "pairs"), "", ""
        made = assemble_dataset(*inputs, outputs, "r", replay_share=0.0, test_share=0.5, seed=split_seed)
        trained = [*load_from_disk(outputs.sft)["candidate_id"], *load_from_disk(outputs.preferences)["candidate_id"]]
        train = [interaction_of[name] for name in trained if name]
        asked = [json.loads(line)["messages"][-1]["content"] for line in (out / "evaluation").read_text().splitlines()]
        by_wording = {wording: name for name, wording in wording_of.items()}
        held = [by_wording[question_form(question)] for question in asked]
        assert len(train) > 3 < len(held)
        assert not {group_of[name] for name in train} & {group_of[name] for name in held}
        for left, right in itertools.product(train, held):
            assert not similar((wording_of[left],), (wording_of[right],), LEXICON)
        straddled_without += made.details["leakage"]["before"]["rows_split_without_groups"]
    assert straddled_without > 0  # a split of rows would have leaked
