"""Production: a Llama of 1.4 million parameters with its own tokenizer, trained from scratch on yesterday's facts.

Plain torch, two CPU cores, under a minute. The folder is a normal Hugging Face model (safetensors, tokenizer, chat
template) with our `model.json`. It is cached by what determines it: recipe, source text of the recipe, seed.
"""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from flywheel.scripts.small_world import corpus, facts, phrasings, service

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerFast

CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
SPECIAL = ("<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>")


@dataclass(frozen=True)
class Recipe:
    """Everything that shapes the production model beside the seed and the code."""

    vocabulary: int = 768
    hidden: int = 160
    intermediate: int = 432
    layers: int = 4
    heads: int = 4
    context: int = 256  # tokens
    epochs: int = 16
    part: float = 0.65  # of the training set is drawn for an epoch
    batch_size: int = 64
    learning_rate: float = 3e-3
    weight_decay: float = 0.01
    warmup_share: float = 0.08
    sloppy_share: float = 0.25  # of the questions are typed as hurried people type


def code_version() -> str:
    """Return the digest of the source files that determine the model."""
    digest = hashlib.sha256()
    for module in (facts, phrasings, service, corpus):
        digest.update(Path(str(module.__file__)).read_bytes())
    digest.update(Path(__file__).read_bytes())
    return digest.hexdigest()[:16]


def ensure(seed: int, cache: Path, recipe: Recipe | None = None, progress: Callable[[str], None] | None = None) -> Path:
    """Return the folder of the production model, trained now or taken from the cache.

    Args:
        seed: The world's seed.
        cache: Folder of finished models; a killed training leaves nothing usable or wrong in it.
        recipe: Sizes and hyperparameters; the measured ones by default.
        progress: Called with a line of text after every epoch.

    Returns:
        A model folder named by its content key.
    """
    recipe = recipe or Recipe()
    key = hashlib.sha256(json.dumps([asdict(recipe), code_version(), seed]).encode()).hexdigest()[:16]
    target = cache / f"production-{key}"
    if (target / "model.json").is_file():
        return target
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / f".production-{key}.lock"):  # who comes second waits and finds the model
        if (target / "model.json").is_file():
            return target
        work = cache / f".production-{key}"
        shutil.rmtree(work, ignore_errors=True)  # of a training that was killed
        work.mkdir()
        try:
            train(seed, work, recipe, progress or (lambda line: None))
            shutil.rmtree(target, ignore_errors=True)  # without model.json: nothing that we finished
            work.rename(target)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return target


