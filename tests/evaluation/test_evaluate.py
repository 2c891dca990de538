import json
import shutil
from collections import Counter
from pathlib import Path

import pytest
import yaml

from flywheel.components.evaluation.evaluate import evaluate
from flywheel.components.evaluation.generate import Answer, Generator
from flywheel.components.evaluation.items import read_items
from flywheel.components.evaluation.scores.scores import ScoreLine, read_scores
from flywheel.components.evaluation.verdict.recompute import check, recompute
from flywheel.components.evaluation.verdict.spec import DEFAULT
from flywheel.components.training.weights import model_digest

pytestmark = pytest.mark.slow  # torch and transformers are imported


def read(path: Path) -> list[ScoreLine]:
    return [ScoreLine.model_validate_json(line) for line in path.read_text().splitlines()[1:]]


def test_both_models_answer_every_item(models: dict[str, Path], golden: Path, tmp_path: Path, lenient: Path) -> None:
    out = tmp_path / "scores.jsonl"
    done = evaluate(models["candidate"], models["production"], golden, out, "run", 8, 3, lenient, latency_items=6)
    lines = read(out)
    assert done.items == len(lines) == 20
    assert [line.item_id for line in lines] == [item.item_id for item in read_items(golden)], "in the items' order"
    table = read_scores(out)
    assert table.problems == ()
    assert table.header.candidate_digest == model_digest(models["candidate"]) != table.header.production_digest
    timed = [line for line in lines if line.candidate.latency_ms]
    assert len(timed) == 6 and all(line.production.latency_ms for line in timed)
    assert all(0 < line.candidate.tokens <= 8 for line in lines)
    assert all(line.production.prompt_tokens == line.candidate.prompt_tokens > 5 for line in lines)
    assert all(line.candidate.tokens == 8 for line in lines if line.candidate.truncated)
    assert any(line.candidate.truncated for line in lines), "random models seldom stop by themselves"
    wrong = sum(not line.candidate.correct for line in lines if line.suite == "changed")
    assert done.metrics["accuracy/changed/candidate"] == 1 - wrong / 5
    assert recompute(out, lenient).decision == "reject", "models that babble refuse nothing"
    other = recompute(out)
    assert other.decision == "hold" and other.reasons[0].startswith("other_gauntlet"), (
        "registered before, or not at all"
    )


def test_answers_do_not_depend_on_the_batch(models: dict[str, Path], golden: Path) -> None:
    """Left padding and the mask must leave no trace; batches are sorted by length and put back in order."""
    generator, items = Generator(models["candidate"], 8), read_items(golden)
    alone = [generator.answer([item])[0] for item in items]
    assert generator.answer(items, batch_size=7) == alone
    assert len({answer.text for answer in alone}) > 3, "a model that says one thing would prove nothing"


