"""Where logs come from: compressions, object stores over their protocol, JSON that is not one object a line."""

import gzip
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.components.intake import sources
from flywheel.components.intake.errors import IntakeError
from flywheel.components.intake.ingest import ingest
from flywheel.components.intake.json_values import read_values, spans_lines
from flywheel.components.intake.reading import read_rows
from flywheel.components.store import delta_table
from tests.intake.object_store import ObjectStore, s3_options

NOW = datetime(2026, 11, 21, tzinfo=UTC)
ROW = '{{"prompt": "q{0}", "response": "a{0}", "timestamp": 1790000000}}'


def zstd(data: bytes) -> bytes:
    return pa.compress(data, codec="zstd", asbytes=True)


def run(logs, store, **more):
    summary = ingest(str(logs), str(store), "run", now=NOW, **more)
    summary.record("run")
    return summary


def prompts(store):
    return {row["prompt"] for row in delta_table.read(delta_table.latest(str(store), "interactions")).to_pylist()}


def lines(*numbers):
    return "".join(ROW.format(number) + "\n" for number in numbers).encode()


# compressions ---------------------------------------------------------------------------------------------------------


def test_plain_gz_and_zst_whatever_the_name_says(tmp_path):
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "a.jsonl").write_bytes(lines(1))
    (logs / "b.jsonl.gz").write_bytes(gzip.compress(lines(2)))
    (logs / "c.jsonl.zst").write_bytes(zstd(lines(3)))
    (logs / "d.csv.ZST").write_bytes(zstd(b"prompt,response,timestamp\nq4,a4,1790000000\n"))
    (logs / "e.jsonl").write_bytes(zstd(lines(5)))  # by its first bytes
    (logs / "f.jsonl.gz").write_bytes(zstd(lines(6)))
    (logs / "g.jsonl.zst").write_bytes(lines(7))
    (logs / "h.zst.txt").write_bytes(zstd(lines(8)) + zstd(lines(9)))  # two frames
    (logs / "i.jsonl.gz").write_bytes(gzip.compress(lines(10)) + gzip.compress(lines(11)))
    assert run(logs, tmp_path / "s").accepted == 11
    assert prompts(tmp_path / "s") == {f"q{number}" for number in range(1, 12)}
    assert run(f"{logs}/*.zst", tmp_path / "s2").accepted == 2


@pytest.mark.slow
def test_memory_is_flat_in_the_size_of_a_zst_file(tmp_path):
    """200 MB of rows in a compressed file, and the same in one JSON array: read in the memory of a few chunks."""
    path, array = tmp_path / "big.jsonl.zst", tmp_path / "big.json.zst"
    row = ROW.format("x" * 1000)
    with pa.CompressedOutputStream(str(path), "zstd") as plain, pa.CompressedOutputStream(str(array), "zstd") as inside:
        inside.write(b"[")
        for _ in range(200):
            plain.write((f"{row}\n" * 500).encode())
            inside.write((f"{row},\n" * 500).encode())
        inside.write(f"{row}]".encode())
    code = (
        "import resource, sys; from flywheel.components.intake import sources;"
        "from flywheel.components.intake.reading import read_rows;"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss;"
        "n = [sum(1 for _ in read_rows(sources.resolve(name)[0], 'auto')) for name in sys.argv[1:]];"
        "print(*n, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path), str(array)], capture_output=True, text=True, check=True
    )
    rows, items, grown = map(int, done.stdout.split())
    assert (rows, items) == (100_000, 100_001)
    assert grown < 60_000  # KiB


# object stores --------------------------------------------------------------------------------------------------------


@pytest.fixture
def object_store(tmp_path, monkeypatch):
    folder = tmp_path / "objects" / "bucket" / "logs" / "deep"
    folder.mkdir(parents=True)
    (folder.parent / "a.jsonl").write_bytes(lines(1))
    (folder / "b.jsonl.gz").write_bytes(gzip.compress(lines(2)))
    (folder / "c.json.zst").write_bytes(zstd(b"[" + lines(3).strip() + b"]"))
    (folder / "notes.md").write_bytes(b"no log")
    server = ObjectStore(tmp_path / "objects")
    monkeypatch.setenv("FLYWHEEL_STORAGE_OPTIONS", json.dumps(s3_options(server.endpoint)))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    yield server
    server.close()