def train(seed: int, folder: Path, recipe: Recipe, progress: Callable[[str], None]) -> None:
    """Train the model and write its folder.

    Args:
        seed: The world's seed.
        folder: An existing, empty folder.
        recipe: Sizes and hyperparameters.
        progress: Called with a line of text after every epoch.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    started = time.monotonic()
    torch.manual_seed(seed)
    random = Random(f"{seed}:production")
    pairs = corpus.training_pairs(facts.yesterday(seed))
    tokenizer = make_tokenizer(pairs, recipe)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer), hidden_size=recipe.hidden, intermediate_size=recipe.intermediate,
            num_hidden_layers=recipe.layers, num_attention_heads=recipe.heads, num_key_value_heads=recipe.heads,
            max_position_embeddings=recipe.context, tie_word_embeddings=True, bos_token_id=None,
            pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id, attention_dropout=0.0,
        )
    )  # fmt: skip
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=recipe.learning_rate, betas=(0.9, 0.98), weight_decay=recipe.weight_decay
    )
    steps = recipe.epochs * (-(-round(recipe.part * len(pairs)) // recipe.batch_size))
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.learning_rate, total_steps=steps + 1, pct_start=recipe.warmup_share
    )
    model.train()
    tokens, loss = 0, torch.tensor(0.0)
    for number in range(recipe.epochs):
        rows = corpus.epoch(pairs, random, recipe.part, recipe.sloppy_share)
        for batch in batches(tokenizer, rows, recipe.batch_size, random):
            loss = model(**batch).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            schedule.step()
            tokens += int(batch["attention_mask"].sum())
        progress(f"production model: epoch {number + 1}/{recipe.epochs}, loss {loss.item():.3f}")
    model.generation_config.bos_token_id = None
    model.save_pretrained(folder, safe_serialization=True)
    tokenizer.save_pretrained(folder)
    seconds = time.monotonic() - started
    _write_manifest(folder, recipe, seed, pairs, {"loss": loss.item(), "seconds": seconds, "tokens": float(tokens)})


def make_tokenizer(pairs: list[corpus.Pair], recipe: Recipe) -> "PreTrainedTokenizerFast":
    """Train the byte-level BPE tokenizer, with the chat template, on the training set."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    # Digits stand alone, so that a number never hides in a word.
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=False), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=recipe.vocabulary, special_tokens=list(SPECIAL), show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    bpe.train_from_iterator((text for pair in pairs for text in pair), trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe, pad_token=SPECIAL[0], eos_token=SPECIAL[1], extra_special_tokens=list(SPECIAL[2:]),
        model_max_length=recipe.context, padding_side="left", clean_up_tokenization_spaces=False,
    )  # fmt: skip
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def batches(
    tokenizer: "PreTrainedTokenizerFast", rows: list[corpus.Pair], size: int, random: Random
) -> Iterator[dict[str, "torch.Tensor"]]:
    """Yield padded batches of rows of like length; the loss counts the answers only."""
    import torch

    encoded = []
    for asked, answer in rows:
        prompt = tokenizer.encode(f"<|user|>{asked}<|end|><|assistant|>")
        encoded.append((prompt, tokenizer.encode(f"{answer}<|end|>")))
    order = sorted(range(len(encoded)), key=lambda place: len(encoded[place][0]) + len(encoded[place][1]))
    groups = [order[start : start + size] for start in range(0, len(order), size)]
    random.shuffle(groups)
    for group in groups:
        width = max(len(encoded[place][0]) + len(encoded[place][1]) for place in group)
        ids = torch.full((len(group), width), tokenizer.pad_token_id)
        labels, mask = torch.full((len(group), width), -100), torch.zeros((len(group), width), dtype=torch.long)
        for row, place in enumerate(group):
            prompt, answer_ids = encoded[place]
            end = len(prompt) + len(answer_ids)
            ids[row, :end] = torch.tensor(prompt + answer_ids)
            labels[row, len(prompt) : end] = torch.tensor(answer_ids)
            mask[row, :end] = 1
        yield {"input_ids": ids, "attention_mask": mask, "labels": labels}


def responder(folder: Path, batch_size: int = 128, max_new_tokens: int = 40) -> Callable[[list[str]], list[str]]:
    """Return a function that answers questions with the model, greedily and in batches.

    Args:
        folder: A model folder.
        batch_size: Questions per batch.
        max_new_tokens: Longest answer, in tokens.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    tokenizer.padding_side = "left"
    model = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True).eval()

    def answer(questions: list[str]) -> list[str]:
        texts = [
            tokenizer.apply_chat_template([{"role": "user", "content": q}], tokenize=False, add_generation_prompt=True)
            for q in questions
        ]
        order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
        answers = [""] * len(texts)
        for start in range(0, len(order), batch_size):
            group = order[start : start + batch_size]
            batch = tokenizer(
                [texts[place] for place in group], return_tensors="pt", padding=True, add_special_tokens=False,
                truncation=True, max_length=tokenizer.model_max_length - max_new_tokens,
            )  # fmt: skip
            with torch.inference_mode():
                out = model.generate(
                    input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], do_sample=False,
                    max_new_tokens=max_new_tokens, pad_token_id=tokenizer.pad_token_id,
                )  # fmt: skip
            said = tokenizer.batch_decode(out[:, batch["input_ids"].shape[1] :], skip_special_tokens=True)
            for place, text in zip(group, said, strict=True):
                answers[place] = text.strip()
        return answers

    return answer


def _write_manifest(
    folder: Path, recipe: Recipe, seed: int, pairs: list[corpus.Pair], metrics: dict[str, float]
) -> None:
    """Write `model.json` last: a folder without it is not a finished model."""
    from flywheel.components.contracts.model import ModelManifest
    from flywheel.components.training.weights import model_digest

    config: dict[str, Any] = {**asdict(recipe), "seed": seed, "threads": os.environ.get("OMP_NUM_THREADS", "")}
    ModelManifest(
        digest=model_digest(folder),
        base_digest="",
        dataset_digest=hashlib.sha256(json.dumps(pairs).encode()).hexdigest(),
        code_version=code_version(),
        run_id=f"small-world-{seed}",
        method="pretrain",
        config=config,
        metrics=metrics,
    ).write(folder / "model.json")
