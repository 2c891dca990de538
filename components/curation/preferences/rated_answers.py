"""Answers that people liked or disliked, one by one: what KTO learns from, which needs no pairs."""

from collections.abc import Iterator
from itertools import islice
from typing import Self

import numpy as np
import pyarrow as pa

from flywheel.components.curation.preferences.evidence import Asked
from flywheel.components.curation.preferences.pair import MESSAGES
from flywheel.components.curation.preferences.spilled_records import SpilledRecords
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
_ROWS = 512


class RatedRows:
    """Liked and disliked answers on disk; in memory lie about 50 bytes for each. Use it in a `with` statement.

    Attributes:
        liked: Answers with more subjects for them than against them.
    """

    def __init__(self) -> None:
        self._rows = SpilledRecords()
        self._ids = bytearray()
        self.liked = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._rows.__exit__()

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, about: Asked) -> None:
        """Add the answers to near-equal questions that have more subjects on one side than on the other.

        Liking an answer that an accepted correction replaced teaches nothing, nor does disliking a correction. Answers
        between two groups are left out: they would leak across a split.
        """
        rows = []
        for answer in about.answers if about.group_id is not None else ():
            liked = answer.net > 0
            against = answer.said in (about.corrected if liked else about.right)
            if answer.net == 0 or against or not answer.text.strip():
                continue
            self.liked += liked
            name = row_id(*(text for turn in answer.prompt for text in turn.values()), answer.text)
            self._ids += bytes.fromhex(name)
            rows.append(
                {
                    "answer_id": name,
                    "prompt": answer.prompt,
                    "completion": answer.text,
                    "label": liked,
                    "evidence_ids": sorted(answer.evidence_ids),
                    "support": len(answer.up if liked else answer.down),
                    "group_id": about.group_id,
                    "weight": answer.belief if liked else 1 - answer.belief,
                }
            )
        self._rows.append(rows)

    def finish(self) -> Self:
        """End the adding."""
        self._rows.finish()
        return self

    def tables(self) -> Iterator[pa.Table]:
        """The answers, some at a time, schema `SCHEMA`, ordered by id."""
        rows = self._rows.stream(np.argsort(np.frombuffer(self._ids, dtype="V16"), kind="stable"))
        while some := list(islice(rows, _ROWS)):
            yield pa.Table.from_pylist(some, schema=SCHEMA)
