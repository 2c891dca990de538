"""The log that decides: races, crashes between two requests, people who move aliases on the server, lost answers."""

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.components.registry import replay
from flywheel.components.registry.errors import AliasMovedError, LeaseLostError, RegistryError
from flywheel.components.registry.log_registry import AUDIT, LogRegistry
from flywheel.components.registry.log_store import Entry
from flywheel.components.registry.model_registry_store import ModelRegistryStore
from flywheel.components.registry.open import open_registry
from flywheel.components.registry.records import Alias, AliasMove, NewVersion


def new(digest="d1", **more):
    return NewVersion(name="m", digest=digest, uri=f"/{digest}", run_id="r", **more)


def move(alias, version, expected):
    return AliasMove(alias=alias, version=version, expected=expected)


@pytest.fixture
def registry(registry_of):
    made = registry_of("memory")
    for digest in ("d1", "d2", "d3"):
        made.register(new(digest), "t")
    return made


def test_writer_that_read_before_another_wrote_takes_no_effect(registry, monkeypatch):
    """Both have looked at the same state and append one after the other: the log decides, and tells the second."""
    original = registry._store.append

    def append(stream, text, uri=""):
        monkeypatch.setattr(registry._store, "append", original)
        registry.set_alias("m", [move(Alias.PRODUCTION, 1, None)], "fast", "first")
        return original(stream, text, uri)

    monkeypatch.setattr(registry._store, "append", append)
    with pytest.raises(AliasMovedError, match="points to version 1, not to nothing"):
        registry.set_alias("m", [move(Alias.PRODUCTION, 2, None)], "slow", "second")
    assert registry.get_alias("m", Alias.PRODUCTION) == 1
    assert [event.who for event in registry.history("m") if event.kind == "alias"] == ["fast"]


