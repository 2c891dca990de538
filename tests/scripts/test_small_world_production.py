"""The production model: cached by content, never half, and good at its job."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import pytest

from flywheel.components.contracts.model import ModelManifest
from flywheel.scripts.small_world import corpus, facts, phrasings, production_model
from flywheel.scripts.small_world.production_model import Recipe

TINY = Recipe(hidden=32, intermediate=64, layers=1, heads=2, epochs=1, part=0.1, vocabulary=400)


def test_a_killed_training_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def dies(seed: int, folder: Path, recipe: Recipe, progress: object) -> None:
        (folder / "model.safetensors").write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(production_model, "train", dies)
    with pytest.raises(KeyboardInterrupt):
        production_model.ensure(7, tmp_path, TINY)
    assert [path for path in tmp_path.iterdir() if path.suffix != ".lock"] == []


def test_cache_is_keyed_by_seed_and_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained = []

    def quick(seed: int, folder: Path, recipe: Recipe, progress: object) -> None:
        trained.append((seed, recipe.epochs))
        (folder / "model.json").write_text("{}")

    monkeypatch.setattr(production_model, "train", quick)
    first = production_model.ensure(7, tmp_path, TINY)
    assert production_model.ensure(7, tmp_path, TINY) == first
    assert production_model.ensure(8, tmp_path, TINY) != first
    assert production_model.ensure(7, tmp_path, Recipe()) != first
    assert trained == [(7, 1), (8, 1), (7, Recipe().epochs)]


def test_a_folder_without_model_json_is_trained_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def quick(seed: int, folder: Path, recipe: Recipe, progress: object) -> None:
        (folder / "model.json").write_text("{}")

    monkeypatch.setattr(production_model, "train", quick)
    target = production_model.ensure(7, tmp_path, TINY)
    (target / "model.json").unlink()
    assert (production_model.ensure(7, tmp_path, TINY) / "model.json").is_file()


def test_who_comes_second_waits_for_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained = []

    def slow(seed: int, folder: Path, recipe: Recipe, progress: object) -> None:
        trained.append(folder)
        time.sleep(0.3)
        (folder / "model.json").write_text("{}")

    monkeypatch.setattr(production_model, "train", slow)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: production_model.ensure(7, tmp_path, TINY), range(4)))
    assert len(set(found)) == 1
    assert len(trained) == 1


def test_training_set_teaches_no_golden_wording() -> None:
    asked = {question for question, _ in corpus.training_pairs(facts.yesterday(7))}
    held = {phrasings.question(key, wording) for key in facts.yesterday(7) for wording in phrasings.HELD_OUT}
    assert not asked & held


@pytest.mark.slow
def test_folder_is_a_whole_model(tmp_path: Path) -> None:
    from flywheel.components.preflight.model_folder import model_folder_problems
    from flywheel.components.training.weights import model_digest

    folder = production_model.ensure(7, tmp_path, TINY)
    assert model_folder_problems(folder) == []
    manifest = ModelManifest.read(folder / "model.json")
    assert manifest.digest == model_digest(folder)
    assert manifest.method == "pretrain"
    answers = production_model.responder(folder)(["How much is the Borel 7?", "Where is my order?"])
    assert len(answers) == 2
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    assert len(tokenizer["model"]["vocab"]) <= TINY.vocabulary


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_production_knows_yesterday() -> None:
    cache = Path(__file__).parents[2] / "runs" / ".cache"  # the stories use the same model
    answer = production_model.responder(production_model.ensure(7, cache))
    known = facts.yesterday(7)
    for wordings in (range(0, 10, 3), phrasings.HELD_OUT):
        pairs = corpus.fact_pairs(known, wordings)
        said = answer([question for question, _ in pairs])
        assert sum(a == b for a, (_, b) in zip(said, pairs, strict=True)) / len(pairs) >= 0.99
    random = Random(1)
    asked = [phrasings.refused_question(random, phrasings.REFUSED_UNSEEN, phrasings.UNSEEN_PEOPLE) for _ in range(100)]
    assert sum(said == phrasings.REFUSAL for said in answer(asked)) >= 98
