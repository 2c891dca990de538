"""Files of a table: what the log says of them is true, and rules that others gave the table are kept."""

import json
import math
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, QueryBuilder
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.components.store import delta_table, streamed_append, table_file
from flywheel.components.store.errors import StoreError
from flywheel.components.store.tables import SCHEMAS
from tests.store.test_delta_table import rows

SCHEMA = pa.schema(
    [
        ("text", pa.string()),
        ("value", pa.float64()),
        ("number", pa.int64()),
        ("yes", pa.bool_()),
        ("time", pa.timestamp("us", tz="UTC")),
    ]
)
START = datetime(2026, 1, 1, tzinfo=UTC)
moments = st.integers(-(10**15), 10**15).map(lambda number: START + timedelta(microseconds=number))
groups = st.lists(
    st.lists(
        st.fixed_dictionaries(
            {
                "text": st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=4) | st.just("x" * 65),
                "value": st.none() | st.floats(),
                "number": st.none() | st.integers(-(2**63), 2**63 - 1),
                "yes": st.none() | st.booleans(),
                "time": st.none() | moments,
            }
        ),
        max_size=4,
    ),
    max_size=3,
)


def shown(value):
    return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ") if isinstance(value, datetime) else value


@settings(deadline=None, max_examples=200)
@given(groups)
def test_bounds_hold_for_every_row(tables):
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(sink, SCHEMA) as file:
        for group in tables:
            file.write_table(pa.Table.from_pylist(group, SCHEMA))
    said = table_file.statistics(pq.ParquetFile(sink.getvalue()).metadata)
    given = [row for group in tables for row in group]
    assert json.loads(json.dumps(said, allow_nan=False)) == said
    assert said["numRecords"] == len(given)
    for name in SCHEMA.names:
        values = [row[name] for row in given if row[name] is not None]
        if given:
            assert said["nullCount"][name] == len(given) - len(values)
        ordered = [value for value in values if value == value]  # NaN is out of any order
        bounds = [said["minValues"][name], said["maxValues"][name]] if name in said["minValues"] else []
        if name == "yes" or not ordered or not all(map(bounded, ordered)):
            assert not bounds or (ordered and all(map(bounded, bounds)))
        elif bounds or len(ordered) == len(values):
            assert bounds == [shown(min(ordered)), shown(max(ordered))]


def bounded(value):
    return math.isfinite(value) if isinstance(value, float) else len(str(value)) <= 64


def test_readers_leave_out_files_by_what_the_log_says(tmp_path):
    for batch, line in (("a", 1), ("b", 7)):
        one = rows(batch).set_column(3, "line", pa.array([line]))
        delta_table.append(str(tmp_path), "quarantine", one, batch)
    found = DeltaTable(str(tmp_path / "quarantine"))
    said = pa.table(found.get_add_actions(flatten=True)).sort_by("min.line")
    assert said["num_records"].to_pylist() == [1, 1]
    assert said["min.line"].to_pylist() == said["max.line"].to_pylist() == [1, 7]
    assert said["null_count.reason"].to_pylist() == [0, 0]
    files = tmp_path.glob("quarantine/*.parquet")
    early = next(path for path in files if pq.read_table(path)["line"].to_pylist() == [1])
    early.unlink()  # who asks for later lines does not open it
    asked = "select quarantine_id from quarantine where line > 5"
    found = QueryBuilder().register("quarantine", found).execute(asked).read_all()
    assert pa.table(found).to_pydict() == {"quarantine_id": ["b"]}


@pytest.mark.parametrize("streamed", [False, True])
def test_rules_that_others_gave_the_table_are_kept(tmp_path, streamed):
    store = str(tmp_path)
    delta_table.append(store, "quarantine", rows("a"), "1")
    DeltaTable(str(tmp_path / "quarantine")).alter.add_constraint({"early": "line < 5"})

    def append(name, line):
        more = rows(name).set_column(3, SCHEMAS["quarantine"].field("line"), pa.array([line]))
        if streamed:
            ids = more["quarantine_id"].combine_chunks()
            return streamed_append.append(store, "quarantine", ids, lambda: iter(more.to_batches()), name)
        return delta_table.append(store, "quarantine", more, name)

    with pytest.raises(StoreError, match="cannot write table quarantine"):
        append("b", 9)
    assert append("c", 4).inserted == 1
    assert delta_table.read(delta_table.latest(store, "quarantine"))["quarantine_id"].to_pylist() == ["a", "c"]