def test_writer_that_dies_before_it_shows_the_alias_has_moved_it(registry, monkeypatch):
    def dies(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(registry._store, "show", dies)
        with pytest.raises(KeyboardInterrupt):
            registry.set_alias("m", [move(Alias.PRODUCTION, 2, None)], "t", "dies")
    assert registry._store.shown("m").aliases == {}
    assert registry.get_alias("m", Alias.PRODUCTION) == 2, "decided is decided"
    assert registry._store.shown("m").aliases == {"production": 2}, "and the next reader shows it"
    assert [event.who for event in registry.history("m") if event.kind == "alias"] == ["t"]


def test_alias_moved_by_a_person_on_the_server_is_taken_over_and_recorded(registry):
    registry.set_alias("m", [move(Alias.PRODUCTION, 1, None)], "t", "first")
    registry._store.aliases["m"] = {"production": 3, "champion": 2}
    assert registry.get_alias("m", Alias.PRODUCTION) == 3
    last = registry.history("m")[-1]
    assert (last.who, last.previous, last.version) == ("the registry server", 1, 3)
    with pytest.raises(AliasMovedError, match="points to version 3"):
        registry.set_alias("m", [move(Alias.PRODUCTION, 2, 1)], "t", "did not know")


def test_old_holder_of_a_lease_moves_nothing_even_if_its_check_came_in_time(registry, monkeypatch):
    """Fencing in the log: the check passes, the holder sleeps, another takes over and moves, the first wakes up."""
    lease = registry.acquire_lease("service/a", "run-1", 60)
    newer = registry.acquire_lease("service/a", "run-1", 60)
    registry.set_alias("m", [move(Alias.PRODUCTION, 1, None)], "t", "newer", fence=newer)
    monkeypatch.setattr(registry, "_held", lambda *_: None)
    with pytest.raises(LeaseLostError, match="newer holder"):
        registry.set_alias("m", [move(Alias.PRODUCTION, 2, 1)], "t", "older", fence=lease)
    assert registry.get_alias("m", Alias.PRODUCTION) == 1


def test_registration_that_died_before_its_event_is_told_by_the_retry(registry, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(registry, "_told", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            registry.register(new("d4"), "t")
    assert registry.register(new("d4"), "t").version == 4
    assert [event.version for event in registry.history("m") if event.kind == "registered"] == [1, 2, 3, 4]


def test_versions_of_others_are_left_alone(registry):
    registry._store.append("m", "")
    registry._store.append("m", '{"some": "body else"}')
    assert [one.version for one in registry.list_versions()] == [1, 2, 3]
    assert registry.register(new("d9"), "t").version == 6


moves = st.lists(
    st.tuples(st.sampled_from(list(Alias)), st.sampled_from([None, 1, 2]), st.sampled_from([None, 1, 2])), max_size=3
)


@settings(max_examples=80, deadline=None)
@given(st.lists(moves, max_size=8))
def test_replay_agrees_with_sqlite_and_repeated_entries_change_nothing(tmp_path_factory, asked):
    """The same requests to both: the same aliases, the same refusals; an answer lost and sent twice is one entry."""
    from flywheel.components.registry.sqlite_registry import SqliteRegistry

    sqlite = SqliteRegistry(tmp_path_factory.mktemp("registry") / "r.db")
    for digest in ("d1", "d2"):
        sqlite.register(new(digest), "t")
    entries, taken = [], []
    for number, wanted in enumerate(asked, start=1):
        listed = [move(*one) for one in wanted]
        try:
            sqlite.set_alias("m", listed, "t", "")
            taken.append(str(number))
        except AliasMovedError:
            taken.append("")
        body = [one.model_dump(mode="json") for one in listed]
        content = {"id": str(number), "kind": "moves", "at": 0.0, "name": "m", "moves": body, "who": "t", "reason": ""}
        text = replay.json.dumps({**content, "evidence": "", "run_id": ""})
        entries += [Entry(len(entries) + 1, text), Entry(len(entries) + 2, text)]
    state = replay.audit(entries)
    there = {str(one): sqlite.get_alias("m", one) for one in Alias}
    assert state.aliases == {alias: number for alias, number in there.items() if number is not None}
    assert {str(number) for number in range(1, len(asked) + 1)} - state.refused.keys() == set(taken) - {""}
    told = [(event.alias, event.version) for event in sqlite.history("m") if event.kind == "alias"]
    assert [(event.alias, event.version) for event in state.events] == told


@pytest.mark.timeout(400)  # a real MLflow takes a minute to start on a busy machine, and answers slowly
@pytest.mark.parametrize(
    ("kind", "count"), [("memory", 4), ("kubeflow", 4), pytest.param("mlflow", 2, marks=pytest.mark.slow)]
)
def test_exactly_one_of_several_writers_wins(registry_of, kind, count):
    registry_of(kind).register(new("d1"), "t")
    found, barrier = [], threading.Barrier(count)

    def race(number):
        mine = registry_of(kind)
        version = mine.register(new(f"w{number}"), f"w{number}").version
        barrier.wait()
        try:
            mine.set_alias("m", [move(Alias.PRODUCTION, version, None)], f"w{number}", "race")
            found.append(version)
        except AliasMovedError:
            return

    writers = [threading.Thread(target=race, args=(number,)) for number in range(count)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    last = registry_of(kind)
    assert len(found) == 1
    assert last.get_alias("m", Alias.PRODUCTION) == found[0]
    assert len(last.list_versions("m")) == 1 + count
    assert len({one.version for one in last.list_versions("m")}) == 1 + count


@pytest.mark.parametrize(
    ("method", "part", "status"),
    [
        ("POST", "versions$", 0),
        ("POST", "registered_models$", 0),
        ("PATCH", "registered_models", 503),
        ("GET", "", 429),
    ],
)
def test_model_registry_that_is_away_or_whose_answer_is_lost(model_registry, method, part, status):
    address, world = model_registry
    registry = LogRegistry(ModelRegistryStore(address))
    world["fail"].append((method, part, status))
    registry.register(new("d1"), "t")
    registry.set_alias("m", [move(Alias.PRODUCTION, 1, None)], "t", "first")
    assert world["fail"] == []
    assert [one.digest for one in registry.list_versions("m")] == ["d1"]
    assert registry.get_alias("m", Alias.PRODUCTION) == 1
    assert len(registry.history("m")) == 2, "a request that was sent twice is one event"


def test_lease_whose_answer_is_lost_is_held_all_the_same(model_registry):
    address, world = model_registry
    registry = LogRegistry(ModelRegistryStore(address))
    world["fail"].append(("POST", "versions$", 0))
    lease = registry.acquire_lease("service/a", "run-1", 60)
    assert world["fail"] == []
    assert registry.renew_lease(lease, 60).token == lease.token


def test_model_registry_that_refuses_the_token_or_is_not_there(model_registry):
    address, world = model_registry
    world["fail"] += [("GET", "", 401)]
    with pytest.raises(RegistryError, match="FLYWHEEL_MODEL_REGISTRY_TOKEN"):
        open_registry(f"kubeflow+{address}").list_versions("m")
    with pytest.raises(RegistryError, match="no Model Registry at"):
        open_registry("kubeflow+http://127.0.0.1:9").list_versions("m")


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_aliases_are_mlflows_own(registry_of, mlflow_server, monkeypatch):
    from mlflow.tracking import MlflowClient

    registry = registry_of("mlflow")
    registry.register(new("d1"), "t")
    registry.register(new("d2"), "t")
    registry.set_alias("m", [move(Alias.PRODUCTION, 2, None)], "t", "first")
    client, name = MlflowClient(mlflow_server), registry._store._prefix + "m"
    assert client.get_model_version_by_alias(name, "production").version == "2"
    client.set_registered_model_alias(name, "production", "1")
    assert registry.get_alias("m", Alias.PRODUCTION) == 1
    assert registry.history("m")[-1].who == "the registry server"
    assert name + AUDIT in {one.name for one in client.search_registered_models()}
    # By default MLflow's client sees rate limits through: seven retries, the pauses doubling, four minutes of waiting.
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    with pytest.raises(RegistryError, match="could not"):
        open_registry("mlflow+http://127.0.0.1:9").list_versions("m")
