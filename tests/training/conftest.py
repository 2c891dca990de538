"""A tiny model and dataset, made in a second; enough to see every property of training."""

import os
import random
from pathlib import Path
from typing import Any

import pytest

from flywheel.components.contracts.dataset import DatasetManifest, Split
from flywheel.components.dataset.rows_digest import rows_digest
from flywheel.components.dataset.trl_shapes import SFT_COLUMNS, save

os.environ["DS_ACCELERATOR"] = "cpu"
TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}"
    "{% if m['role'] == 'assistant' %}{{ eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def rows(count: int) -> list[dict[str, Any]]:
    draw = random.Random(3)
    made = []
    for number in range(count):
        thing = draw.randrange(12)
        made.append(
            {
                "prompt": [{"role": "user", "content": f"What does item {thing} cost, in shop {number}?"}],
                "completion": [{"role": "assistant", "content": f"Item {thing} costs {thing * 7} euros."}],
                "source": "correction",
                "group_id": f"g{number}",
                "candidate_id": f"c{number}",
            }
        )
    return made


def make_tokenizer(template: str | None = TEMPLATE) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<pad>", "<bos>", "<eos>", "<|user|>", "<|assistant|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = [message["content"] for row in rows(60) for part in ("prompt", "completion") for message in row[part]]
    tokenizer.train_from_iterator(texts, trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<bos>", eos_token="<eos>")
    fast.chat_template = template
    return fast


def make_model(folder: Path, template: str | None = TEMPLATE) -> Path:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(5)
    config = LlamaConfig(
        vocab_size=320,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=128,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        tie_word_embeddings=True,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    make_tokenizer(template).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("base") / "model")


def write_dataset(folder: Path, made: list[dict[str, Any]]) -> tuple[str, str]:
    save(made, SFT_COLUMNS, str(folder / "sft"))
    split = Split(path="sft", rows=len(made), digest=rows_digest(made))
    manifest = DatasetManifest(
        run_id="r",
        digest="d" * 64,
        candidates=None,
        splits={"sft": split},
        sources={"correction": len(made)},
        recipe={},
        feedback_ids=(),
    )
    manifest.write(folder / "manifest.json")
    return str(folder / "sft"), str(folder / "manifest.json")


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    return write_dataset(tmp_path_factory.mktemp("dataset"), rows(96))


@pytest.fixture(scope="session")
def new_model() -> Any:
    return make_model


@pytest.fixture(scope="session")
def new_dataset() -> Any:
    return write_dataset


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    return make_tokenizer()


@pytest.fixture(scope="session")
def plain_tokenizer() -> Any:
    return make_tokenizer(None)


@pytest.fixture(scope="session")
def some_rows() -> Any:
    return rows
