import json
import random
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flywheel.components.intake.ingest import ingest
from flywheel.components.store import delta_table

NOW = datetime(2026, 11, 21, tzinfo=UTC)
TIME = "2026-11-20T12:00:00Z"
TABLES = ("interactions", "feedback", "quarantine")


def line(**fields):
    return json.dumps({"prompt": "q", "response": "a", "timestamp": TIME} | fields)


def put(path, *lines):
    path.write_text("".join(one + "\n" for one in lines))
    return path


def run(path, store, run_id="run", **more):
    summary = ingest(str(path), str(store), run_id, now=NOW, **more)
    summary.record(run_id)  # checks the conservation law
    return summary


def table(store, name):
    return delta_table.read(delta_table.latest(str(store), name)).to_pylist()


def tables(store):
    return {name: table(store, name) for name in TABLES}


def versions(store):
    return {name: delta_table.latest(str(store), name).version for name in TABLES}


def reasons(store):
    return {row["reason"]: row for row in table(store, "quarantine")}


def everything(store):
    """All bytes under the store, Parquet columns decoded."""
    found = bytearray()
    for path in sorted(Path(store).rglob("*")):
        if path.is_file():
            found += path.read_bytes()
            if path.suffix == ".parquet":
                found += json.dumps(pq.read_table(path).to_pylist(), default=str, ensure_ascii=False).encode()
    return bytes(found)


# bad input ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"\n\n  \n", b"\xef\xbb\xbf"])
def test_empty_log_has_a_clear_outcome(tmp_path, content):
    (tmp_path / "log.jsonl").write_bytes(content)
    summary = run(tmp_path / "log.jsonl", tmp_path / "s")
    assert summary.words() == "empty: the logs hold no rows"
    assert summary.record("run").rows.rows_in == 0
    assert delta_table.count(summary.snapshot.interactions) == 0


def test_one_row(tmp_path):
    summary = run(put(tmp_path / "log.jsonl", line(interaction="i", user="u")), tmp_path / "s")
    assert (summary.rows_in, summary.accepted) == (1, 1)
    assert table(tmp_path / "s", "interactions")[0]["interaction_id"] == "i"


def test_last_line_without_newline_and_byte_order_mark(tmp_path):
    (tmp_path / "log.jsonl").write_bytes(b"\xef\xbb\xbf" + line().encode())
    assert run(tmp_path / "log.jsonl", tmp_path / "s").accepted == 1


def test_not_json_keeps_the_scrubbed_row(tmp_path):
    path = put(tmp_path / "log.jsonl", r'{"prompt": "bob\u0040x.org\n4111111111111111" oops', line())
    assert run(path, tmp_path / "s").quarantined == {"not_json": 1}
    row = reasons(tmp_path / "s")["not_json"]
    assert (row["line"], row["source"], row["run_id"]) == (1, "log.jsonl", "run")
    assert row["row"] == '{"prompt": "[EMAIL_1]\n[CARD_1]" oops'


