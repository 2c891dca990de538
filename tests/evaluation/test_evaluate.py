import json
import shutil
from pathlib import Path

import pytest

from flywheel.components.evaluation.evaluate import evaluate
from flywheel.components.evaluation.generate import Generator
from flywheel.components.evaluation.items import read_items
from flywheel.components.evaluation.recompute import recompute
from flywheel.components.evaluation.scores import ScoreLine, read_scores
from flywheel.components.training.weights import model_digest

pytestmark = pytest.mark.slow  # torch and transformers are imported


def read(path: Path) -> list[ScoreLine]:
    return [ScoreLine.model_validate_json(line) for line in path.read_text().splitlines()[1:]]


def test_both_models_answer_every_item(models: dict[str, Path], golden: Path, tmp_path: Path) -> None:
    out = tmp_path / "scores.jsonl"
    done = evaluate(models["candidate"], models["production"], golden, out, "run", 8, 3, latency_items=6)
    lines = read(out)
    assert done.items == len(lines) == 20
    assert [line.item_id for line in lines] == [item.item_id for item in read_items(golden)], "in the items' order"
    table = read_scores(out)
    assert table.problems == ()
    assert table.header.candidate_digest == model_digest(models["candidate"]) != table.header.production_digest
    timed = [line for line in lines if line.candidate.latency_ms]
    assert len(timed) == 6 and all(line.production.latency_ms for line in timed)
    assert all(0 < line.candidate.tokens <= 8 for line in lines)
    assert all(line.candidate.tokens == 8 for line in lines if line.candidate.truncated)
    assert any(line.candidate.truncated for line in lines), "random models seldom stop by themselves"
    wrong = sum(not line.candidate.correct for line in lines if line.suite == "changed")
    assert done.metrics["accuracy/changed/candidate"] == 1 - wrong / 5
    assert recompute(out).decision == "reject", "models that babble refuse nothing"


def test_answers_do_not_depend_on_the_batch(models: dict[str, Path], golden: Path) -> None:
    """Left padding and the mask must leave no trace; batches are sorted by length and put back in order."""
    generator, items = Generator(models["candidate"], 8), read_items(golden)
    alone = [generator.answer([item])[0] for item in items]
    assert generator.answer(items, batch_size=7) == alone
    assert len({answer.text for answer in alone}) > 3, "a model that says one thing would prove nothing"


def test_scores_are_the_same_again_but_for_latency(models: dict[str, Path], golden: Path, tmp_path: Path) -> None:
    paths = [tmp_path / "one.jsonl", tmp_path / "two.jsonl"]
    for path in paths:
        evaluate(models["candidate"], models["production"], golden, path, "run", 8, latency_items=0)
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_same_model_twice_is_found_out(models: dict[str, Path], golden: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(models["production"], copy)
    evaluate(copy, models["production"], golden, tmp_path / "s.jsonl", "run", 8, latency_items=2)
    verdict = recompute(tmp_path / "s.jsonl")
    assert verdict.decision == "hold" and verdict.reasons[0].startswith("same_model")
    config = json.loads((copy / "generation_config.json").read_text())
    (copy / "generation_config.json").write_text(json.dumps({**config, "top_k": 7}))  # other bytes, same behaviour
    evaluate(copy, models["production"], golden, tmp_path / "s.jsonl", "run", 8, latency_items=2)
    assert recompute(tmp_path / "s.jsonl").reasons[0].startswith("identical_to_production")


def test_failing_batch_is_an_error_on_its_items(
    models: dict[str, Path], golden: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Generator._generate

    def fails(self: Generator, prompts: list[list[int]]) -> list[object]:
        if self.folder == models["candidate"] and max(map(len, prompts)) > 40:
            raise RuntimeError("out of memory")
        return whole(self, prompts)

    monkeypatch.setattr(Generator, "_generate", fails)
    evaluate(models["candidate"], models["production"], golden, tmp_path / "s.jsonl", "run", 8, 4)
    failed = [line for line in read(tmp_path / "s.jsonl") if line.candidate.error]
    assert 0 < len(failed) < 20 and "out of memory" in failed[0].candidate.error
    verdict = recompute(tmp_path / "s.jsonl")
    assert verdict.decision == "hold" and verdict.reasons[0].startswith("evaluator_failure")


def test_unsafe_or_broken_models_are_refused(models: dict[str, Path], mute_model: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no such folder"):
        Generator(tmp_path / "none")
    copy = tmp_path / "pickled"
    shutil.copytree(models["candidate"], copy)
    (copy / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(ValueError, match="pickles"):
        Generator(copy)
    with pytest.raises(ValueError, match="chat template"):
        Generator(mute_model)


def test_items_that_cannot_be_used(tmp_path: Path, golden: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no evaluation items"):
        read_items(tmp_path / "none.jsonl")
    text = golden.read_text().splitlines()
    for lines, words in (
        ([], "holds no evaluation items"),
        ([*text, text[0]], "line 21: item id 'q0' was used on line 1"),
        ([text[0], "{"], "line 2 is no evaluation item"),
        ([text[0].replace('"references": ["no"]', '"references": []')], "line 1 is no evaluation item: references"),
    ):
        (tmp_path / "bad.jsonl").write_text("\n".join(lines))
        with pytest.raises(ValueError, match=words):
            read_items(tmp_path / "bad.jsonl")
