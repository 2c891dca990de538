"""Answers that people liked or disliked, one by one: what KTO learns from, which needs no pairs."""

from collections.abc import Collection, Sequence

import pyarrow as pa

from flywheel.components.curation.preferences.answers import Answer
from flywheel.components.curation.preferences.pair import MESSAGES
from flywheel.components.store.tables import row_id

SCHEMA = pa.schema(
    [
        ("answer_id", pa.string()),
        ("prompt", MESSAGES),
        ("completion", pa.string()),
        ("label", pa.bool_()),  # liked
        ("evidence_ids", pa.list_(pa.string())),
        ("support", pa.int64()),  # distinct subjects who agree
        ("group_id", pa.string()),
        ("weight", pa.float64()),  # belief that the label is right, in (0.5, 1)
    ]
)


def rated_table(
    answers: Sequence[tuple[int, str, Answer]],
    corrected: Collection[tuple[int, str]],
    right: Collection[tuple[int, str]],
) -> pa.Table:
    """Make the table.

    Args:
        answers: (topic, group, answer).
        corrected: (topic, normal form) of answers that an accepted correction replaced: liking them teaches nothing.
        right: (topic, normal form) of accepted corrections: disliking them teaches nothing.

    Returns:
        Answers with more subjects on one side than on the other, ordered by id.
    """
    rows = []
    for topic, group, answer in answers:
        liked = answer.net > 0
        against = (topic, answer.form) in (corrected if liked else right)
        if answer.net == 0 or against or not answer.text.strip():
            continue
        rows.append(
            {
                "answer_id": row_id(*(text for turn in answer.prompt for text in turn.values()), answer.text),
                "prompt": answer.prompt,
                "completion": answer.text,
                "label": liked,
                "evidence_ids": sorted(answer.evidence_ids),
                "support": len(answer.up if liked else answer.down),
                "group_id": group,
                "weight": answer.belief if liked else 1 - answer.belief,
            }
        )
    return pa.Table.from_pylist(sorted(rows, key=lambda row: str(row["answer_id"])), schema=SCHEMA)
