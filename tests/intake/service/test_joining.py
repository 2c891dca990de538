"""Halves of inferences, however late and however often they come."""

import itertools
import random
from datetime import UTC, datetime, timedelta

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.components.intake.pseudonyms import Pseudonymizer
from flywheel.components.intake.service import halves, moving
from flywheel.components.intake.service.scribe import Scribe, Sent
from flywheel.components.store import delta_table

NOW = datetime(2026, 11, 25, tzinfo=UTC)
PSEUDONYMS = Pseudonymizer(b"k" * 32)
SCRIBE = Scribe(PSEUDONYMS)


def entries(*events, at=NOW):
    page = SCRIBE.page([Sent("events", "web", event, 10) for event in events], at)
    return [orjson.loads(entry)["half"] for entry in page.entries]


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_any_order_repetition_and_batching_gives_the_same_interactions(event, data):
    sent = [
        one for number in range(4) for one in entries(event("request", f"i{number}"), event("response", f"i{number}"))
    ]
    order = data.draw(st.permutations(sent + sent[:3]))
    cut = data.draw(st.integers(0, len(order)))
    first = halves.join(order[:cut], PSEUDONYMS, 3600, NOW)
    second = halves.join(first.waiting + order[cut:], PSEUDONYMS, 3600, NOW)
    rows = {row["interaction_id"]: row for row in first.interactions + second.interactions}
    assert rows.keys() == {"i0", "i1", "i2", "i3"}
    reference = halves.join(sent, PSEUDONYMS, 3600, NOW).interactions
    assert sorted(rows.values(), key=lambda row: row["interaction_id"]) == reference
    assert not first.quarantine
    assert not second.quarantine


@pytest.fixture
def mover(tmp_path, monkeypatch):
    monkeypatch.setenv("FLYWHEEL_PSEUDONYM_KEY", "00" * 32)
    own = tmp_path / "segments" / "own"
    own.mkdir(parents=True)
    made = moving.Mover(own.parent, own, str(tmp_path / "store"), 0.0)
    numbers = itertools.count()

    def sweep(*waiting):
        made._room.put(f"s{next(numbers)}", waiting)
        report = made.sweep()
        assert report.error == ""
        return report

    sweep.store = tmp_path / "store"
    return sweep


def table(store, name):
    return delta_table.read(delta_table.latest(str(store), name)).to_pylist()


def test_half_that_comes_after_the_other_went_to_quarantine_is_joined(mover, event):
    request, response = entries(event("request"), event("response"))
    mover(request)
    assert [row["reason"] for row in table(mover.store, "quarantine")] == ["response_missing"]
    mover(response)
    (row,) = table(mover.store, "interactions")
    assert (row["prompt"], row["response"]) == ("What is the refund period?", "14 days.")
    assert len(table(mover.store, "quarantine")) == 1


def test_half_that_is_sent_again_changes_nothing_and_one_with_other_content_is_kept(mover, event):
    request, response = entries(event("request"), event("response"))
    mover(request, response)
    assert mover(request, request).moved == {}
    assert mover(response).moved == {}
    (other,) = entries(event("response", data={"predictions": ["30 days."]}))
    mover(other)
    assert [row["response"] for row in table(mover.store, "interactions")] == ["14 days."]
    (kept,) = table(mover.store, "quarantine")
    assert kept["reason"] == "conflicting_duplicate"
    assert "30 days." in kept["row"]
    mover(other)
    assert len(table(mover.store, "quarantine")) == 1


def test_lonely_halves_of_one_id_with_other_content_are_all_kept(mover, event):
    first, second = (
        entries(event("request", data={"messages": [{"role": "user", "content": text}]}))[0] for text in ("a?", "b?")
    )
    mover(first)
    mover(first)
    mover(second)
    assert sorted(row["reason"] for row in table(mover.store, "quarantine")) == [
        "conflicting_duplicate",
        "response_missing",
    ]


def test_killed_between_append_and_tidying_nothing_is_doubled(mover, event, monkeypatch):
    rng = random.Random(5)
    sent = [
        one for number in range(30) for one in entries(event("request", f"i{number}"), event("response", f"i{number}"))
    ]
    rng.shuffle(sent)
    with monkeypatch.context() as patch:
        patch.setattr(halves.WaitingRoom, "replace", lambda *_: (_ for _ in ()).throw(OSError("killed here")))
        with pytest.raises(AssertionError, match="killed here"):
            mover(*sent)
    assert mover().moved == {"interactions": 0}
    assert len(table(mover.store, "interactions")) == 30
    assert mover().moved == {}  # nothing waits any more


def test_room_is_bounded_and_what_does_not_fit_can_still_be_joined(mover, event, monkeypatch):
    sent = [entries(event("request", f"i{number}"), at=NOW + timedelta(seconds=number))[0] for number in range(10)]
    size = len(orjson.dumps(sent[0]))
    joined = halves.join(sent, PSEUDONYMS, 3600, NOW, most_bytes=4 * size + 50)
    assert [one["id"] for one in joined.waiting] == ["i9", "i8", "i7", "i6"]
    assert {one["id"] for one in joined.overdue} == {f"i{number}" for number in range(6)}
    monkeypatch.setattr(halves, "_PORTION_BYTES", size)  # a file at a time
    for one in sent:
        mover(one)
    mover(*(entries(event("response", f"i{number}"))[0] for number in range(10)))
    assert {row["interaction_id"] for row in table(mover.store, "interactions")} == {f"i{n}" for n in range(10)}


def test_portions_hold_every_file_once(tmp_path, monkeypatch):
    room = halves.WaitingRoom(tmp_path)
    for number in range(7):
        room.put(f"s{number}", [{"n": number, "text": "x" * 100}])
    room.put("waiting", [{"n": -1}])
    monkeypatch.setattr(halves, "_PORTION_BYTES", 250)
    portions = list(room.portions())
    assert len(portions) == 3
    assert all(portion[0].name == "waiting.jsonl" for portion in portions)
    names = [path.name for portion in portions for path in portion[1:]]
    assert sorted(names) == [f"s{number}.jsonl" for number in range(7)]


def test_waiting_is_counted_from_the_arrival(event):
    early, late = entries(event("request", "a"), at=NOW - timedelta(hours=2)) + entries(event("request", "b"))
    joined = halves.join([early, late], PSEUDONYMS, 3600, NOW)
    assert [one["id"] for one in joined.overdue] == ["a"]
    assert [one["id"] for one in joined.waiting] == ["b"]