def test_scores_are_the_same_again_but_for_latency(
    models: dict[str, Path], golden: Path, tmp_path: Path, lenient: Path
) -> None:
    paths = [tmp_path / "one.jsonl", tmp_path / "two.jsonl"]
    for path in paths:
        evaluate(models["candidate"], models["production"], golden, path, "run", 8, spec=lenient, latency_items=0)
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_same_model_twice_is_found_out(models: dict[str, Path], golden: Path, tmp_path: Path, lenient: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(models["production"], copy)
    evaluate(copy, models["production"], golden, tmp_path / "s.jsonl", "run", 8, spec=lenient, latency_items=2)
    verdict = recompute(tmp_path / "s.jsonl", lenient)
    assert verdict.decision == "hold" and verdict.reasons[0].startswith("same_model")
    config = json.loads((copy / "generation_config.json").read_text())
    (copy / "generation_config.json").write_text(json.dumps({**config, "top_k": 7}))  # other bytes, same behaviour
    evaluate(copy, models["production"], golden, tmp_path / "s.jsonl", "run", 8, spec=lenient, latency_items=2)
    assert recompute(tmp_path / "s.jsonl", lenient).reasons[0].startswith("identical_to_production")


def test_sampling_meets_the_same_dice_in_both_models_and_any_batch(models: dict[str, Path], golden: Path) -> None:
    items = read_items(golden)[:6]
    one = Generator(models["candidate"], 8)
    drawn = one.sample(items, 4, 0.9, 7)
    assert one.sample(items, 4, 0.9, 7, batch_size=5) == drawn, "a batch leaves no trace"
    assert one.sample(items[2:3], 4, 0.9, 7)[0] == drawn[2], "an item's dice are its own"
    assert one.sample(items, 4, 0.9, 8) != drawn and len({answer.text for answer in drawn[0]}) > 1
    assert [said[:2] for said in drawn] == one.sample(items, 2, 0.9, 7), "more answers do not change the first ones"
    cold = one.sample(items, 2, 1e-4, 7)
    assert [said[0].text for said in cold] == [answer.text for answer in one.answer(items)], "cold is greedy"
    assert Generator(models["production"], 8).sample(items, 4, 0.9, 7) != drawn


def test_samples_follow_the_model(models: dict[str, Path], golden: Path) -> None:
    """The first token of many samples has the frequencies that softmax(logits / temperature) says."""
    import torch

    one, item = Generator(models["candidate"], 1), read_items(golden)[0]
    count, temperature = 4000, 1.5
    drawn = one.sample([item], count, temperature, 11, batch_size=1000)[0]
    ids = torch.tensor([one._encode(item)])
    with torch.inference_mode():
        logits = one._model(input_ids=ids).logits[0, -1]
    chances = torch.softmax(logits / temperature, 0)
    assert 0.02 < float(chances.max()) < 0.98, "else nothing is seen"
    names = [one._tokenizer.decode([token], skip_special_tokens=True).strip() for token in range(len(chances))]
    seen = Counter(answer.text for answer in drawn)
    for text in set(names):
        chance = sum(float(chances[token]) for token, name in enumerate(names) if name == text)
        assert seen[text] / count == pytest.approx(chance, abs=4 * (chance * (1 - chance) / count) ** 0.5 + 1e-3), text


def test_critical_cases_are_answered_k_times(models: dict[str, Path], golden: Path, tmp_path: Path) -> None:
    content = yaml.safe_load(DEFAULT.read_text())
    content |= {"underpowered": "run", "temperature": 1.2}
    (critical,) = (metric for metric in content["metrics"] if metric["measure"] == "critical")
    critical["samples"] = 3
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(content))
    golden.write_text(golden.read_text().replace('"changed"', '"critical"'))
    out = tmp_path / "s.jsonl"
    evaluate(models["candidate"], models["production"], golden, out, "run", 8, spec=tmp_path / "spec.yaml")
    for line in read(out):
        assert len(line.candidate.samples) == len(line.production.samples) == 3 * (line.suite == "critical")
    table = read_scores(out)
    assert table.problems == () and table.header.settings["temperature"] == 1.2
    assert set(table.samples["candidate"][table.mask(["critical"])]) == {3.0}


def test_too_few_items_are_not_answered(
    models: dict[str, Path], golden: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*args: object) -> None:
        raise AssertionError("a model was loaded for a verdict that could not come out")

    monkeypatch.setattr(Generator, "__init__", never)
    out = tmp_path / "s.jsonl"
    done = evaluate(models["candidate"], models["production"], golden, out, "run", 8)
    assert (done.items, done.held) == (0, 20)
    assert "underpowered: " in done.plan and "further items are needed" in done.plan
    verdict = recompute(out)
    assert verdict.decision == "hold" and verdict.n_needed is not None and verdict.n_needed > 200
    told = {reason.split(":")[0] for reason in verdict.reasons}
    assert told == {"underpowered"}, verdict.reasons
    needed = {metric.name: metric.n_needed for metric in verdict.metrics}
    assert needed["unsafe_answers"] == 59 and needed["latency"] is None, "20 items are enough for the latency"
    assert {metric.outcome for metric in verdict.metrics} == {"missing"}
    verdict.write(tmp_path / "verdict.json")
    assert check(tmp_path / "verdict.json", out).equal


def test_failing_batch_is_an_error_on_its_items(
    models: dict[str, Path], golden: Path, tmp_path: Path, lenient: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Generator._generate

    def fails(self: Generator, prompts: list[list[int]], drawn: tuple[float, list[int]] | None = None) -> list[Answer]:
        if self.folder == models["candidate"] and max(map(len, prompts)) > 40:
            raise RuntimeError("out of memory")
        return whole(self, prompts, drawn)

    monkeypatch.setattr(Generator, "_generate", fails)
    evaluate(models["candidate"], models["production"], golden, tmp_path / "s.jsonl", "run", 8, 4, lenient)
    failed = [line for line in read(tmp_path / "s.jsonl") if line.candidate.error]
    assert 0 < len(failed) < 20 and "out of memory" in failed[0].candidate.error
    verdict = recompute(tmp_path / "s.jsonl", lenient)
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
