import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from flywheel.components.contracts.tables import TableReference
from flywheel.components.store import delta_table
from flywheel.components.store.errors import StoreError
from flywheel.components.store.location import storage_options, table_uri
from flywheel.components.store.tables import ID_COLUMN, SCHEMAS, row_id


def rows(*ids, reason="r"):
    return pa.Table.from_pylist(
        [
            {
                "quarantine_id": name,
                "run_id": "run",
                "source": "s",
                "line": 1,
                "reason": reason,
                "detail": "",
                "row": "x",
            }
            for name in ids
        ],
        schema=SCHEMAS["quarantine"],
    )


@pytest.fixture
def store(tmp_path):
    return str(tmp_path / "store")


def test_every_table_has_its_id_column():
    assert set(SCHEMAS) == set(ID_COLUMN)
    for table, schema in SCHEMAS.items():
        assert schema.field(ID_COLUMN[table]).type == pa.string()
        assert not schema.field(ID_COLUMN[table]).nullable


def test_append_is_idempotent_and_first_row_stays(store):
    first = delta_table.append(store, "quarantine", rows("a", "b", "a"), "b1")
    assert (first.inserted, first.already_there) == (2, 1)
    again = delta_table.append(store, "quarantine", rows("a", "b", "a"), "b1")
    assert (again.inserted, again.already_there) == (0, 3)
    assert again.reference.version == first.reference.version
    other = delta_table.append(store, "quarantine", rows("b", "c", reason="later"), "b2")
    assert (other.inserted, other.already_there) == (1, 1)
    read = delta_table.read(other.reference, ["quarantine_id", "reason"])
    assert read.to_pydict() == {"quarantine_id": ["a", "b", "c"], "reason": ["r", "r", "later"]}


def test_same_batch_name_with_other_rows_loses_nothing(store):
    delta_table.append(store, "quarantine", rows("a"), "batch")
    assert delta_table.append(store, "quarantine", rows("b"), "batch").inserted == 1


@pytest.mark.slow
def test_a_file_keeps_the_order_of_rows_that_come_in_pieces(store, tmp_path):
    names = [f"{number:05}" for number in range(4000)]
    pieces = pa.concat_tables([rows(*names[start : start + 100]) for start in range(0, len(names), 100)])
    delta_table.append(store, "quarantine", pieces, "b1")
    (file,) = (tmp_path / "store" / "quarantine").glob("*.parquet")
    assert pq.read_table(file)["quarantine_id"].to_pylist() == names


def test_old_versions_stay_readable(store):
    first = delta_table.append(store, "quarantine", rows("a"), "1").reference
    for number in range(120):  # past a checkpoint
        delta_table.append(store, "quarantine", rows(f"x{number}"), str(number))
    assert delta_table.read(first)["quarantine_id"].to_pylist() == ["a"]
    assert delta_table.count(delta_table.latest(store, "quarantine")) == 121


def test_racing_writers_write_each_id_once(store):
    delta_table.latest(store, "quarantine")
    with ThreadPoolExecutor(8) as pool:
        done = list(
            pool.map(
                lambda start: delta_table.append(
                    store, "quarantine", rows(*(str(i) for i in range(start, start + 10))), f"w{start}"
                ),
                range(24),
            )
        )
    latest = delta_table.latest(store, "quarantine")
    assert delta_table.count(latest) == 33 == sum(one.inserted for one in done)


def test_read_filters_by_columns_that_are_not_asked_for(store):
    delta_table.append(store, "quarantine", rows("a"), "1")
    reference = delta_table.append(store, "quarantine", rows("b", reason="other"), "2").reference
    read = delta_table.read(reference, ["line", "quarantine_id"], where=pc.field("reason") == "other")
    assert read.column_names == ["line", "quarantine_id"]
    assert read["quarantine_id"].to_pylist() == ["b"]
    assert delta_table.read(reference, ["run_id"]).num_rows == 2


def test_a_foreign_writer_cannot_double_an_id_for_readers(store):
    from deltalake import write_deltalake

    delta_table.append(store, "quarantine", rows("a", "b"), "1")
    write_deltalake(table_uri(store, "quarantine"), rows("a"), mode="append")
    latest = delta_table.latest(store, "quarantine")
    assert delta_table.read(latest)["quarantine_id"].to_pylist() == ["a", "b"]