def test_wrong_encoding_keeps_the_offending_bytes_escaped(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_bytes('{"prompt": "Grüße an andré@example.com"}\n'.encode("latin-1") + line().encode())
    assert run(path, tmp_path / "s").quarantined == {"bad_encoding": 1}
    row = reasons(tmp_path / "s")["bad_encoding"]
    assert row["row"] == '{"prompt": "Gr\\xfc\\xdfe an [EMAIL_1]"}'
    assert "byte 0xfc at offset 14" in row["detail"]


def test_utf16_hides_nothing(tmp_path):
    (tmp_path / "log.jsonl").write_bytes((line(comment="john.smith@example.com") + "\n").encode("utf-16"))
    summary = run(tmp_path / "log.jsonl", tmp_path / "s")
    assert summary.accepted == 0
    assert summary.rows_in == sum(summary.quarantined.values()) >= 1
    assert "smith" not in json.dumps(table(tmp_path / "s", "quarantine")).replace("\\\\x00", "")


def test_a_10_mb_line(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text(line() + "\n" + line(prompt="x@y.org " * 1_300_000) + "\n" + line(prompt="other") + "\n")
    summary = run(path, tmp_path / "s")
    assert (summary.rows_in, summary.accepted, summary.quarantined) == (3, 2, {"line_too_long": 1})
    row = reasons(tmp_path / "s")["line_too_long"]
    assert row["line"] == 2
    assert "x@y" not in row["row"]
    assert len(row["row"]) < 8192


def test_line_limit_is_configurable(tmp_path):
    path = put(tmp_path / "log.jsonl", line(prompt="y" * 2000))
    assert run(path, tmp_path / "s", max_line_bytes=1000).quarantined == {"line_too_long": 1}


def test_long_lines_do_not_grow_memory(tmp_path):
    path = tmp_path / "log.jsonl"
    with path.open("w") as file:
        for _ in range(4):
            for _ in range(60):
                file.write("z" * 1_000_000)
            file.write("\n")
    code = (
        "import resource, sys; from flywheel.components.intake.ingest import ingest;"
        "import flywheel.components.intake.privacy.scrub; before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss;"
        "s = ingest(sys.argv[1], sys.argv[2], 'r');"
        "print(s.quarantined['line_too_long'], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path), str(tmp_path / "s")], capture_output=True, text=True, check=True
    )
    count, grown = map(int, done.stdout.split())
    assert count == 4
    assert grown < 150_000  # KiB, against 240 MB of input


@pytest.mark.parametrize(
    ("fields", "reason", "words"),
    [
        ({"timestamp": "2026-11-23T00:00:00Z"}, "timestamp_in_future", "ahead; check the clock"),
        ({"timestamp": "1971-01-01"}, "timestamp_too_old", "before the year 2000"),
        ({"timestamp": 12}, "timestamp_too_old", "check its unit"),
        ({"timestamp": float("nan")}, "invalid_record", "timestamp: not a finite number"),
        ({"timestamp": 1e300}, "invalid_record", "timestamp: out of range"),
        ({"timestamp": True}, "invalid_record", "timestamp: missing"),
        ({"timestamp": ["x"]}, "invalid_record", "timestamp: not a finite number"),
        ({"timestamp": "soon"}, "invalid_record", "timestamp: neither ISO 8601"),
        ({"rating": 4}, "invalid_record", "rating: must be"),
        ({"latency_ms": -1}, "invalid_record", "signals.latency_ms"),
        ({"messages": [{"role": "pope", "content": "x"}]}, "invalid_record", "messages.0.role"),
        ({"messages": [{"content": "x"}]}, "invalid_record", "messages.0.role: missing"),
        ({"messages": {"a": 1}}, "invalid_record", "messages: not a list"),
        ({"interaction": "x" * 600}, "invalid_record", "interaction"),
        ({"interaction": {"a": 1}}, "invalid_record", "interaction: not text"),
        ({"attributes": "[" * 100 + "]" * 100}, "invalid_record", ""),
    ],
)
def test_a_bad_field_is_named(tmp_path, fields, reason, words):
    path = put(tmp_path / "log.jsonl", line(**fields), line(prompt="good"))
    summary = run(path, tmp_path / "s")
    if words or summary.quarantined:
        assert summary.quarantined == {reason: 1}
        assert words in reasons(tmp_path / "s")[reason]["detail"]
    assert summary.rows_in == 2


@pytest.mark.parametrize(
    "row",
    [
        {
            "message_id": "m1",
            "parent_id": None,
            "text": "Can you help?",
            "role": "prompter",
            "created_date": "2023-02-05",
        },
        {"question_id": "q", "model_a": "a", "winner": "model_b", "conversation_a": [{"role": "user", "content": "?"}]},
        {"anna@example.org": 1},
    ],
)
def test_a_row_of_nobodys_format_is_told_what_it_lacks(tmp_path, row):
    summary = run(put(tmp_path / "log.jsonl", json.dumps(row), line(prompt="good")), tmp_path / "s")
    assert (summary.accepted, summary.quarantined) == (1, {"invalid_record": 1})
    detail = reasons(tmp_path / "s")["invalid_record"]["detail"]
    assert detail.startswith("no format knows this row: no prompt, messages,")
    assert all(name.replace("anna@example.org", "[EMAIL_1]") in detail for name in row)


def test_a_day_of_skew_is_allowed(tmp_path):
    assert run(put(tmp_path / "log.jsonl", line(timestamp="2026-11-21T23:00:00Z")), tmp_path / "s").accepted == 1


def test_deep_nesting_is_refused(tmp_path):
    deep = "[" * 90 + "]" * 90
    path = put(tmp_path / "log.jsonl", line()[:-1] + f', "more": {deep}}}', '{"a":' * 5000)
    assert run(path, tmp_path / "s").quarantined == {"not_json": 2}


def test_unknown_fields_are_kept_scrubbed(tmp_path):
    more = {
        "team": "blue",
        "note of bob@x.org": {"deep": ["call +49 30 1234567", 4111111111111111, True, None, 1.5, 42]},
        "user_email": "who@x.org",
        "headers": {"Authorization": "abc", "X-Forwarded-For": "10.0.0.1", "name": "John Smith"},
        "model": "m1",
    }
    run(put(tmp_path / "log.jsonl", line(**more)), tmp_path / "s")
    (row,) = table(tmp_path / "s", "interactions")
    attributes = json.loads(row["attributes"])
    assert attributes["team"] == "blue"
    assert attributes["note of [EMAIL_1]"] == {"deep": ["call [PHONE_1]", "[CARD_1]", True, None, 1.5, 42]}
    assert attributes["user_email"] == "[EMAIL]"
    assert attributes["headers"] == {"Authorization": "[SECRET]", "X-Forwarded-For": "[IP]", "name": "[NAME]"}
    assert row["model_version"] == "m1"


def test_duplicates_and_conflicts(tmp_path):
    path = put(
        tmp_path / "log.jsonl",
        line(interaction="i", user="u"),
        line(interaction="i", user="u"),
        line(interaction="i", user="u", response="different"),
        line(interaction="i", user="u", rating=1),
    )
    summary = run(path, tmp_path / "s")
    assert (summary.accepted, summary.duplicates) == (2, 1)
    assert summary.quarantined == {"conflicting_duplicate": 1}
    assert reasons(tmp_path / "s")["conflicting_duplicate"]["line"] == 3
    assert [row["response"] for row in table(tmp_path / "s", "interactions")] == ["a"]
    later = run(put(tmp_path / "later.jsonl", line(interaction="i", user="u", response="third")), tmp_path / "s", "2")
    assert later.quarantined == {"conflicting_duplicate": 1}


def test_duplicates_are_found_over_batches_too(tmp_path):
    path = put(tmp_path / "log.jsonl", *(line(interaction=f"i{number % 7}") for number in range(50)))
    summary = run(path, tmp_path / "s", batch_rows=3)
    assert (summary.accepted, summary.duplicates) == (7, 43)


def test_without_consent_nothing_is_kept_but_the_id(tmp_path):
    secret = "a very private sentence"
    path = put(
        tmp_path / "log.jsonl",
        line(interaction="i7", prompt=secret, consent=False),
        line(interaction="bob@x.org", prompt=secret, consent="no", broken=["x"], timestamp="never"),
    )
    assert run(path, tmp_path / "s").quarantined == {"no_consent": 2}
    rows = sorted(table(tmp_path / "s", "quarantine"), key=lambda row: row["line"])
    assert [row["row"] for row in rows] == ["", ""]
    assert rows[0]["detail"].endswith("interaction i7")
    assert "bob" not in rows[1]["detail"]
    assert secret.encode() not in everything(tmp_path / "s")


def test_truncated_gzip(tmp_path):
    import gzip

    random.seed(3)
    whole = "".join(line(prompt=str(random.random())) + "\n" for _ in range(4000))
    data = gzip.compress(whole.encode())
    (tmp_path / "log.jsonl.gz").write_bytes(data[: len(data) // 2])
    summary = run(tmp_path / "log.jsonl.gz", tmp_path / "s")
    assert summary.quarantined == {"damaged_file": 1}
    assert summary.accepted > 100


def test_csv_with_an_unclosed_quote_loses_one_row(tmp_path):
    text = 'prompt,response,timestamp\n"open,x,1790000000\n' + "".join(f"q{n},a,1790000000\n" for n in range(3))
    (tmp_path / "x.csv").write_text(text)
    summary = run(tmp_path / "x.csv", tmp_path / "s")
    assert (summary.rows_in, summary.accepted, summary.quarantined) == (4, 3, {"invalid_record": 1})


# whatever comes in ----------------------------------------------------------------------------------------------------

json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = (
    "schema", "interaction", "conversation", "user", "timestamp", "messages", "prompt", "response", "signals", "rating",
    "correction", "implicit", "latency_ms", "error", "consent", "attributes", "request", "choices", "metadata", "chosen",
    "rejected", "feedback", "object",
)  # fmt: skip
records = st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=5), json_values, max_size=6).map(
    lambda record: json.dumps(record).encode()
)
near_records = st.builds(
    lambda name, value: json.dumps(json.loads(line()) | {name: value}).encode(), st.sampled_from(FIELDS), json_values
)


@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    lines=st.lists(st.binary(max_size=60) | records | near_records, max_size=30),
    suffix=st.sampled_from([".jsonl", ".csv"]),
)
def test_whatever_comes_in_every_row_is_accounted_for(tmp_path_factory, lines, suffix):
    folder = tmp_path_factory.mktemp("fuzz")
    path = folder / f"log{suffix}"
    path.write_bytes(b"\n".join(lines))
    summary = run(path, folder / "s")
    if suffix == ".jsonl" and not path.read_bytes().startswith((b"\xef\xbb\xbf", b"\x1f\x8b")):
        assert summary.rows_in == sum(bool(one.strip()) for one in path.read_bytes().split(b"\n"))
    assert delta_table.count(delta_table.latest(str(folder / "s"), "quarantine")) == sum(summary.quarantined.values())
