"""Files between two stages: rows go in and come out in pieces, and a file is there whole or not at all."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.components.curation.stages import files

NOTES = {"snapshot": {"a": [1]}, "median_activity": 2.0, "calibration": "ä"}
SCHEMA = pa.schema([("id", pa.int64()), ("text", pa.string()), ("words", pa.list_(pa.string()))])


def rows_of(sizes: list[int]) -> list[pa.Table]:
    numbers = iter(range(sum(sizes)))
    made = [[next(numbers) for _ in range(size)] for size in sizes]
    return [
        pa.table([ids, [f"é{n}" * (n % 7) for n in ids], [["w"] * (n % 3) for n in ids]], schema=SCHEMA) for ids in made
    ]


@settings(max_examples=25, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 60), max_size=6), group=st.sampled_from([1, 900, 1 << 22]), read=st.integers(1, 90)
)
def test_however_rows_are_cut_they_come_back_in_their_order(tmp_path_factory, sizes, group, read):
    path, given_ = str(tmp_path_factory.mktemp("files") / "sub" / "rows"), rows_of(sizes)
    with pytest.MonkeyPatch.context() as patch, files.writer(path, SCHEMA, NOTES) as out:
        patch.setattr(files, "_GROUP", group)
        for number, table in enumerate(given_):
            for piece in table.to_batches() if number % 2 else [table]:
                out.write(piece)
    whole = pa.concat_tables([SCHEMA.empty_table(), *given_])
    file = files.find(path, "calibration")
    assert (file.notes, file.rows, file.schema) == (NOTES, whole.num_rows, SCHEMA)
    parts = list(file.batches(["text", "id"], read))
    assert all(0 < part.num_rows <= read for part in parts)
    assert pa.Table.from_batches(parts, pa.schema([SCHEMA.field("text"), SCHEMA.field("id")])).equals(
        whole.select(["text", "id"])
    )
    assert files.read(path) == (whole, NOTES)


def test_a_group_holds_no_more_than_its_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_GROUP", 5000)
    files.write(pa.table({"text": ["x" * 95] * 1000}), str(tmp_path / "rows"), NOTES)
    told = pq.ParquetFile(tmp_path / "rows").metadata
    sizes = [told.row_group(number).num_rows for number in range(told.num_row_groups)]
    assert sum(sizes) == 1000
    assert 40 <= max(sizes) <= 51


def test_a_writer_that_fails_leaves_what_was_there(tmp_path):
    path = str(tmp_path / "rows")
    files.write(rows_of([3])[0], path, NOTES)
    with pytest.raises(RuntimeError, match="stop"), files.writer(path, SCHEMA, NOTES) as out:
        out.write(rows_of([5])[0])
        out.flush()
        raise RuntimeError("stop")
    assert files.read(path)[0].num_rows == 3
    assert [one.name for one in tmp_path.iterdir()] == ["rows"]