def test_lookup(store):
    reference = delta_table.append(store, "quarantine", rows("a", "b"), "1").reference
    found = delta_table.lookup(reference, ["b", "z"], ["quarantine_id", "reason"])
    assert found.to_pylist() == [{"quarantine_id": "b", "reason": "r"}]
    assert delta_table.lookup(reference, ["z"], ["reason"]).num_rows == 0
    assert delta_table.lookup(reference, [], ["reason"]).num_rows == 0


@pytest.mark.parametrize(
    ("spoiled", "words"),
    [
        (rows("a").drop_columns(["row"]), "missing columns"),
        (rows("a").append_column("more", pa.array(["x"])), "unknown columns"),
        (rows("a").set_column(6, "row", pa.array([None], pa.string())), "column row is empty"),
        (rows("a").set_column(3, "line", pa.array(["x"])), "column line is not int64"),
    ],
)
def test_wrong_rows_are_refused_by_column(store, spoiled, words):
    with pytest.raises(StoreError, match=words):
        delta_table.append(store, "quarantine", spoiled, "1")


def test_missing_table_version_and_column_are_named(store):
    with pytest.raises(StoreError, match="has no table quarantine"):
        delta_table.read(TableReference(store=store, table="quarantine", version=0))
    reference = delta_table.latest(store, "quarantine")
    assert reference.version == 0
    assert delta_table.read(reference).num_rows == 0
    with pytest.raises(StoreError, match="at version 7"):
        delta_table.read(TableReference(store=store, table="quarantine", version=7))
    with pytest.raises(StoreError, match="has no column nope"):
        delta_table.read(reference, ["nope"])
    with pytest.raises(StoreError, match="no feedback store given"):
        delta_table.latest(" ", "quarantine")


def test_remote_uri_and_options(monkeypatch):
    assert table_uri("s3://bucket/a/", "feedback") == "s3://bucket/a/feedback"
    monkeypatch.setenv("FLYWHEEL_STORAGE_OPTIONS", '{"AWS_ENDPOINT_URL": "http://x"}')
    assert storage_options() == {"AWS_ENDPOINT_URL": "http://x"}
    monkeypatch.setenv("FLYWHEEL_STORAGE_OPTIONS", "nonsense")
    with pytest.raises(StoreError, match="not JSON"):
        storage_options()


def test_daft_reads_what_we_write(store):
    import daft
    from deltalake import DeltaTable

    delta_table.append(store, "quarantine", rows("a", "b"), "1")
    files = DeltaTable(table_uri(store, "quarantine")).file_uris()
    assert sorted(daft.read_parquet(files).select("quarantine_id").to_pydict()["quarantine_id"]) == ["a", "b"]


def test_row_id_depends_on_every_part():
    assert row_id("ab", "c") != row_id("a", "bc") != row_id("a", "b", "c")
    assert row_id("a", 1) == row_id("a", 1)
    assert len(row_id("a")) == 32


@pytest.mark.slow
def test_processes_that_read_end_well(store):
    """deltalake's own pyarrow dataset lets processes abort at exit; ours must not."""
    reference = delta_table.append(store, "quarantine", rows(*map(str, range(50))), "1").reference
    code = (
        "from flywheel.components.contracts.tables import TableReference as T;"
        "from flywheel.components.store import delta_table as d; import pyarrow.compute as pc;"
        f"r=T(store={reference.store!r},table='quarantine',version=1);"
        "print(d.read(r, where=pc.field('line')==1).num_rows)"
    )
    for _ in range(12):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout.strip()) == (0, "50"), done.stderr


WRITER = """
import sys
import pyarrow as pa
from flywheel.components.store import delta_table
from flywheel.components.store.tables import SCHEMAS
store, start = sys.argv[1], int(sys.argv[2])
for number in range(start, start + 5):
    row = {"run_id": "r", "source": "s", "line": 1, "reason": "r", "detail": "", "row": ""}
    rows = [row | {"quarantine_id": str(number)}, row | {"quarantine_id": "shared"}]
    delta_table.append(store, "quarantine", pa.Table.from_pylist(rows, schema=SCHEMAS["quarantine"]), f"p{number}")
"""


@pytest.mark.slow
def test_racing_processes(store):
    workers = [subprocess.Popen([sys.executable, "-c", WRITER, store, str(start)]) for start in (0, 3, 6)]
    assert [worker.wait() for worker in workers] == [0, 0, 0]
    ids = [
        name
        for batch in delta_table.batches(delta_table.latest(store, "quarantine"), ["quarantine_id"])
        for name in batch["quarantine_id"].to_pylist()
    ]
    assert sorted(ids) == sorted({*map(str, range(11)), "shared"})