def test_logs_over_the_s3_protocol(object_store, tmp_path):
    assert run("s3://bucket/logs", tmp_path / "s1").accepted == 3
    assert prompts(tmp_path / "s1") == {"q1", "q2", "q3"}
    assert run("s3://bucket/logs/a.jsonl", tmp_path / "s2").accepted == 1
    assert run("s3://bucket/logs/deep/*.gz", tmp_path / "s3").accepted == 1
    assert any(line.startswith("GET bucket/logs/deep/b.jsonl.gz bytes=") for line in object_store.requests)
    with pytest.raises(IntakeError, match="cannot list the logs s3://bucket/nowhere"):
        sources.resolve("s3://bucket/nowhere")


def test_a_file_uri(tmp_path):
    (tmp_path / "with space.jsonl").write_bytes(lines(1))
    assert run(f"file://{tmp_path}/with%20space.jsonl", tmp_path / "s").accepted == 1


# JSON that is not one object a line -----------------------------------------------------------------------------------

VALUES = [
    {"prompt": '[not a bracket} \\" {', "response": "a", "timestamp": 1790000000},
    {"prompt": "q", "response": "ü\\", "timestamp": 1790000000, "deep": {"a": [1, {"b": "]"}]}},
]


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("front", [b"", b"\xef\xbb\xbf", b"\n  "])
def test_an_array_is_its_items(tmp_path, indent, front):
    (tmp_path / "x.json").write_bytes(front + json.dumps(VALUES, indent=indent, ensure_ascii=False).encode())
    summary = run(tmp_path / "x.json", tmp_path / "s")
    assert (summary.rows_in, summary.accepted) == (2, 2)
    assert prompts(tmp_path / "s") == {value["prompt"] for value in VALUES}


def test_pretty_printed_objects_one_after_another(tmp_path):
    (tmp_path / "x.json").write_text("\n".join(json.dumps(value, indent=1) for value in VALUES))
    assert run(tmp_path / "x.json", tmp_path / "s").accepted == 2


def test_lines_that_end_with_commas(tmp_path):
    (tmp_path / "x.jsonl").write_text("".join(ROW.format(number) + ",\n" for number in range(3)))
    assert run(tmp_path / "x.jsonl", tmp_path / "s").accepted == 3


def test_arrays_line_by_line_and_what_is_no_json_between(tmp_path):
    text = json.dumps(VALUES[:1]) + "\nno json at all\n" + json.dumps(VALUES[1:]) + "\n" + ROW.format(3) + "\n"
    (tmp_path / "x.jsonl").write_text(text)
    summary = run(tmp_path / "x.jsonl", tmp_path / "s")
    assert (summary.accepted, summary.quarantined) == (3, {"not_json": 1})


@pytest.mark.parametrize(
    ("text", "accepted", "reasons"),
    [
        ("[", 0, {"damaged_file": 1}),
        ("[]", 0, {}),
        (f"[{ROW.format(1)}", 1, {"damaged_file": 1}),
        (f"[{ROW.format(1)}, ", 1, {"damaged_file": 1}),
        (f"[{ROW.format(1)}, {ROW.format(2)[:30]}", 1, {"damaged_file": 1}),
        (f'[{ROW.format(1)}, 17, "x", null, [1]]', 1, {"not_json": 4}),
        (f'[{ROW.format(1)}, {{"a": 1,,}}, {ROW.format(2)}]', 2, {"not_json": 1}),
        (f"[{ROW.format(1)}] trailing\nwords", 1, {"not_json": 2}),
    ],
)
def test_a_broken_array_loses_nothing_in_silence(tmp_path, text, accepted, reasons):
    (tmp_path / "x.json").write_text(text)
    summary = run(tmp_path / "x.json", tmp_path / "s")
    assert (summary.accepted, summary.quarantined) == (accepted, reasons)


