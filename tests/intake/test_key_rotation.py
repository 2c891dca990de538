"""After a change of key the same people have the same pseudonyms, in old rows and new, and old rows are recognised."""

import hashlib
import json
import os
from collections import Counter
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from flywheel.components.intake import key_rotation, pseudonyms
from flywheel.components.intake.errors import IntakeError
from flywheel.components.intake.ingest import ingest
from flywheel.components.intake.pseudonyms import Pseudonymizer
from flywheel.components.store import delta_table, lineage
from flywheel.scripts.command.app import app

NOW = datetime(2026, 11, 21, tzinfo=UTC)
KEYS = st.lists(st.binary(min_size=16, max_size=20), min_size=1, max_size=4, unique=True)


def log(path, name, users):
    file = path / name
    rows = [
        {"prompt": f"{name} {n}", "response": "a", "user": user, "rating": 1, "timestamp": "2026-11-20T12:00:00Z"}
        for n, user in enumerate(users)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(file)


def subjects(store, table="interactions"):
    return [row["subject"] for row in delta_table.read(delta_table.latest(store, table)).to_pylist()]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(KEYS, st.text(max_size=8), st.text(max_size=8))
def test_pseudonyms_under_any_older_key_become_the_newest(keys, person, other):
    newest = Pseudonymizer(*keys)
    for count in range(1, len(keys) + 1):
        older = Pseudonymizer(*keys[:count])
        assert newest.newest(older.of("subject", person)) == newest.of("subject", person)
        assert older.of("interaction", person) == newest.of("interaction", person)  # rows are recognised
    assert (newest.of("subject", person) == newest.of("subject", other)) == (person == other)


def test_one_key_gives_what_it_always_gave():
    one = Pseudonymizer(b"0123456789abcdef")
    key = hashlib.blake2b(b"0123456789abcdef", digest_size=32).digest()
    plain = hashlib.blake2b(b"user:ann", digest_size=16, key=key, person=b"subject").hexdigest()
    assert one.of("subject", "user:ann") == plain
    two = Pseudonymizer(b"0123456789abcdef", b"fedcba9876543210")
    assert two.of("subject", "user:ann").endswith(f"-{two.key_id}")
    assert two.rotations == 1


def test_keys_that_cannot_work_are_refused():
    with pytest.raises(IntakeError, match="needs at least 16"):
        Pseudonymizer(b"0123456789abcdef", b"short")
    with pytest.raises(IntakeError, match="only once"):
        Pseudonymizer(b"0123456789abcdef", b"0123456789abcdef")
    stranger = Pseudonymizer(b"another key 0123", b"another key 4567").of("subject", "ann")
    with pytest.raises(IntakeError, match="give all keys that the store was ever written with"):
        Pseudonymizer(b"0123456789abcdef", b"fedcba9876543210").newest(stranger)


def test_people_stay_linkable_through_a_rotation(tmp_path):
    store = str(tmp_path / "store")
    first = log(tmp_path, "one.jsonl", ["ann", "bob", "ann"])
    ingest(first, store, "r1", now=NOW)
    before = subjects(store)
    done = CliRunner().invoke(app, ["privacy", "rotate-key", "--store", store])
    assert done.exit_code == 0, done.output
    assert "interactions: 3 rows of 2 people" in done.output
    after = subjects(store)
    assert not set(before) & set(after)
    assert sorted(Counter(before).values()) == sorted(Counter(after).values())
    again = ingest(first, store, "r2", now=NOW)
    assert (again.accepted, again.duplicates) == (0, 3)  # the rows of before are recognised
    ingest(log(tmp_path, "two.jsonl", ["ann", "cleo"]), store, "r3", now=NOW)
    assert sorted(Counter(subjects(store)).values()) == [1, 1, 3]
    assert sorted(Counter(subjects(store, "feedback")).values()) == [1, 1, 3]
    keys = (tmp_path / "store" / pseudonyms.KEY_FILE).read_text().split()
    assert len(keys) == 2
    assert (tmp_path / "store" / pseudonyms.KEY_FILE).stat().st_mode & 0o077 == 0
    (run,) = [run for run in lineage.runs(store) if run.startswith("rotate-key")]
    assert lineage.steps(store, run)[0].metrics["rows_interactions"] == 3


def test_between_the_two_steps_people_are_still_linked(tmp_path):
    store = str(tmp_path / "store")
    ingest(log(tmp_path, "one.jsonl", ["ann", "bob"]), store, "r1", now=NOW)
    pseudonyms.add_key(store)  # and then the process was killed
    ingest(log(tmp_path, "two.jsonl", ["ann"]), store, "r2", now=NOW)
    keys = pseudonyms.for_store(store)
    assert len(set(subjects(store))) == 3
    assert sorted(Counter(map(keys.newest, subjects(store))).values()) == [1, 2]
    done = key_rotation.rotate(store, new_key=False)
    assert done.rows == {"interactions": 2, "feedback": 2}
    assert sorted(Counter(subjects(store)).values()) == [1, 2]
    assert key_rotation.rotate(store, new_key=False).rows == {"interactions": 0, "feedback": 0}


def test_keys_of_the_variable_are_rotated_by_whoever_keeps_them(tmp_path, monkeypatch):
    store = str(tmp_path / "store")
    monkeypatch.setenv(pseudonyms.KEY_VARIABLE, "0123456789abcdef")
    ingest(log(tmp_path, "one.jsonl", ["ann"]), store, "r1", now=NOW)
    with pytest.raises(IntakeError, match="add a new key as its last line"):
        key_rotation.rotate(store)
    monkeypatch.setenv(pseudonyms.KEY_VARIABLE, "0123456789abcdef\nfedcba9876543210")
    assert key_rotation.rotate(store, new_key=False).rows["interactions"] == 1
    assert subjects(store) == [pseudonyms.for_store(store).of("subject", "user:ann")]
    monkeypatch.setenv(pseudonyms.KEY_VARIABLE, "fedcba9876543210")  # the old one was thrown away
    with pytest.raises(IntakeError, match="the oldest first"):
        key_rotation.rotate(store, new_key=False)


def test_a_key_file_is_never_half_written(tmp_path, monkeypatch):
    store = str(tmp_path / "store")
    pseudonyms.for_store(store)
    file = tmp_path / "store" / pseudonyms.KEY_FILE
    before = file.read_text()
    monkeypatch.setattr(os, "fsync", lambda handle: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        pseudonyms.add_key(store)
    assert file.read_text() == before
    assert [path.name for path in file.parent.iterdir()] == [pseudonyms.KEY_FILE]
