"""Files of a table on this machine are read as deltalake's engine reads them."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from flywheel.components.store import data_files, delta_table
from flywheel.components.store.errors import StoreError
from flywheel.components.store.tables import SCHEMAS
from tests.store.test_streamed_append import rows_of


def filled(store: str) -> DeltaTable:
    for number in range(3):
        rows = rows_of([f"{number}-{n}é" for n in range(5)])
        delta_table.append(store, "reviews", rows, f"b{number}")
    delta = delta_table.open_version(store, "reviews", create=False)
    delta.delete("note = '3'")
    return delta


def all_of(store: str, columns: list[str] | None = None) -> pa.Table:
    parts = list(delta_table.batches(delta_table.latest(store, "reviews"), columns))
    assert all(part.num_rows <= delta_table._ROWS for part in parts)
    return pa.Table.from_batches(parts).sort_by("review_id")


@pytest.mark.parametrize("columns", [None, ["timestamp", "review_id"]])
@pytest.mark.parametrize("root", ["{}", "file://{}"])
def test_files_hold_what_the_engine_reads(tmp_path, monkeypatch, columns, root):
    filled(str(tmp_path))
    monkeypatch.setattr(delta_table, "_ROWS", 2)
    engine = pytest.MonkeyPatch()
    engine.setattr(data_files, "plain_files", lambda *_: None)
    expected = all_of(str(tmp_path), columns)
    engine.undo()
    found = all_of(root.format(tmp_path), columns)
    assert found.equals(expected)
    assert found.num_rows == 12


def test_a_column_that_a_file_does_not_have_yet_is_empty_there(tmp_path):
    file = tmp_path / "old.parquet"
    pq.write_table(pa.table({"note": pa.array(["a", "b"], pa.large_string())}), file)
    schema = pa.schema([SCHEMAS["reviews"].field(name) for name in ("correction", "note")])
    (batch,) = data_files.batches([file], schema, 10)
    assert batch.to_pydict() == {"correction": [None, None], "note": ["a", "b"]}
    assert batch.schema == schema
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(StoreError, match="old.parquet"):
        list(data_files.batches([file], schema, 10))


def test_what_files_do_not_say_is_left_to_the_engine(tmp_path):
    delta = filled(str(tmp_path))
    paths = data_files.plain_files(delta, str(tmp_path), "reviews")
    assert paths
    assert data_files.plain_files(delta, "s3://bucket/store", "reviews") is None
    paths[0].unlink()
    assert data_files.plain_files(delta, str(tmp_path), "reviews") is None
    parted = DeltaTable.create(tmp_path / "p" / "reviews", SCHEMAS["reviews"], partition_by=["verdict"])
    assert data_files.plain_files(parted, str(tmp_path / "p"), "reviews") is None
    marked = DeltaTable.create(
        tmp_path / "m" / "reviews", SCHEMAS["reviews"], configuration={"delta.enableDeletionVectors": "true"}
    )
    assert data_files.plain_files(marked, str(tmp_path / "m"), "reviews") is None
