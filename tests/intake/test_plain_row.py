"""The short way gives what the long way gives, to the byte of the tables, or leaves the row to it."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from flywheel.components.contracts.feedback import SCHEMA, Annotator, FeedbackRecord
from flywheel.components.intake import ingest as ingest_module
from flywheel.components.intake import plain_row, ratings, records, timestamps
from flywheel.components.intake.formats import flat_record
from flywheel.components.intake.formats.registry import is_own
from flywheel.components.intake.ingest import ingest
from flywheel.components.intake.json_text import parse_json
from flywheel.components.intake.plain_draft import make_plain_draft
from flywheel.components.intake.pseudonyms import Pseudonymizer
from flywheel.components.intake.raw_row import RawRow
from flywheel.components.intake.record_draft import make_draft

NOW = datetime(2026, 11, 21, tzinfo=UTC)
KEYS = Pseudonymizer(b"a key of the tests only", b"and the one after it")
USUAL = {
    "schema": "flywheel.feedback/v1",
    "interaction": "i1",
    "conversation": "c1",
    "user": "u1",
    "timestamp": "2026-11-20T12:00:00Z",
    "model_version": "m",
    "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "q"}],
    "response": "a",
    "signals": {"rating": -1, "correction": "b", "comment": " ", "latency_ms": 3, "tokens": 5},
    "source": "web",
    "language": "en",
    "consent": True,
    "attributes": {"x": [1, None], "y": None},
}


def the_long_way(value):
    fields = flat_record.read(dict(value), ratings.DEFAULT)
    fields.pop("annotator", None)
    return FeedbackRecord.model_validate(fields | {"timestamp": timestamps.parse(fields["timestamp"])})


text = st.sampled_from(["", " ", "a", "b@x.org", "x" * 600])
odd = st.one_of(st.none(), st.booleans(), st.integers(-2, 3), st.floats(-2, 3), text, st.just([]), st.just({"k": None}))
message = st.fixed_dictionaries(
    {"role": st.one_of(st.sampled_from(["user", "assistant", "system", "function", "poet"]), odd), "content": odd},
    optional={"name": text},
)
kinds = ["rating", "correction", "comment", "implicit", "latency_ms", "tokens", "error", "stars"]
signals = st.dictionaries(st.sampled_from(kinds), odd, max_size=2)
strategies = dict.fromkeys(set(USUAL) - {"timestamp", "schema"}, odd) | {
    "messages": st.one_of(st.lists(message, max_size=3), odd),
    "signals": st.one_of(signals, signals, odd),
    **{"id": text, "rating": odd, "more": odd, "turn": odd},
}
one_change = st.one_of(*(st.fixed_dictionaries({name: kind}) for name, kind in sorted(strategies.items())))
changes = st.lists(one_change, max_size=2).map(lambda all: {name: item for one in all for name, item in one.items()})


ODD = [
    None,
    True,
    False,
    -2,
    -1,
    0,
    1,
    2,
    0.5,
    2.0,
    2**60,
    1e300,
    "",
    " ",
    "a",
    "1",
    "None",
    "x" * 600,
    [],
    ["click"],
    {},
]


def with_each_odd_value():
    for item in ODD:
        for name in (set(USUAL) - {"timestamp"}) | {"id", "rating", "more", "turn", "metadata"}:
            yield USUAL | {name: item}
        for name in kinds:
            yield USUAL | {"signals": {name: item}}
        for name in ("role", "content", "name"):
            yield USUAL | {"messages": [*USUAL["messages"], {"role": "user", "content": "q"} | {name: item}]}
            yield USUAL | {"messages": [{"role": "user", "content": "q"} | {name: item}]}
    for odd_name in ("half \ud800", "\udcb1"):
        yield USUAL | {odd_name: 1}
        yield USUAL | {"signals": {odd_name: 1}}
        yield USUAL | {"messages": [{"role": odd_name, "content": "q"}]}
        yield USUAL | {"schema": odd_name}
    for role in ("assistant", "function", "tool", "developer", "poet"):
        yield USUAL | {"messages": [*USUAL["messages"], {"role": role, "content": "m"}]}
        yield USUAL | {"messages": [*USUAL["messages"], {"role": role, "content": "m"}], "response": None}


def same(value):
    before = json.dumps(value)
    row = plain_row.read(value, timestamps.latest(NOW))
    assert json.dumps(value) == before
    if row is not None:
        short, long = plain_row.record(row), the_long_way(value)
        assert short == long
        assert short.model_dump_json(by_alias=True) == long.model_dump_json(by_alias=True)
        assert type(short.signals.latency_ms) is type(long.signals.latency_ms)
        assert short.__pydantic_fields_set__
        raw = RawRow("log.jsonl", 7, 100, NOW, value, shape="feedback", part=len(before) % 2)
        safe = {text: f"safe {text}" for text in (long.interaction, long.conversation) if text is not None}
        read = records.ReadRecord(long, "feedback", Annotator.USER, False)
        assert make_plain_draft(raw, row, safe, KEYS) == make_draft(raw, read, safe, KEYS)
    if value.get("schema") == SCHEMA:  # only then a line says whose it is
        assert plain_row.read_line(before.encode(), timestamps.latest(NOW)) == row
    return row is not None


def test_equals_the_long_way_with_each_odd_value():
    assert 80 < sum(map(same, with_each_odd_value())) < 300


@settings(max_examples=100, deadline=None)
@given(changes, st.sets(st.sampled_from(sorted(set(USUAL) - {"timestamp"})), max_size=2))
def test_equals_the_long_way_on_any_row(changed, without):
    value = {name: item for name, item in (USUAL | changed).items() if name not in without}
    same(json.loads(json.dumps(value)))


@pytest.mark.parametrize("missing", [(), ("signals", "attributes"), ("interaction", "user", "language", "source")])
def test_the_usual_row_takes_the_short_way(missing, monkeypatch):
    value = {name: item for name, item in USUAL.items() if name not in missing}
    expected = the_long_way(value)
    monkeypatch.setattr(flat_record, "read", None)  # not asked
    read = records.read_record(value, "feedback", NOW, NOW)
    assert read.record == expected
    assert (read.shape, read.annotator, read.time_assumed) == ("feedback", "user", False)
    assert hash(read.record.messages) == hash(expected.messages)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([{}, {"attributes": {"deep": [{"x": [1e3, 2**70, "\u00e9\n"]}]}}, {"timestamp": 1.79e9}]),
    st.lists(st.tuples(st.integers(0, 600), st.integers(0, 2), st.binary(max_size=3)), max_size=3),
)
@example({}, [(0, 0, b"\xef\xbb\xbf")])
@example({}, [(200, 1, b"\xff")])
@example({"timestamp": 10**400}, [])
@example({"signals": {"latency_ms": 10**400}}, [])
@example({"attributes": json.loads("[" * 70 + "]" * 70)}, [])
@example({"attributes": {"a": json.loads("[" * 63 + "]" * 63)}}, [])
def test_a_line_that_is_taken_reads_as_its_dictionary_does(changed, edits):
    line = json.dumps(USUAL | changed, ensure_ascii=False).encode()
    for place, cut, more in edits:
        line = line[:place] + more + line[place + cut :]
    row = plain_row.read_line(line, timestamps.latest(NOW))
    if row is not None:
        value = parse_json(line)
        assert is_own(value, "auto")
        assert plain_row.read(value, timestamps.latest(NOW)) == row


# whole batches --------------------------------------------------------------------------------------------------------

CHANGES = [
    {},
    {"response": "another answer"},  # a conflict
    {"signals": {"rating": 1}},  # another word on the same answer
    {"signals": {"implicit": ["copy"], "rating": -1}},
    {"consent": False},
    {"conversation": "eve@example.org", "user": None, "response": "eve@example.org knows"},
    {"response": "half \ud800", "attributes": {"nan": float("nan"), "\udc00": "\ud800"}, "user": "\udfff"},
    {"messages": None, "response": None},
    {"attributes": {"intake": {"file": "theirs"}, "email": "x", "deep": [1e9, {"bob@example.org": 2}]}},
    {"timestamp": 1790000000},
    {"timestamp": "2026-11-20T13:00:00.5+02:00", "language": "bob@example.org"},
    {"rating": "up", "more": [1]},
]
one_row = st.tuples(st.sampled_from(["a", "b", "bob@example.org", None]), st.sampled_from(CHANGES))


def files_of(store):
    """The rows of each table's files, in the order of the commits and as they lie in the files."""
    found = {}
    for table in ("interactions", "feedback", "quarantine"):
        folder = Path(store, table)
        logs = [log.read_text().splitlines() for log in sorted(folder.glob("_delta_log/*.json"))]
        names = [json.loads(line)["add"]["path"] for log in logs for line in log if '"add"' in line]
        found[table] = [pq.read_table(folder / name).to_pylist() for name in names]
    return found


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(one_row, min_size=4, max_size=14))
@example([(name, change) for change in CHANGES for name in ("a", None)])
def test_both_ways_write_the_same_files(tmp_path_factory, monkeypatch, rows):
    folder = tmp_path_factory.mktemp("both")
    monkeypatch.setenv("FLYWHEEL_PSEUDONYM_KEY", "33" * 16)
    monkeypatch.setattr(ingest_module, "_PART", 3)
    log = folder / "log.jsonl"
    log.write_text("".join(json.dumps(USUAL | {"interaction": name} | change) + "\n" for name, change in rows))
    written = {}
    for way in ("short", "long"):
        with monkeypatch.context() as patch:
            if way == "long":
                patch.setattr(plain_row, "read", lambda value, latest: None)
                patch.setattr(plain_row, "read_line", lambda line, latest: None)
            store = str(folder / way)
            counts = [ingest(str(log), store, run, now=NOW, batch_rows=7).record(run) for run in ("1", "1", "2")]
            written[way] = [(one.rows, one.details) for one in counts], files_of(store)
    assert written["short"] == written["long"]
