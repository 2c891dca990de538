"""Rows that are appended batch by batch are the rows that are appended together."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flywheel.components.store import delta_table, streamed_append, table_file
from flywheel.components.store.tables import SCHEMAS

SCHEMA = SCHEMAS["reviews"]


def rows_of(names: list[str]) -> pa.Table:
    made = [dict.fromkeys(SCHEMA.names, "x") | {"review_id": name, "timestamp": n, "note": f"{n}"} for n, name in
            enumerate(names)]  # fmt: skip
    return pa.Table.from_pylist(made, SCHEMA)


def append(store: str, rows: pa.Table, batch: str = "b", size: int = 3):
    return streamed_append.append(
        store, "reviews", rows["review_id"].combine_chunks(), lambda: iter(rows.to_batches(size)), batch
    )


def test_the_first_row_of_each_id_is_there_once_whoever_wrote_it(tmp_path):
    rows = rows_of(["d", "a", "b", "a", "c", "e", "b"])
    done = append(str(tmp_path), rows)
    assert (done.inserted, done.already_there, done.reference.version) == (5, 2, 1)
    assert delta_table.read(done.reference).equals(rows.take([1, 2, 4, 0, 5]))
    again = append(str(tmp_path), rows)
    assert (again.inserted, again.already_there, again.reference.version) == (0, 7, 1)
    more = append(str(tmp_path), rows_of(["f", "a", "g"]), "other")
    assert (more.inserted, more.already_there) == (2, 1)
    together = delta_table.append(str(tmp_path / "whole"), "reviews", rows, "b").reference
    assert delta_table.read(together).equals(delta_table.read(done.reference))
    assert delta_table.count(more.reference) == 7


@pytest.mark.parametrize("remote", [False, True])
def test_the_rows_lie_in_their_order_in_groups_of_bounded_size(tmp_path, monkeypatch, remote):
    monkeypatch.setattr(streamed_append, "_GROUP", 500)
    if remote:  # through deltalake's own file system, as in an object store
        monkeypatch.setattr(table_file, "local_folder", lambda store: None)
    names = [f"{(7 * n) % 40:02d}" for n in range(40)]
    append(str(tmp_path), rows_of(names))
    (path,) = tmp_path.glob("**/*.parquet")
    file = pq.ParquetFile(path)
    assert file.read(["review_id"])["review_id"].to_pylist() == names
    assert file.metadata.num_row_groups > 2


def test_nothing_is_written_when_the_rows_do_not_fit_their_ids_or_there_are_none(tmp_path):
    rows = rows_of(["a", "b"])
    with pytest.raises(ValueError, match="2 ids came with 1 rows"):
        streamed_append.append(
            str(tmp_path), "reviews", rows["review_id"].combine_chunks(), lambda: iter(rows[:1].to_batches()), "b"
        )
    assert not list(tmp_path.glob("**/*.parquet"))
    none = append(str(tmp_path), rows[:0])
    assert (none.inserted, none.already_there) == (0, 0)
    assert delta_table.read(none.reference).num_rows == 0


def test_a_writer_that_was_overtaken_reads_its_rows_again(tmp_path, monkeypatch):
    rows, read = rows_of(["a", "b", "c"]), []
    real = delta_table.there_are

    def there(delta, ids):
        if not read:
            read.append("looked")
            delta_table.append(str(tmp_path), "reviews", rows_of(["b"]), "first")
            return pa.array([], pa.string())
        return real(delta, ids)

    monkeypatch.setattr(delta_table, "there_are", there)
    done = append(str(tmp_path), rows)
    monkeypatch.undo()
    assert len(list(tmp_path.glob("**/*.parquet"))) == 2
    assert (done.inserted, done.already_there, read) == (2, 1, ["looked"])
    assert delta_table.read(done.reference)["review_id"].to_pylist() == ["a", "b", "c"]
