"""Batches are read in parts; where a batch ends does not depend on how it is cut into parts."""

import json
from itertools import groupby

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flywheel.components.contracts.feedback import SCHEMA
from flywheel.components.intake import batches, sources
from flywheel.components.intake.lines import DEFAULT_MAX_LINE_BYTES
from flywheel.components.intake.waiting_rows import WaitingRows
from flywheel.components.store.tables import SCHEMAS


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("logs")
    for name, rows in (("a", 7), ("b", 1), ("c", 12)):
        lines = [json.dumps({"schema": SCHEMA, "interaction": f"{name}{n}", "response": "x" * n}) for n in range(rows)]
        (folder / f"{name}.jsonl").write_text("".join(line + "\n" for line in lines))
    return sources.resolve(str(folder))


def of(found, rows, part_rows):
    """Ids of each batch; every part is emptied after use, as by intake."""
    parts, number = [], 0
    for part in batches.read_batches(found, "auto", DEFAULT_MAX_LINE_BYTES, rows, part_rows):
        assert len(part.rows) <= part_rows
        parts += [(number, row.fields()["interaction"]) for row in part.rows]
        number += part.last
        part.rows.clear()
    assert not parts or number == parts[-1][0] + 1  # the last batch has ended
    return [[name for _, name in batch] for _, batch in groupby(parts, lambda item: item[0])]


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 14), st.integers(1, 14), st.sampled_from([60, 200, batches._BATCH_BYTES]))
def test_parts_make_the_same_batches(logs, monkeypatch, rows, part_rows, most_bytes):
    with monkeypatch.context() as patch:
        patch.setattr(batches, "_BATCH_BYTES", most_bytes)
        whole = of(logs, rows, rows)
        assert of(logs, rows, part_rows) == whole
    assert [name for batch in whole for name in batch] == [
        f"{name}{n}" for name, count in (("a", 7), ("b", 1), ("c", 12)) for n in range(count)
    ]
    if most_bytes == batches._BATCH_BYTES:
        assert max(map(len, whole)) == min(rows, 12)


def test_what_waits_is_looked_up_and_taken_once():
    schema = SCHEMAS["quarantine"]

    def row(number):
        return dict.fromkeys(schema.names, "x") | {"quarantine_id": f"q{number}", "line": number}

    waiting = WaitingRows("quarantine")
    for numbers in ((1, 2), (), (3, 1)):
        waiting.add(pa.Table.from_pylist([row(number) for number in numbers], schema=schema))
    assert waiting.lookup(["q9"], ["line"]).num_rows == 0
    assert waiting.lookup(["q1", "q3"], ["line"]).to_pydict() == {"line": [1, 3, 1]}
    assert waiting.take()["line"].to_pylist() == [1, 2, 3, 1]
    assert waiting.take().num_rows == 0
    assert waiting.lookup(["q1"], ["line"]).num_rows == 0


def test_ids_are_new_once_until_the_batch_is_taken():
    waiting = WaitingRows("quarantine")
    assert waiting.expect(["a", "b"])
    assert waiting.expect([])
    assert waiting.expect(["c"])
    assert not waiting.expect(["d", "b"])
    assert not waiting.expect(["d"])
    assert not waiting.expect(["e", "e"])
    waiting.take()
    assert waiting.expect(["a", "e"])
