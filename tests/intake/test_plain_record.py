"""The short way gives what the long way gives, or leaves the row to it."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.components.contracts.feedback import FeedbackRecord
from flywheel.components.intake import plain_record, ratings, records, timestamps
from flywheel.components.intake.formats import flat_record

NOW = datetime(2026, 11, 21, tzinfo=UTC)
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
    for role in ("assistant", "function", "tool", "developer", "poet"):
        yield USUAL | {"messages": [*USUAL["messages"], {"role": role, "content": "m"}]}
        yield USUAL | {"messages": [*USUAL["messages"], {"role": role, "content": "m"}], "response": None}


def same(value):
    before = json.dumps(value)
    short = plain_record.read(value, timestamps.parse(value["timestamp"]))
    assert json.dumps(value) == before
    if short is not None:
        long = the_long_way(value)
        assert short == long
        assert short.model_dump_json(by_alias=True) == long.model_dump_json(by_alias=True)
        assert type(short.signals.latency_ms) is type(long.signals.latency_ms)
    return short is not None


def test_equals_the_long_way_with_each_odd_value():
    assert 100 < sum(map(same, with_each_odd_value())) < 300


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
