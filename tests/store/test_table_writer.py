import random
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.components.store import delta_table
from flywheel.components.store.errors import StoreError
from flywheel.components.store.id_index import IdIndex, hashed
from flywheel.components.store.location import table_uri
from flywheel.components.store.table_writer import TableWriter
from flywheel.components.store.tables import SCHEMAS


def rows(*ids, reason="r"):
    same = {"run_id": "run", "source": "s", "line": 1, "reason": reason, "detail": "", "row": "x"}
    return pa.Table.from_pylist([{"quarantine_id": name} | same for name in ids], schema=SCHEMAS["quarantine"])


@pytest.fixture
def store(tmp_path):
    return str(tmp_path / "a store")


def ids(found):
    return sorted(found["quarantine_id"].to_pylist())


@settings(deadline=None)
@given(st.lists(st.lists(st.text(max_size=3), max_size=30), max_size=12), st.lists(st.text(max_size=3), max_size=20))
def test_the_index_names_every_file_that_holds_an_id(files, wanted):
    index = IdIndex()
    for number, held in enumerate(files):
        index.add(hashed(held), number)
    assert index.files_of(hashed(wanted)) == {number for number, held in enumerate(files) if set(held) & set(wanted)}
    assert len(index) == sum(map(len, files))


def test_the_index_keeps_few_runs():
    index = IdIndex()
    for number in range(500):
        index.add(hashed([f"{number}-{i}" for i in range(20)]), number)
    sizes = [len(hashes) for hashes, _ in index._runs]
    assert len(sizes) < 12
    assert all(big >= 2 * small for big, small in pairwise(sizes))


def test_writes_as_append_does(store):
    writer = TableWriter(store, "quarantine")
    first = writer.append(rows("a", "b", "a"), "1")
    assert (first.inserted, first.already_there) == (2, 1)
    again = writer.append(rows("a", "b", "a"), "1")
    assert (again.inserted, again.already_there, again.reference) == (0, 3, first.reference)
    second = writer.append(rows("b", "c", reason="later"), "2")
    assert (second.inserted, second.already_there) == (1, 1)
    read = delta_table.read(second.reference, ["quarantine_id", "reason"])
    assert read.to_pydict() == {"quarantine_id": ["a", "b", "c"], "reason": ["r", "r", "later"]}
    assert writer.lookup(["c", "z", "a"], ["reason", "quarantine_id"]).sort_by("quarantine_id").to_pylist() == [
        {"reason": "r", "quarantine_id": "a"},
        {"reason": "later", "quarantine_id": "c"},
    ]
    assert writer.lookup([], ["row"]).num_rows == 0


def test_opens_only_the_files_that_hold_an_id(store, monkeypatch):
    writer = TableWriter(store, "quarantine")
    for number in range(6):
        writer.append(rows(*(f"{number}-{i}" for i in range(10))), str(number))
    opened = []
    reading = writer._open
    monkeypatch.setattr(writer, "_open", lambda name: opened.append(name) or reading(name))
    assert ids(writer.lookup(["3-1", "3-2"], ["quarantine_id"])) == ["3-1", "3-2"]
    assert len(set(opened)) == 1  # its own files it knows without reading them again
    opened.clear()
    assert writer.lookup(["none"], ["quarantine_id"]).num_rows == 0
    assert opened == []


def test_follows_other_writers(store):
    ours, theirs = TableWriter(store, "quarantine"), TableWriter(store, "quarantine")
    ours.append(rows("a"), "1")
    assert theirs.append(rows("a", "b"), "2").inserted == 1
    assert ours.append(rows("b", "c"), "3").inserted == 1  # its first commit is refused: the table moved on
    assert ids(theirs.lookup(["a", "b", "c", "d"], ["quarantine_id"])) == ["a", "b", "c"]


def test_follows_compaction_and_deletion(store):
    writer = TableWriter(store, "quarantine")
    for name in "abcd":
        writer.append(rows(name), name)
    table = DeltaTable(table_uri(store, "quarantine"))
    table.optimize.compact()
    table.delete("quarantine_id = 'b'")
    assert ids(writer.lookup(list("abcd"), ["quarantine_id"])) == ["a", "c", "d"]
    done = writer.append(rows("a", "b"), "again")
    assert (done.inserted, done.already_there) == (1, 1)  # what was deleted may come again


def test_racing_writers_write_each_id_once(store):
    delta_table.latest(store, "quarantine")

    def work(seed):
        writer, dice = TableWriter(store, "quarantine"), random.Random(seed)
        starts = [dice.randrange(20) for _ in range(5)]
        return sum(writer.append(rows(*map(str, range(at, at + 10))), f"{seed}-{at}").inserted for at in starts)

    with ThreadPoolExecutor(4) as pool:
        inserted = sum(pool.map(work, range(4)))
    latest = delta_table.latest(store, "quarantine")
    assert delta_table.count(latest) == inserted == delta_table.read(latest).num_rows


def test_a_broken_file_and_a_foreign_feature_are_named(store, tmp_path, monkeypatch):
    TableWriter(store, "quarantine").append(rows("a"), "1")
    (file,) = (tmp_path / "a store" / "quarantine").glob("*.parquet")
    held = file.read_bytes()
    file.write_bytes(b"PAR1 no more")
    with pytest.raises(StoreError, match=f"file {file.name} of table quarantine"):
        TableWriter(store, "quarantine").lookup(["a"], ["row"])
    file.unlink()
    with pytest.raises(StoreError, match=f"cannot read file {file.name}"):
        TableWriter(store, "quarantine").lookup(["a"], ["row"])
    file.write_bytes(held)

    class Protocol:
        reader_features = ("deletionVectors",)

    monkeypatch.setattr(DeltaTable, "protocol", lambda self: Protocol)
    with pytest.raises(StoreError, match="uses deletionVectors"):
        TableWriter(store, "quarantine").lookup(["a"], ["row"])


def test_reads_through_the_object_store_too(store, monkeypatch):
    TableWriter(store, "quarantine").append(rows("a", "b"), "1")
    remote = TableWriter(store, "quarantine")
    monkeypatch.setattr(remote, "_folder", None)  # as for a URI: files come through deltalake's own store
    assert ids(remote.lookup(["b"], ["quarantine_id"])) == ["b"]
    assert remote.append(rows("b", "c"), "2").inserted == 1
