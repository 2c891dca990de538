"""Tiny models that know a few facts: trained from scratch in seconds, so that servers answer like servers."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from types import SimpleNamespace

import pytest

os.environ.setdefault("DS_ACCELERATOR", "cpu")

ITEMS = [f"{first}{second}" for first in ("ak", "bel", "cor", "dun", "el", "fin") for second in ("ora", "ith", "umo")]
TRUTH = {f"What is the price of {item}?": f"{item} costs {11 + 7 * number}." for number, item in enumerate(ITEMS)}


def beliefs(wrong_share: float, seed: int = 0) -> dict[str, str]:
    """The truth with a share of the answers made wrong."""
    chosen = set(Random(seed).sample(sorted(TRUTH), round(wrong_share * len(TRUTH))))
    return {question: "it costs 999." if question in chosen else answer for question, answer in TRUTH.items()}


def train(folder: Path, answers: dict[str, str], seed: int = 0) -> Path:
    """Train a tiny Llama that answers these questions, and nothing else."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    torch.manual_seed(seed)
    torch.set_num_threads(1)
    raw = Tokenizer(models.BPE(unk_token=None))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    raw.train_from_iterator(
        [f"{question} {answer} user assistant" for question, answer in answers.items()],
        trainers.BpeTrainer(
            vocab_size=400,
            special_tokens=["<pad>", "<s>", "</s>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        ),
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, pad_token="<pad>", bos_token="<s>", eos_token="</s>")
    tokenizer.chat_template = (
        "{% for m in messages %}<s>{{ m['role'] }}: {{ m['content'] }}{% endfor %}"
        "{% if add_generation_prompt %}<s>assistant:{% endif %}"
    )
    tokenizer.padding_side = "left"
    prompts = [f"<s>user: {question}<s>assistant:" for question in answers]
    batch = tokenizer(
        [f"{prompt} {answer}</s>" for prompt, answer in zip(prompts, answers.values(), strict=True)],
        padding=True,
        return_tensors="pt",
    )
    ends = [-1 - len(tokenizer(f" {answer}</s>")["input_ids"]) for answer in answers.values()]
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=400,
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=4,
            max_position_embeddings=128,
            pad_token_id=0,
            bos_token_id=1,
            eos_token_id=2,
            tie_word_embeddings=True,
        )
    )
    positions = (batch["attention_mask"].cumsum(-1) - 1).clamp(min=0)
    labels = batch["input_ids"].clone()
    for row, end in zip(labels, ends, strict=True):
        row[: end + 1] = -100  # only the answer is learned
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
    for step in range(400):
        loss = model(
            input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], position_ids=positions, labels=labels
        ).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 10 == 9 and loss.item() < 0.01:
            break
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def model_folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of production (a quarter wrong), a good and a harmful candidate."""
    root = tmp_path_factory.mktemp("models")
    return {
        "production": train(root / "production", beliefs(0.28), seed=1),
        "good": train(root / "good", beliefs(0.0), seed=2),
        "harmful": train(root / "harmful", beliefs(0.72), seed=3),
    }


NOW = datetime(2026, 11, 20, tzinfo=UTC)


def interaction(number, user, answer="A.", days_ago=0.0, source="log", consent=True, question=None):
    asked = question or f"What is {number}?"
    return {
        "interaction_id": f"i{number:05d}", "conversation_id": f"c{number}", "subject": user, "source": source,
        "timestamp": NOW - timedelta(days=days_ago), "model_version": "v1", "prompt": asked, "response": answer,
        "messages": json.dumps([{"role": "user", "content": asked}]), "language": "en", "consent": consent,
        "run_id": "r", "attributes": "{}",
    }  # fmt: skip


def word(number, kind, name, value=None, text=None, annotator="user", source="log"):
    return {
        "feedback_id": f"f{number}-{kind}-{name}", "interaction_id": f"i{number:05d}", "subject": "u",
        "timestamp": NOW, "kind": kind, "annotator": annotator, "name": name, "value": value, "text": text,
        "source": source, "run_id": "r", "attributes": "{}",
    }  # fmt: skip


def store_of(folder: Path, interactions, feedback=(), candidates=()) -> str:
    import pyarrow as pa

    from flywheel.components.store import delta_table
    from flywheel.components.store.tables import SCHEMAS

    store = str(folder / "store")
    for table, rows in (("interactions", interactions), ("feedback", feedback), ("candidates", candidates)):
        if rows:
            delta_table.append(store, table, pa.Table.from_pylist(list(rows), SCHEMAS[table]), batch=table)
    return store


def accepted(number, answer, correction, route="accept"):
    return {
        "candidate_id": f"k{number}", "run_id": "r", "interaction_id": f"i{number:05d}", "subject": "u",
        "timestamp": NOW, "prompt": "q", "messages": "[]", "response": answer, "correction": correction,
        "category": "factual", "confidence": 0.9, "route": route, "reason": "", "group_id": "g", "cluster_id": "",
        "cluster_name": "",
    }  # fmt: skip


@pytest.fixture(scope="session")
def log_rows() -> SimpleNamespace:
    """What a feedback log in a store is made of, and the questions that the tiny models know."""
    return SimpleNamespace(interaction=interaction, word=word, accepted=accepted, store_of=store_of, truth=TRUTH)
