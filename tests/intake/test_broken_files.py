"""Broken and odd files: cut off, of mixed encodings, with clocks that jump, nested, empty, half-written by a crash."""

import json
import random
from datetime import UTC, datetime

import pytest

from flywheel.components.intake.ingest import ingest
from flywheel.components.store import delta_table

NOW = datetime(2026, 11, 21, tzinfo=UTC)
TIME = "2026-11-20T12:00:00Z"


def line(**fields):
    return json.dumps({"prompt": "q", "response": "a", "timestamp": TIME} | fields)


def put(path, *lines):
    path.write_text("".join(one + "\n" for one in lines))
    return path


def run(path, store, **more):
    summary = ingest(str(path), str(store), "run", now=NOW, **more)
    summary.record("run")  # checks the conservation law
    return summary


def table(store, name):
    return delta_table.read(delta_table.latest(str(store), name)).to_pylist()


def reasons(store):
    return {row["reason"]: row for row in table(store, "quarantine")}


def test_truncated_zst(tmp_path):
    import pyarrow as pa

    random.seed(3)
    whole = "".join(line(prompt=str(random.random())) + "\n" for _ in range(30_000))
    data = pa.compress(whole.encode(), codec="zstd", asbytes=True)
    (tmp_path / "log.jsonl.zst").write_bytes(data[: len(data) // 2])
    summary = run(tmp_path / "log.jsonl.zst", tmp_path / "s")
    assert summary.quarantined == {"damaged_file": 1}
    assert 100 < summary.accepted < 30_000
    assert "copy it again" in reasons(tmp_path / "s")["damaged_file"]["detail"]


@pytest.mark.parametrize("head", [b"\x1f\x8b", b"\x1f\x8b\x08\x00", b"\x28\xb5\x2f\xfd", b"\x28\xb5\x2f\xfd\x24"])
def test_a_compressed_file_of_a_few_bytes(tmp_path, head):
    (tmp_path / "log.jsonl").write_bytes(head)
    assert run(tmp_path / "log.jsonl", tmp_path / "s").quarantined == {"damaged_file": 1}


def test_mixed_encodings_in_one_file(tmp_path):
    """UTF-8, Latin-1, Windows-1252, UTF-16 and a byte order mark in the middle: what is UTF-8 is read."""
    good = json.dumps({"prompt": "Grüße", "response": "日本 👍", "timestamp": TIME}, ensure_ascii=False)
    path = tmp_path / "log.jsonl"
    path.write_bytes(
        b"\n".join(
            (
                good.encode(),
                line(prompt="ascii").encode(),
                good.replace("日本 👍", "naïve café").encode("latin-1"),
                line(prompt="X").replace("X", "\u201equoted\u201c").encode("cp1252"),
                b"\xef\xbb\xbf" + line(prompt="bom").encode(),
                line(prompt="wide").encode("utf-16-le"),
                line(prompt="last").encode(),
            )
        )
    )
    summary = run(path, tmp_path / "s")
    assert summary.rows_in == 7
    found = {row["prompt"] for row in table(tmp_path / "s", "interactions")}
    assert found == {"Grüße", "ascii", "last"}
    assert summary.quarantined == {"bad_encoding": 2, "not_json": 2}


def test_a_clock_that_jumps(tmp_path):
    """Backwards, in all units, in the future and in no time at all: the order of lines means nothing."""
    moments = [
        1790000000,
        1790000000_000,
        1790000000_000_000,
        1790000000_000_000_000,
        "1790000000.5",
        "2026-11-20T12:00:00+09:00",
    ]
    back = ["2026-11-20T09:00:00Z", "2026-11-19T09:00:00Z", "2026-11-20T08:59:59.999999Z"]
    bad = [
        "2099-01-01T00:00:00Z",
        4102444800,
        0,
        -1,
        "1969-12-31",
        1e40,
        "2026-13-01T00:00:00Z",
        "2026-11-20T25:00:00Z",
    ]
    path = put(
        tmp_path / "log.jsonl", *(line(prompt=str(n), timestamp=one) for n, one in enumerate(moments + back + bad))
    )
    summary = run(path, tmp_path / "s")
    assert summary.accepted == len(moments + back)
    times = {int(row["prompt"]): row["timestamp"] for row in table(tmp_path / "s", "interactions")}
    assert {times[n] for n in range(4)} == {datetime(2026, 9, 21, 14, 13, 20, tzinfo=UTC)}
    assert times[5] == datetime(2026, 11, 20, 3, tzinfo=UTC)
    assert times[7] < times[8] < times[6]
    assert summary.quarantined == {"timestamp_in_future": 2, "timestamp_too_old": 3, "invalid_record": 3}
    assert (summary.first, summary.last) == (min(times.values()), max(times.values()))


def test_an_answer_before_its_question_has_no_latency(tmp_path):
    """The clocks of two machines differ: a span ends before it starts."""
    span = {
        "name": "chat", "context": {"trace_id": "ab", "span_id": "a1b2c3d4e5f60718"},
        "start_time": "2026-11-20T09:00:01Z", "end_time": "2026-11-20T09:00:00Z",
        "attributes": {"gen_ai.prompt": "q", "gen_ai.completion": "a"},
    }  # fmt: skip
    assert run(put(tmp_path / "log.jsonl", json.dumps(span)), tmp_path / "s").accepted == 1
    assert table(tmp_path / "s", "feedback") == []


def test_the_same_id_with_other_content_in_other_formats(tmp_path):
    """The first one stays, whichever format says it: trace, record and completion of one id."""
    trace = {"id": "i", "timestamp": TIME, "input": "q", "output": "first", "sessionId": "s"}
    record = {"interaction": "i", "timestamp": TIME, "prompt": "q", "response": "second"}
    completion = {
        "request": {"messages": [{"role": "user", "content": "q"}]}, "timestamp": TIME,
        "response": {"id": "i", "choices": [{"message": {"role": "assistant", "content": "third"}}]},
    }  # fmt: skip
    path = put(tmp_path / "log.jsonl", *(json.dumps(one) for one in (trace, record, completion, trace)))
    summary = run(path, tmp_path / "s")
    assert (summary.accepted, summary.duplicates, summary.quarantined) == (1, 1, {"conflicting_duplicate": 2})
    assert [row["response"] for row in table(tmp_path / "s", "interactions")] == ["first"]


def test_nan_and_infinity(tmp_path):
    """Python's json writes them; orjson refuses them. Kept as null, never as a number that spoils a mean."""
    rows = [
        line(prompt="1", extra=float("nan"), more=[float("inf"), -float("inf"), 2**70]),
        line(prompt="2", latency_ms=float("inf")),
        line(prompt="3", rating=float("nan")),
        line(prompt="4", signals={"scores": [{"name": "x", "value": float("nan")}]}),
        line(prompt="5", nan=float("nan"), big=2**70, rating=9),
    ]
    summary = run(put(tmp_path / "log.jsonl", *rows), tmp_path / "s")
    assert (summary.accepted, summary.quarantined) == (1, {"invalid_record": 4})
    attributes = json.loads(table(tmp_path / "s", "interactions")[0]["attributes"])
    assert attributes["extra"] is None
    assert attributes["more"][:2] == [None, None]
    assert "Infinity" not in json.dumps([row["value"] for row in table(tmp_path / "s", "feedback")])


def test_nul_bytes_and_control_characters(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_bytes(
        b"\x00" * 20 + b"\n" + line(prompt="a\x00b\x1b[31m\u202e", response="\x07").encode() + b"\n" + b"\x00" + line().encode()
        + b"\n" + line(prompt="last").encode() + b"\n"
    )  # fmt: skip
    summary = run(path, tmp_path / "s")
    assert (summary.rows_in, summary.accepted, summary.quarantined) == (4, 2, {"not_json": 2})
    assert sorted(row["prompt"][:1] for row in table(tmp_path / "s", "interactions")) == ["a", "l"]


@pytest.mark.parametrize("shape", ["attributes", "input", "messages", "gen_ai.input.messages"])
def test_nesting_that_only_attackers_need(tmp_path, shape):
    """Brackets beyond the limit are refused in words, also inside JSON that stands as text in a field."""
    deep = "[" * 50_000 + "]" * 50_000
    rows = [
        line(prompt="good"),
        f'{{"{shape}": {deep}}}',
        json.dumps({"name": "x", "span_id": "ab", "attributes": {shape: deep}}),
    ]
    rows.append(
        json.dumps({"id": "t", "timestamp": TIME, "input": deep, "output": deep, "sessionId": "s", "metadata": deep})
    )
    summary = run(put(tmp_path / "log.jsonl", *rows), tmp_path / "s")
    assert summary.rows_in == 4
    assert summary.quarantined["not_json"] == 1


def test_empty_files_among_others(tmp_path):
    import gzip

    import pyarrow as pa

    logs = tmp_path / "logs"
    logs.mkdir()
    for name in ("a.jsonl", "b.csv", "c.json", "d.txt"):
        (logs / name).touch()
    (logs / "e.jsonl.gz").write_bytes(gzip.compress(b""))
    (logs / "f.jsonl.zst").write_bytes(pa.compress(b"", codec="zstd", asbytes=True))
    (logs / "g.csv").write_text("prompt,response,timestamp\n")
    put(logs / "h.jsonl", line())
    summary = run(logs, tmp_path / "s")
    assert (summary.files, summary.rows_in, summary.accepted) == (8, 1, 1)


def test_a_segment_that_a_crash_left_half_written(tmp_path):
    """The service's segment, cut at every byte of its last group: what was acknowledged before is whole."""
    from flywheel.components.intake.service import segment

    writer = segment.SegmentWriter(tmp_path, 1 << 20)
    for number in range(3):
        writer.append([json.dumps({"group": number, "entry": entry}).encode() for entry in range(2)])
    path = writer.seal()
    data = path.read_bytes()
    third = data.rfind(segment.MAGIC)
    for cut in range(third, len(data)):
        path.write_bytes(data[:cut])
        content = segment.read(path)
        assert [entry["group"] for entry in content.entries] == [0, 0, 1, 1]
        assert (content.torn_bytes, content.damaged_bytes) == (cut - third, 0)
    flipped = bytearray(data)
    flipped[third - 5] ^= 0xFF  # in the second group: the third was acknowledged, and is found again
    path.write_bytes(flipped)
    content = segment.read(path)
    assert [entry["group"] for entry in content.entries] == [0, 0, 2, 2]
    assert content.damaged_bytes > 0
