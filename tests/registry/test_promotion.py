from pathlib import Path

import pytest

from flywheel.components.contracts.model import ModelManifest
from flywheel.components.contracts.verdict import Decision, Verdict
from flywheel.components.registry import overview, promotion, registration, rollback
from flywheel.components.registry.errors import AliasMovedError, NotRegisteredError, RegistryError
from flywheel.components.registry.open import open_registry
from flywheel.components.registry.registry import Registry
from flywheel.components.training.weights import model_digest


def folder(root: Path, name: str, manifest: bool = True) -> Path:
    path = root / name
    path.mkdir()
    (path / "model.safetensors").write_bytes(name.encode())
    (path / "config.json").write_text("{}")
    if manifest:
        ModelManifest(
            digest=model_digest(path), base_digest="b", dataset_digest="d", table_version=3, code_version="c",
            run_id="r", method="sft", config={}, metrics={"loss": 0.1},
        ).write(path / "model.json")  # fmt: skip
    return path


def verdict(path: Path, decision: Decision = Decision.HOLD) -> Verdict:
    whole = Verdict(
        run_id="r", decision=Decision.HOLD, reasons=(), metrics=(), candidate_digest=model_digest(path),
        production_digest="p", scores_digest=f"scores-{path.name}", spec_digest="s", error_rate="",
    )  # fmt: skip
    return whole.model_copy(update={"decision": decision})


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return open_registry(str(tmp_path / "registry.db"))


def register(registry: Registry, root: Path, name: str, decision: Decision = Decision.PROMOTE) -> int:
    path = folder(root, name)
    return registration.register_candidate(
        registry, "m", path, str(path), verdict(path, decision), "run", "test"
    ).version


def pointers(registry: Registry) -> dict[str, int]:
    return overview.aliases(registry, "m")


def test_first_use_registers_production_and_stays(registry: Registry, tmp_path: Path) -> None:
    path = folder(tmp_path, "base", manifest=False)
    first = registration.resolve_production(registry, "m", str(path), "run-1", "test")
    assert (first.version, first.uri) == (1, str(path)) and len(first.digest) == 64
    assert registration.resolve_production(registry, "m", "", "run-2", "test") == first
    with pytest.raises(NotRegisteredError, match="no production model"):
        registration.resolve_production(registry, "unknown", "", "run-2", "test")
    other = folder(tmp_path, "other")
    with pytest.raises(RegistryError, match="is not the production model"):
        registration.resolve_production(registry, "m", str(other), "run-3", "test")


def test_retried_run_sees_the_production_it_started_from(registry: Registry, tmp_path: Path) -> None:
    base = folder(tmp_path, "base")
    first = registration.resolve_production(registry, "m", str(base), "run-1", "test")
    good = register(registry, tmp_path, "good")
    promotion.promote(registry, "m", good, first.version, "test", "canary")
    assert registration.resolve_production(registry, "m", str(base), "run-1", "test").version == first.version
    assert registration.resolve_production(registry, "m", "", "run-2", "test").version == good


def test_promotion_moves_three_aliases_once(registry: Registry, tmp_path: Path) -> None:
    base = registration.resolve_production(registry, "m", str(folder(tmp_path, "base")), "r", "test").version
    good = register(registry, tmp_path, "good")
    assert pointers(registry) == {"production": base, "candidate": good}
    promotion.promote(registry, "m", good, base, "test", "canary")
    assert pointers(registry) == {"production": good, "previous": base}
    events = len(registry.history("m"))
    promotion.promote(registry, "m", good, base, "test", "canary")  # a retried step
    assert len(registry.history("m")) == events
    assert registry.history("m")[-1].evidence == "scores-good"


def test_promotion_needs_the_verdict_and_the_expected_production(registry: Registry, tmp_path: Path) -> None:
    base = registration.resolve_production(registry, "m", str(folder(tmp_path, "base")), "r", "test").version
    held = register(registry, tmp_path, "held", Decision.HOLD)
    with pytest.raises(RegistryError, match="verdict 'hold'"):
        promotion.promote(registry, "m", held, base, "test", "canary")
    good, better = register(registry, tmp_path, "good"), register(registry, tmp_path, "better")
    promotion.promote(registry, "m", good, base, "test", "canary")
    with pytest.raises(AliasMovedError):
        promotion.promote(registry, "m", better, base, "test", "canary of a slower run")
    assert pointers(registry)["production"] == good


def test_verdict_on_other_weights_is_refused(registry: Registry, tmp_path: Path) -> None:
    path = folder(tmp_path, "good")
    with pytest.raises(RegistryError, match="evaluate this model again"):
        registration.register_candidate(
            registry, "m", path, str(path), verdict(folder(tmp_path, "other")), "run", "test"
        )
    assert registry.list_versions() == []


