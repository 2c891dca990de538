"""How people type, and how rows break: properties that hold for every seed."""

import json
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from flywheel.components.contracts.feedback import SCHEMA, FeedbackRecord
from flywheel.scripts.small_world import facts, labels, malformed, phrasings, pii, reactions

SEEDS = st.integers(0, 2**32)
KEYS = st.sampled_from(sorted(facts.yesterday(7)))
SAMPLE = {
    "schema": SCHEMA,
    "interaction": "i1",
    "user": "u1",
    "timestamp": "2026-10-05T10:00:00+00:00",
    "messages": [{"role": "user", "content": "How much is the Borel 7?"}],
    "response": "The Borel 7 costs 49 euros.",
    "signals": {"rating": 1},
}


@given(KEYS, st.sampled_from(range(12)), SEEDS)
def test_product_names_survive_sloppy_typing(key: facts.Key, wording: int, seed: int) -> None:
    asked = phrasings.question(key, wording)
    assert key[0] in phrasings.sloppy(asked, Random(seed))
    assert key[0] in phrasings.disturbed(asked, Random(seed))


@given(SEEDS, st.sampled_from(malformed.KINDS))
def test_malformed_rows_do_not_parse(seed: int, kind: str) -> None:
    line = malformed.row(kind, SAMPLE, Random(seed))
    assert b"\n" not in line
    if kind == "future":
        assert FeedbackRecord.model_validate_json(line).timestamp.year > 2030
        return
    with pytest.raises((ValidationError, UnicodeDecodeError)):
        FeedbackRecord.model_validate_json(line.decode("utf-8"))


def test_unknown_kind_of_malformed_row() -> None:
    with pytest.raises(ValueError, match="unknown kind"):
        malformed.row("odd", SAMPLE, Random(1))


def test_breaking_a_row_leaves_the_sample_alone() -> None:
    before = json.dumps(SAMPLE)
    malformed.rows(30, [SAMPLE], Random(1))
    assert json.dumps(SAMPLE) == before


@given(SEEDS)
def test_remarks_hold_their_personal_data(seed: int) -> None:
    kind, value, text = pii.remark(Random(seed))
    assert kind in pii.KINDS
    assert value in text


@given(KEYS, SEEDS)
def test_restyled_answers_keep_the_value(key: facts.Key, seed: int) -> None:
    value = facts.yesterday(7)[key]
    category, text = reactions.restyled(key, value, Random(seed))
    assert category in ("tone", "clarity")
    assert value in text
    assert text != facts.sentence(key, value)


@given(st.integers(0, 200), SEEDS)
def test_changed_facts_differ(count: int, seed: int) -> None:
    before = facts.yesterday(seed)
    changed = facts.change(before, count, seed)
    assert len(changed) == count
    assert all(before[key] != value for key, value in changed.items())


def test_too_many_changes_are_refused() -> None:
    with pytest.raises(ValueError, match="cannot change 50 facts: only 40"):
        facts.change(facts.yesterday(7), 50, 7, ("price",))


def test_golden_wordings_are_nobody_elses() -> None:
    held = {text for wordings in phrasings.WORDINGS.values() for text in wordings[10:]}
    said = {text for wordings in phrasings.WORDINGS.values() for text in wordings[:10]}
    assert not held & said
    assert all(len(wordings) == len(set(wordings)) == 12 for wordings in phrasings.WORDINGS.values())


def test_label_noise_is_two_percent() -> None:
    # A clean factual label changes a value, or names it tersely; noise breaks the fixed cycle of categories.
    rows = labels.corrections(4000, 3)
    share = sum(row["category"] == "factual" for row in rows) / len(rows)
    assert 0.48 <= share <= 0.52