def test_an_item_that_is_too_long(tmp_path):
    long = json.dumps({"prompt": "x" * 3000, "deep": [{"y": "z" * 3000}] * 3})
    (tmp_path / "x.json").write_text(f"[{ROW.format(1)}, {long},\n{ROW.format(2)}]")
    summary = run(tmp_path / "x.json", tmp_path / "s", max_line_bytes=1000)
    assert (summary.accepted, summary.quarantined) == (2, {"line_too_long": 1})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(alphabet='a"\\{}[],\n é', max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(alphabet='k"{[', max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)


class Drip:
    """A stream that gives a few bytes at a time, so that every boundary is met."""

    def __init__(self, data: bytes, size: int) -> None:
        self._data, self._size, self._at = data, size, 0

    def read(self, _: int) -> bytes:
        self._at += self._size
        return self._data[self._at - self._size : self._at]


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    values=st.lists(st.dictionaries(st.text(max_size=2), json_values, min_size=1, max_size=3), max_size=4),
    indent=st.sampled_from([None, 1]),
    size=st.integers(1, 40),
)
def test_any_array_in_any_pieces(values, indent, size):
    data = json.dumps(values, indent=indent, ensure_ascii=False).encode()
    found = list(read_values(Drip(data, size)))
    assert [json.loads(line.data) for line in found] == values
    assert not any(line.damaged or line.too_long for line in found)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    data=st.lists(st.sampled_from([b"{", b"}", b"[", b"]", b'"', b"\\", b",", b"\n", b"a", b"1", b" "])).map(b"".join),
    size=st.integers(1, 9),
)
def test_any_bytes_in_any_pieces_give_the_same(data, size):
    whole = [(line.number, line.data, line.damaged) for line in read_values(Drip(data, len(data) + 1))]
    assert [(line.number, line.data, line.damaged) for line in read_values(Drip(data, size))] == whole
    assert all(line.length <= len(data) for line in read_values(Drip(data, size)))


def test_which_files_hold_values_that_are_no_lines():
    assert spans_lines(b'[{"a": 1}]')
    assert spans_lines(b'\xef\xbb\xbf {\n "a": 1}')
    assert spans_lines(b'{"resourceSpans": [\n')
    assert spans_lines(b'{"a": 1,\n "b": 2}')
    assert spans_lines(b'{"a": 1},\n{"a": 2},\n')
    assert not spans_lines(b'{"a": 1}\n{"b": [\n')
    assert not spans_lines(b'{"broken": [')
    assert not spans_lines(b"")


# wrong names ----------------------------------------------------------------------------------------------------------


def test_a_wrong_ending_does_not_matter(tmp_path):
    import pyarrow.parquet as pq

    (tmp_path / "json.csv").write_bytes(lines(1))
    (tmp_path / "array.csv").write_bytes(b"[" + lines(2).strip() + b"]")
    pq.write_table(pa.table({"prompt": ["q3"], "response": ["a3"], "timestamp": [1790000000]}), tmp_path / "x.parquet")
    (tmp_path / "x.parquet").rename(tmp_path / "parquet.jsonl")
    assert run(tmp_path, tmp_path / "s").accepted == 3


def test_csv_named_as_json_says_what_to_do(tmp_path):
    (tmp_path / "x.jsonl").write_text("prompt,response,timestamp\nq,a,1790000000\n")
    rows = list(read_rows(sources.resolve(str(tmp_path / "x.jsonl"))[0], "auto"))
    assert [row.reason for row in rows] == ["not_json", "not_json"]
    assert run(tmp_path / "x.jsonl", tmp_path / "s", log_format="csv").accepted == 1


def test_parquet_in_zst_is_refused_in_words(tmp_path):
    (tmp_path / "x.parquet.zst").write_bytes(zstd(b"PAR1" + b"x" * 100 + b"PAR1"))
    with pytest.raises(IntakeError, match="not a readable Parquet file"):
        run(Path(tmp_path / "x.parquet.zst"), tmp_path / "s")