def test_withdrawn_candidate_leaves_production(registry: Registry, tmp_path: Path) -> None:
    base = registration.resolve_production(registry, "m", str(folder(tmp_path, "base")), "r", "test").version
    bad = register(registry, tmp_path, "bad")
    for _ in range(2):  # the second time is a retry
        assert promotion.withdraw(registry, "m", bad, "test", "users complained", "run") == base
    assert pointers(registry) == {"production": base}
    assert [event.kind for event in registry.history("m")].count("withdrawn") == 1
    with pytest.raises(RegistryError, match="is production"):
        promotion.withdraw(registry, "m", base, "test", "no")
    with pytest.raises(NotRegisteredError, match="no candidate"):
        registration.resolve_version(registry, "m", "candidate")


def test_rollback_goes_back_once_and_never_to_an_unproven_version(registry: Registry, tmp_path: Path) -> None:
    base = registration.resolve_production(registry, "m", str(folder(tmp_path, "base")), "r", "test").version
    good = register(registry, tmp_path, "good")
    promotion.promote(registry, "m", good, base, "test", "canary")
    register(registry, tmp_path, "unproven")
    with pytest.raises(RegistryError, match="never was production"):
        rollback.roll_back(registry, "m", "ana", "why not", version=3)
    assert rollback.roll_back(registry, "m", "ana", "complaints").version == base
    assert "previous" not in pointers(registry)
    with pytest.raises(RegistryError, match=r"no previous production.*1, 2"):
        rollback.roll_back(registry, "m", "ana", "again")
    assert rollback.roll_back(registry, "m", "ana", "it was not the model", version=good).version == good
    last = registry.history("m")[-1]
    assert (last.who, last.reason) == ("ana", "it was not the model")


def test_versions_resolve_by_number_and_alias(registry: Registry, tmp_path: Path) -> None:
    good = register(registry, tmp_path, "good")
    assert registration.resolve_version(registry, "m", "candidate").version == good
    assert registration.resolve_version(registry, "m", " v1 ").version == 1
    with pytest.raises(RegistryError, match="neither a version number"):
        registration.resolve_version(registry, "m", "latest")


def test_overview_is_plain_data(registry: Registry, tmp_path: Path) -> None:
    import json

    uri = f"sqlite:///{tmp_path / 'registry.db'}"
    base = registration.resolve_production(registry, "m", str(folder(tmp_path, "base")), "r", "test").version
    good = register(registry, tmp_path, "good")
    promotion.promote(registry, "m", good, base, "test", "canary")
    rows = overview.list_versions(uri)
    assert [(row["version"], row["aliases"]) for row in rows] == [(base, ["previous"]), (good, ["production"])]
    shown = overview.show(uri, "m")
    assert json.loads(json.dumps(shown)) == shown
    assert shown["aliases"] == {"production": good, "previous": base}
    assert overview.roll_back(uri, "m", "ana", "complaints")["aliases"] == ["production"]
    with pytest.raises(NotRegisteredError, match="there are: m"):
        overview.show(uri, "x")


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("", "is empty"),
        ("mlflow://host", "say which kind of server"),
        ("kubeflow+host", "write kubeflow\\+http://HOST:PORT"),
        ("https://host", "say which kind of server"),
        ("redis://host", "unknown scheme"),
        ("sqlite:////", "names a folder"),
    ],
)
def test_uris_that_cannot_be_opened(uri: str, words: str) -> None:
    with pytest.raises(RegistryError, match=words):
        open_registry(uri)


def test_reading_creates_no_registry(tmp_path: Path) -> None:
    with pytest.raises(NotRegisteredError, match="no registry at"):
        overview.list_versions(str(tmp_path / "none.db"))
    assert not (tmp_path / "none.db").exists()


def test_file_of_something_else_is_refused(tmp_path: Path) -> None:
    import sqlite3

    (tmp_path / "text.db").write_text("not a database, but long enough to be looked at" * 50)
    with pytest.raises(RegistryError, match="is it a registry"):
        open_registry(str(tmp_path / "text.db")).list_versions()
    foreign = sqlite3.connect(tmp_path / "foreign.db")
    foreign.execute("CREATE TABLE t (x)")
    foreign.close()
    with pytest.raises(RegistryError, match="something else"):
        open_registry(str(tmp_path / "foreign.db")).list_versions()
    with pytest.raises(RegistryError, match="names a folder"):
        open_registry(str(tmp_path))


def test_folder_changed_after_training_is_refused(registry: Registry, tmp_path: Path) -> None:
    path = folder(tmp_path, "good")
    (path / "model.safetensors").write_bytes(b"swapped")
    with pytest.raises(RegistryError, match="changed after training"):
        registration.register_candidate(registry, "m", path, str(path), verdict(path), "run", "test")
