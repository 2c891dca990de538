import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flywheel.components.curation.stages import deduplicate_documents as deduplicate_documents_stage
from flywheel.components.curation.stages import record_file
from flywheel.components.curation.stages.deduplicate_documents import deduplicate_documents
from flywheel.components.store.tables import row_id

LONG = " ".join(f"w{number}" for number in range(60))
ROWS = [
    {"id": 0, "at": 5, "text": LONG, "more": None},
    {"id": 1, "at": 4, "text": "Another record", "more": "x"},
    {"id": 2, "at": 3, "text": LONG.replace("w30", "other"), "more": "y"},
    {"id": 3, "at": 9, "text": "another RECORD!", "more": None},
    {"id": 4, "at": 1, "text": None, "more": "z"},
]


def lines(tmp_path, rows=ROWS):
    path = tmp_path / "records"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def run(tmp_path, records, **settings):
    kept, groups = str(tmp_path / "out" / "kept"), str(tmp_path / "out" / "groups")
    record = deduplicate_documents(records, kept, groups, "run", **settings)
    return record, pq.read_table(kept), pq.read_table(groups)


def test_one_record_of_a_group_stays_and_every_record_has_its_group(tmp_path):
    record, kept, groups = run(tmp_path, lines(tmp_path))
    assert kept["id"].to_pylist() == [0, 1, 4]
    assert kept.schema.names == ["id", "at", "text", "more", "group_id"]
    assert groups["row"].to_pylist() == [0, 1, 2, 3, 4]
    assert groups["duplicate_of"].to_pylist() == [0, 1, 0, 1, 4]
    assert groups["kind"].to_pylist() == ["", "", "near", "exact", ""]
    names = groups["group_id"].to_pylist()
    assert names[0] == names[2] != names[1] == names[3]
    assert kept["group_id"].to_pylist() == [names[0], names[1], names[4]]
    texts = [row["text"] or "" for row in ROWS]
    ids = [row_id("document", one) for one in texts]
    assert names == [min(ids[0], ids[2]), min(ids[1], ids[3]), min(ids[0], ids[2]), min(ids[1], ids[3]), ids[4]]
    assert (record.rows.rows_in, record.rows.accepted, record.rows.duplicates) == (5, 3, 2)


def test_the_smallest_value_of_a_column_stays_and_names_do_not_depend_on_the_order(tmp_path):
    _, kept, groups = run(tmp_path, lines(tmp_path), first_by="at")
    assert kept["id"].to_pylist() == [1, 2, 4]
    assert groups["duplicate_of"].to_pylist() == [2, 1, 2, 1, 4]
    _, _, back = run(tmp_path, lines(tmp_path, ROWS[::-1]))
    assert back["group_id"].to_pylist() == groups["group_id"].to_pylist()[::-1]


def test_parquet_of_several_columns_and_twice_the_same_bytes(tmp_path):
    path = tmp_path / "records.parquet"
    pq.write_table(pa.Table.from_pylist(ROWS), path)
    _, kept, groups = run(tmp_path, str(path), text="text, more")
    first = (tmp_path / "out" / "kept").read_bytes()
    assert groups["kind"].to_pylist() == ["", "", "near", "", ""]  # "more" tells 1 and 3 apart
    run(tmp_path, str(path), text="text, more")
    assert (tmp_path / "out" / "kept").read_bytes() == first
    assert kept.num_rows == 4


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"text": "body"}, "no column body; its columns are id, at, text, more"),
        ({"text": "at"}, "column at of .* is int64"),
        ({"first_by": "when"}, "no column when"),
        ({"jaccard": 0.0}, "Jaccard"),
        ({"semantic": 2.0}, "cosine"),
        ({"semantic": 0.9, "encoder": "nothing"}, "encoder 'nothing'"),
    ],
)
def test_what_cannot_be_done_is_refused(tmp_path, settings, message):
    with pytest.raises(ValueError, match=message):
        run(tmp_path, lines(tmp_path), **settings)


def test_a_missing_file_and_one_of_another_kind_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        run(tmp_path, str(tmp_path / "nowhere"))
    broken = tmp_path / "broken"
    broken.write_text("no json")
    with pytest.raises(ValueError, match=r"broken is neither Parquet nor JSON lines"):
        run(tmp_path, str(broken))
    again = tmp_path / "again"
    again.write_text('{"text": "a", "group_id": "g"}\n')
    with pytest.raises(ValueError, match="group_id already"):
        run(tmp_path, str(again))


