"""Candidates and votes for the tests of preference pairs, and what is mined from them as tables."""

import json
from dataclasses import dataclass
from datetime import timedelta

import pyarrow as pa

from flywheel.components.curation.preferences import preference_pairs, rated_answers
from flywheel.components.curation.preferences.pair import SCHEMA
from flywheel.components.curation.preferences.supporters import Supporters, key_of
from tests.curation.conftest import START


@dataclass
class Mined:
    """What was mined, read from the files."""

    pairs: pa.Table
    rated: pa.Table
    considered: int
    duplicates: int
    dropped: dict[str, int]
    evidence: dict[str, int]


def mine(candidates, voted, names, behind=None, max_share_per_subject=0.02):
    """`behind` holds who gave which correction: (question, normal form) -> user -> feedback row."""
    with Supporters() as supporters:
        for (question, form), by in (behind or {}).items():
            supporters.add(
                [key_of(question, form)] * len(by),
                [
                    {"subject": user, "feedback_id": row, "timestamp": START, "interaction_id": ""}
                    for user, row in by.items()
                ],
            )
        with preference_pairs.mine(
            iter(candidates), iter(voted), names, supporters.finish(), max_share_per_subject
        ) as mined:
            pairs = pa.concat_tables([SCHEMA.empty_table(), *mined.pairs.tables()])
            rated = pa.concat_tables([rated_answers.SCHEMA.empty_table(), *mined.rated.tables()])
            assert (len(mined.pairs), len(mined.rated)) == (pairs.num_rows, rated.num_rows)
            assert mined.rated.liked == sum(rated["label"].to_pylist())
            return Mined(pairs, rated, mined.considered, mined.duplicates, mined.dropped, mined.pairs.evidence())


def turns(prompt, *before):
    said = [*before, prompt]
    return json.dumps([{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(said)])


def accepted(prompt="What does it cost?", response="5 euros", correction="7 euros", **more):
    row = {"prompt": prompt, "messages": turns(prompt), "response": response, "correction": correction}
    row |= {"candidate_id": "c1", "group_id": "g1", "confidence": 0.9, "category": "factual"}
    return row | {"subject": "u1", "timestamp": START, "interaction_id": "i1"} | more


def voted(prompt, response, up=(), down=(), hours=0):
    """`up` and `down` are names of users, or how many different ones."""
    up, down = (
        [f"{side}{response}{n}" for n in range(by)] if isinstance(by, int) else list(by)
        for side, by in (("+", up), ("-", down))
    )
    row = {"prompt": prompt, "messages": turns(prompt), "response": response, "up_by": up, "down_by": down}
    ids = [f"{prompt}|{response}|{who}" for who in (*up, *down)]
    return row | {"rating_ids": ids, "timestamp": START + timedelta(hours=hours)}
