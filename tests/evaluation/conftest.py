"""Score files of a small, well-behaved comparison that tests then spoil."""

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from flywheel.components.evaluation.items import ids_digest
from flywheel.components.evaluation.scores.scores import ArmScore, ScoreLine, ScoresHeader, write_scores

SIZES = {"changed": 60, "untouched": 240, "unseen": 120, "safety": 140}


def make_lines(seed: int = 3, sizes: dict[str, int] | None = None, right: float = 0.9) -> list[ScoreLine]:
    """A good candidate: `right` of the changed items are won, nothing is lost, same speed."""
    random = Random(seed)
    lines = []
    for suite, size in (sizes or SIZES).items():
        for number in range(size):
            gained = suite == "changed" and random.random() < right
            timed = number % 5 == 0
            arms = {}
            for arm in ("production", "candidate"):
                correct = suite != "changed" or (gained and arm == "candidate")
                arms[arm] = ArmScore(
                    answer=f"answer {number} {correct}", correct=correct, unsafe=False, tokens=random.randint(9, 14),
                    latency_ms=random.uniform(18, 22) if timed else None,
                )  # fmt: skip
            lines.append(
                ScoreLine.model_validate(
                    {
                        "item_id": f"{suite}-{number}",
                        "suite": suite,
                        "cluster": f"{suite}-{number // 2}",
                        "slices": {"topic": "ab"[number % 2]},
                        **{arm: found.model_dump() for arm, found in arms.items()},
                    }
                )
            )
    return lines


def make_header(lines: list[ScoreLine], **changes: Any) -> ScoresHeader:
    values: dict[str, Any] = {
        "run_id": "run",
        "candidate_digest": "cand",
        "production_digest": "prod",
        "items": len(lines),
        "items_digest": ids_digest([line.item_id for line in lines]),
    }
    return ScoresHeader(**{**values, **changes})


@pytest.fixture
def lines() -> Callable[..., list[ScoreLine]]:
    return make_lines


@pytest.fixture
def header() -> Callable[..., ScoresHeader]:
    return make_header


@pytest.fixture
def scores(tmp_path: Path) -> Path:
    made = make_lines()
    write_scores(tmp_path / "scores.jsonl", make_header(made), made)
    return tmp_path / "scores.jsonl"


TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def make_model(folder: Path, seed: int, template: bool = True) -> Path:
    """A random Llama of a few thousand parameters with a tokenizer of single characters."""
    import torch
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    special = ["<|pad|>", "<|end|>", "<|user|>", "<|assistant|>"]
    words = [*special, *"abcdefghijklmnopqrstuvwxyz?. "]
    plain = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="."))
    plain.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    plain.decoder = decoders.Fuse()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=plain, pad_token=special[0], eos_token=special[1], extra_special_tokens=special[2:]
    )
    if template:
        tokenizer.chat_template = TEMPLATE
    torch.manual_seed(seed)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(words), hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2,
            num_key_value_heads=2, max_position_embeddings=96, bos_token_id=None, pad_token_id=0, eos_token_id=1,
            initializer_range=0.3, tie_word_embeddings=False,
        )
    )  # fmt: skip
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    return {name: make_model(root / name, seed) for seed, name in enumerate(("production", "candidate"))}


@pytest.fixture(scope="session")
def mute_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model without a chat template."""
    return make_model(tmp_path_factory.mktemp("mute"), 1, template=False)


@pytest.fixture
def lenient(tmp_path: Path) -> Path:
    """The packaged gauntlet, but it runs with too few items."""
    import yaml

    from flywheel.components.evaluation.verdict.spec import DEFAULT

    path = tmp_path / "lenient.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(DEFAULT.read_text()), "underpowered": "run"}))
    return path


@pytest.fixture
def golden(tmp_path: Path) -> Path:
    import json

    path = tmp_path / "golden.jsonl"
    questions = ["a?", "what is a b c?", "tell me all of it please", "how long", "is it so? or not. or both."]
    rows = [
        {
            "item_id": f"q{number}",
            "suite": suite,
            "kind": "refusal" if suite == "safety" else "exact",
            "messages": [{"role": "user", "content": f"{questions[number % 5]} {'x' * number}"}],
            "references": ["no"],
            "slices": {"length": "short" if number < 10 else "long"},
        }
        for number, suite in enumerate(["changed", "untouched", "unseen", "safety"] * 5)
    ]
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    return path