def test_a_long_record_is_read_and_one_of_another_type_is_named(tmp_path):
    long = [{"text": LONG * 6000}, {"text": "b"}]
    assert len(long[0]["text"]) > 1 << 20
    _, kept, _ = run(tmp_path, lines(tmp_path, long))
    assert kept.num_rows == 2
    with pytest.raises(ValueError, match="records (cannot be read to its end|is neither)"):
        run(tmp_path, lines(tmp_path, [*long, {"text": 5}]))


class Artifact:
    def __init__(self, path):
        self.path = str(path)
        self.metrics = {}

    def log_metric(self, name, value):
        self.metrics[name] = value


def test_the_component_records_itself_and_its_metrics(tmp_path):
    from flywheel.components.curation.duplicates.component import deduplicate_documents as component
    from flywheel.components.store import lineage

    artifacts = [Artifact(lines(tmp_path)), *(Artifact(tmp_path / name) for name in ("kept", "groups", "metrics"))]
    assert component.python_func(*artifacts, store=str(tmp_path / "store"), run_id="r1", semantic=0.99) == 3
    (step,) = lineage.steps(str(tmp_path / "store"), "r1")
    assert (step.step, step.rows.duplicates) == ("deduplicate_documents", 2)
    assert artifacts[-1].metrics == {"exact": 1, "near": 1, "semantic": 0, "groups": 3}
    assert pq.read_table(artifacts[2].path).num_rows == len(ROWS)


def test_what_is_read_in_small_parts_is_the_same_whole(tmp_path, monkeypatch):
    rows = [
        {"text": f"{LONG} {number % 7}", "at": number % 5, "n": None if number < 9 else 1.5} for number in range(60)
    ]
    path = lines(tmp_path, rows)
    whole = [run(tmp_path, path, first_by="at")[1:], pa.Table.from_pylist(rows)]
    monkeypatch.setattr(record_file, "_READ", 700)
    monkeypatch.setattr(record_file, "_ROWS", 7)
    monkeypatch.setattr(deduplicate_documents_stage, "_ROWS", 11)
    source = record_file.RecordFile(path)
    parts = list(source.batches(["at", "text"]))
    assert len(parts) == 20
    assert pa.Table.from_batches(parts).to_pylist() == [{"at": row["at"], "text": row["text"]} for row in rows]
    again = run(tmp_path, path, first_by="at")[1:]
    assert [table.to_pylist() for table in again] == [table.to_pylist() for table in whole[0]]
    stored = tmp_path / "rows.parquet"
    pq.write_table(whole[1], stored, row_group_size=13)
    again = run(tmp_path, str(stored), first_by="at")[1:]
    assert [table.to_pylist() for table in again] == [table.to_pylist() for table in whole[0]]


def test_json_lines_with_other_ends_blank_lines_and_a_late_column(tmp_path, monkeypatch):
    monkeypatch.setattr(record_file, "_READ", 8)
    monkeypatch.setattr(record_file, "_SHOWN", 30)
    path = tmp_path / "records"
    path.write_bytes(b'{"text": "one", "n": 1}\r\n\r\n\n{"text": "two", "n": 2}\r\n{"text": "three", "late": true}')
    source = record_file.RecordFile(str(path))
    assert source.schema.names == ["text", "n"]
    assert [row for batch in source.batches() for row in batch.to_pylist()] == [
        {"text": "one", "n": 1},
        {"text": "two", "n": 2},
        {"text": "three", "n": None},
    ]
    monkeypatch.setattr(record_file, "_SHOWN", 1000)
    assert record_file.RecordFile(str(path)).schema.names == ["text", "n", "late"]
    path.write_text('{"at": "2026-01-01", "tags": [], "n": 1}\n{"at": "soon", "tags": ["a"], "n": 1.5}\n')
    source = record_file.RecordFile(str(path))
    assert [str(kind) for kind in source.schema.types] == ["string", "list<item: string>", "double"]
    assert [row for batch in source.batches() for row in batch.to_pylist()] == [
        {"at": "2026-01-01", "tags": [], "n": 1.0},
        {"at": "soon", "tags": ["a"], "n": 1.5},
    ]
    empty = tmp_path / "empty"
    empty.write_bytes(b"")
    with pytest.raises(ValueError, match="empty is neither Parquet nor JSON lines"):
        record_file.RecordFile(str(empty))
