"""Records on disk: read again as they were, in any order, in blocks."""

from datetime import UTC, datetime

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.components.curation.preferences import spilled_records
from flywheel.components.curation.preferences.spilled_records import SpilledRecords

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUE = st.one_of(TEXT, st.none(), st.booleans(), st.floats(allow_nan=False, allow_infinity=False), st.lists(TEXT))
RECORDS = st.lists(st.dictionaries(st.sampled_from("abc"), VALUE), max_size=12)


@settings(max_examples=40, deadline=None)
@given(RECORDS, st.randoms(use_true_random=False), st.integers(1, 40))
def test_records_come_back_in_any_order(records, draw, size):
    before = spilled_records._BYTES
    spilled_records._BYTES = size
    try:
        with SpilledRecords() as spilled:
            spilled.append(records[:5])
            spilled.append(iter(records[5:]))
            numbers = [draw.randrange(len(records)) for _ in records for _ in range(2)]
            assert len(spilled) == len(records)
            assert list(spilled.finish().stream(np.array(numbers, dtype=np.int64))) == [records[n] for n in numbers]
    finally:
        spilled_records._BYTES = before


def test_a_time_comes_back_as_text_to_the_microsecond():
    at = datetime(2026, 3, 1, 12, 30, 0, 5, tzinfo=UTC)
    with SpilledRecords() as spilled:
        spilled.append([{"at": at}])
        (record,) = spilled.finish().stream(np.array([0]))
    assert datetime.fromisoformat(record["at"]) == at
