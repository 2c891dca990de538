"""What every registry must do, whatever it stands on; a new kind joins by adding itself to `registry_of`."""

import pytest

from flywheel.components.registry.errors import (
    AliasMovedError,
    LeaseHeldError,
    LeaseLostError,
    NotRegisteredError,
    VersionConflictError,
)
from flywheel.components.registry.records import Alias, AliasMove, Event, NewVersion
from flywheel.components.registry.registry import Registry


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


KINDS = [
    "sqlite",
    "memory",
    "kubeflow",
    pytest.param("mlflow", marks=[pytest.mark.slow, pytest.mark.timeout(400)]),
]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=KINDS)
def registry(request: pytest.FixtureRequest, registry_of, clock: Clock) -> Registry:
    return registry_of(request.param, clock)


def model(digest: str = "d1", **changes: object) -> NewVersion:
    values: dict[str, object] = {
        "name": "assistant",
        "uri": f"/models/{digest}",
        "dataset_digest": "data",
        "table_version": 4,
        "code_version": "c1",
        "run_id": "r1",
        "metrics": {"accuracy": 0.5},
        "decision": "promote",
        "evidence": "e1",
    }
    return NewVersion(digest=digest, **{**values, **changes})


def move(alias: Alias, version: int | None, expected: int | None) -> AliasMove:
    return AliasMove(alias=alias, version=version, expected=expected)


def test_versions_count_per_name_and_come_back_whole(registry: Registry) -> None:
    first = registry.register(model("d1"), "t")
    second = registry.register(model("d2"), "t")
    other = registry.register(model("d1", name="other"), "t")
    assert (first.version, second.version, other.version) == (1, 2, 1)
    assert registry.get("assistant", 2) == second
    assert second.metrics == {"accuracy": 0.5} and second.table_version == 4 and second.decision == "promote"
    assert registry.find_by_digest("assistant", "d2") == second
    assert registry.find_by_digest("assistant", "nope") is None
    assert [v.version for v in registry.list_versions("assistant")] == [1, 2]
    assert len(registry.list_versions()) == 3
    with pytest.raises(NotRegisteredError, match="no version 9"):
        registry.get("assistant", 9)


def test_registering_again_is_the_same_version(registry: Registry) -> None:
    first = registry.register(model(), "t")
    assert registry.register(model(), "t") == first
    assert len(registry.history("assistant")) == 1
    again = registry.register(model(uri="/elsewhere", decision="hold", evidence="e2", run_id="r2"), "t")
    assert again.version == 1 and again.uri == "/elsewhere" and (again.decision, again.evidence) == ("hold", "e2")
    unjudged = registry.register(model(uri="/elsewhere", decision="", evidence="", run_id="r2"), "t")
    assert unjudged.decision == "hold", "registering without a verdict must not wipe one out"


def test_same_weights_with_another_lineage_conflict(registry: Registry) -> None:
    registry.register(model(), "t")
    with pytest.raises(VersionConflictError, match="dataset_digest"):
        registry.register(model(dataset_digest="other"), "t")
    assert registry.get("assistant", 1).dataset_digest == "data"


def test_alias_moves_only_from_where_it_is_expected(registry: Registry) -> None:
    registry.register(model("d1"), "t")
    registry.register(model("d2"), "t")
    assert registry.get_alias("assistant", Alias.PRODUCTION) is None
    registry.set_alias("assistant", [move(Alias.PRODUCTION, 1, None)], "ana", "first", "ev", "run")
    with pytest.raises(AliasMovedError, match="points to version 1, not to nothing"):
        registry.set_alias("assistant", [move(Alias.PRODUCTION, 2, None)], "t", "race")
    assert registry.get_alias("assistant", Alias.PRODUCTION) == 1
    last = registry.history("assistant")[-1]
    assert (last.kind, last.who, last.reason, last.version, last.previous) == ("alias", "ana", "first", 1, None)
    assert (last.evidence, last.run_id, last.alias) == ("ev", "run", "production")


def test_several_moves_are_all_or_nothing(registry: Registry) -> None:
    registry.register(model("d1"), "t")
    registry.register(model("d2"), "t")
    registry.set_alias("assistant", [move(Alias.PRODUCTION, 1, None)], "t", "first")
    before = registry.history("assistant")
    with pytest.raises(AliasMovedError):
        registry.set_alias("assistant", [move(Alias.PREVIOUS, 1, None), move(Alias.PRODUCTION, 2, 2)], "t", "half")
    with pytest.raises(NotRegisteredError):
        registry.set_alias("assistant", [move(Alias.PREVIOUS, 1, None), move(Alias.PRODUCTION, 7, 1)], "t", "half")
    assert registry.get_alias("assistant", Alias.PREVIOUS) is None
    assert registry.get_alias("assistant", Alias.PRODUCTION) == 1
    assert registry.history("assistant") == before
    registry.set_alias("assistant", [move(Alias.PREVIOUS, 1, None), move(Alias.PRODUCTION, 2, 1)], "t", "whole")
    assert registry.get_alias("assistant", Alias.PREVIOUS) == 1
    registry.set_alias("assistant", [move(Alias.PREVIOUS, None, 1)], "t", "cleared")
    assert registry.get_alias("assistant", Alias.PREVIOUS) is None


def test_history_keeps_order_and_other_models_out(registry: Registry) -> None:
    for number in range(3):
        registry.record(Event(name="assistant", kind="note", who="t", reason=str(number)))
    registry.record(Event(name="other", kind="note", who="t"))
    found = registry.history("assistant")
    assert [event.reason for event in found] == ["0", "1", "2"]
    assert [event.number for event in found] == sorted(event.number for event in found)


def test_lease_excludes_others_until_it_expires(registry: Registry, clock: Clock) -> None:
    first = registry.acquire_lease("service/a", "run-1", 60)
    with pytest.raises(LeaseHeldError, match="run-1"):
        registry.acquire_lease("service/a", "run-2", 60)
    assert registry.acquire_lease("service/b", "run-2", 60).holder == "run-2"
    clock.now += 59
    renewed = registry.renew_lease(first, 60)
    clock.now += 59
    with pytest.raises(LeaseHeldError):
        registry.acquire_lease("service/a", "run-2", 60)
    clock.now += 2
    second = registry.acquire_lease("service/a", "run-2", 60)
    assert second.token > renewed.token
    with pytest.raises(LeaseLostError):
        registry.renew_lease(renewed, 60)
    registry.release_lease(renewed)  # a stale holder gives nothing away
    with pytest.raises(LeaseHeldError):
        registry.acquire_lease("service/a", "run-3", 60)
    registry.release_lease(second)
    assert registry.acquire_lease("service/a", "run-3", 60).token > second.token
    with pytest.raises(ValueError, match="more than 0 s"):
        registry.acquire_lease("service/a", "run-3", 0)


def test_retried_holder_gets_its_lease_again_and_fences_its_old_self(registry: Registry) -> None:
    killed = registry.acquire_lease("service/a", "run-1", 600)
    retried = registry.acquire_lease("service/a", "run-1", 600)
    assert retried.token > killed.token
    registry.register(model(), "t")
    with pytest.raises(LeaseLostError):
        registry.set_alias("assistant", [move(Alias.PRODUCTION, 1, None)], "t", "late", fence=killed)
    assert registry.get_alias("assistant", Alias.PRODUCTION) is None
    registry.set_alias("assistant", [move(Alias.PRODUCTION, 1, None)], "t", "in time", fence=retried)
    assert registry.get_alias("assistant", Alias.PRODUCTION) == 1
