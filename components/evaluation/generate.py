"""Answer evaluation items with a causal language model: batched, from safetensors on this machine only.

An item that is answered once is answered greedily. One that is answered k times is sampled, and the random numbers
belong to the item and the number of the answer, not to the model: a token is the argmax of logits / temperature plus
Gumbel noise (Gumbel 1954; Maddison et al. 2014, arXiv:1411.0030), and both models meet the same noise. Where they
agree they say the same, so what differs between the answers is the models and not the dice.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from flywheel.components.contracts.dataset import EvaluationItem

_SMALL = 100_000_000
"""Parameters below which one CPU thread is fastest: waking others costs more than the sums they save."""


@dataclass(frozen=True)
class Answer:
    """One answer.

    Attributes:
        text: The answer without special tokens, stripped.
        tokens: Tokens generated, the end token included.
        truncated: Whether the answer was cut off at the longest allowed.
        error: Why there is no answer; such an item is never counted as passed.
        prompt_tokens: Tokens of the question as the model met it.
    """

    text: str
    tokens: int
    truncated: bool
    error: str = ""
    prompt_tokens: int = 0


class Generator:
    """A loaded model that answers items.

    Args:
        folder: Model folder: safetensors, config and a tokenizer with a chat template.
        max_new_tokens: Longest answer, tokens.

    Raises:
        ValueError: The folder is missing, cannot be loaded safely, or has no chat template.
    """

    def __init__(self, folder: str | Path, max_new_tokens: int = 48) -> None:
        from flywheel.components.preflight.model_folder import check_model_folder

        check_model_folder(folder)
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer
        from transformers.utils import logging

        logging.disable_progress_bar()
        self.folder = Path(folder)
        self.max_new_tokens = max_new_tokens
        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(
                self.folder, padding_side="left", trust_remote_code=False, local_files_only=True
            )
            self._model: Any = AutoModelForCausalLM.from_pretrained(
                self.folder, trust_remote_code=False, local_files_only=True, use_safetensors=True, dtype="auto"
            ).eval()
        except (ValueError, OSError, KeyError) as error:
            raise ValueError(f"model {self.folder} cannot be loaded: {error}") from error
        if not self._tokenizer.chat_template:
            raise ValueError(f"model {self.folder}: the tokenizer has no chat template (chat_template.jinja); add one")
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._model.to(self._device)
        if sum(weights.numel() for weights in self._model.parameters()) < _SMALL:
            torch.set_num_threads(1)
        ends = self._model.generation_config.eos_token_id
        ends = ends if ends is not None else self._tokenizer.eos_token_id
        self._ends = [ends] if isinstance(ends, int) else list(ends or [])
        pad = self._tokenizer.pad_token_id
        self._pad = pad if pad is not None else (self._ends[0] if self._ends else 0)
        context = int(getattr(self._model.config, "max_position_embeddings", 0) or 0)
        self._room = max(1, context - max_new_tokens) if context else 0

    def answer(self, items: Sequence[EvaluationItem], batch_size: int = 64) -> list[Answer]:
        """Answer items greedily, in batches of prompts of like length so that little is padded.

        Args:
            items: Items to answer.
            batch_size: Prompts per batch.

        Returns:
            One answer per item, in order.
        """
        return self._answer([self._encode(item) for item in items], batch_size)

    def sample(
        self, items: Sequence[EvaluationItem], k: int, temperature: float, seed: int, batch_size: int = 64
    ) -> list[list[Answer]]:
        """Answer every item k times at a temperature.

        Args:
            items: Items to answer.
            k: Answers per item.
            temperature: Positive; 1 samples from the model as it is, less makes it surer.
            seed: With an item's id and an answer's number it fixes the random numbers, for every model alike.
            batch_size: Prompts per batch.

        Returns:
            k answers per item, in order.
        """
        prompts = [self._encode(item) for item in items]
        dice = [_die(seed, item.item_id, number) for item in items for number in range(k)]
        answers = self._answer([prompt for prompt in prompts for _ in range(k)], batch_size, (temperature, dice))
        return [answers[place * k : (place + 1) * k] for place in range(len(items))]

    def _answer(
        self, prompts: Sequence[list[int]], batch_size: int, drawn: tuple[float, list[int]] | None = None
    ) -> list[Answer]:
        order = sorted(range(len(prompts)), key=lambda place: len(prompts[place]))
        answers: dict[int, Answer] = {}
        for start in range(0, len(order), batch_size):
            places = order[start : start + batch_size]
            dice = (drawn[0], [drawn[1][place] for place in places]) if drawn else None
            try:
                made = self._generate([prompts[place] for place in places], dice)
            except RuntimeError as error:  # what torch raises, out of memory included: the other batches still count
                made = [Answer("", 0, False, f"{type(error).__name__}: {error}"[:300])] * len(places)
            answers.update(zip(places, made, strict=True))
        return [answers[place] for place in range(len(prompts))]

    def latency_ms(self, item: EvaluationItem) -> float:
        """Answer one item alone and return how long it took, tokenization included, milliseconds."""
        started = perf_counter()
        self._generate([self._encode(item)])
        return (perf_counter() - started) * 1000

    def _encode(self, item: EvaluationItem) -> list[int]:
        messages = [message.model_dump() for message in item.messages]
        text = self._tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        ids = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids[-self._room :] if self._room else ids  # the newest words matter most

    def _generate(self, prompts: list[list[int]], drawn: tuple[float, list[int]] | None = None) -> list[Answer]:
        import torch
        from transformers import LogitsProcessorList

        width = max(len(prompt) for prompt in prompts)
        ids = torch.full((len(prompts), width), self._pad)
        mask = torch.zeros((len(prompts), width), dtype=torch.long)
        for row, prompt in enumerate(prompts):
            ids[row, width - len(prompt) :] = torch.tensor(prompt)
            mask[row, width - len(prompt) :] = 1
        with torch.inference_mode():
            output = self._model.generate(
                input_ids=ids.to(self._device),
                attention_mask=mask.to(self._device),
                max_new_tokens=self.max_new_tokens,
                do_sample=False,
                num_beams=1,
                logits_processor=LogitsProcessorList([_GumbelNoise(*drawn)] if drawn else []),
                pad_token_id=self._pad,
                eos_token_id=self._ends or None,
            )
        rows = zip(output[:, width:].tolist(), prompts, strict=True)
        return [self._read(row, len(prompt)) for row, prompt in rows]

    def _read(self, ids: list[int], prompt_tokens: int) -> Answer:
        end = next((place for place, token in enumerate(ids) if token in self._ends), None)
        kept = ids if end is None else ids[: end + 1]
        text = self._tokenizer.decode(kept, skip_special_tokens=True).strip()
        return Answer(text, len(kept), end is None and len(kept) >= self.max_new_tokens, "", prompt_tokens)


class _GumbelNoise:
    """Turns the argmax that greedy decoding takes into a sample at a temperature.

    Args:
        temperature: Positive.
        dice: Seed of each row of the batch; a row's noise depends on nothing else, so batches leave no trace.
    """

    def __init__(self, temperature: float, dice: list[int]) -> None:
        import torch

        self._temperature = temperature
        self._generators = [torch.Generator().manual_seed(die) for die in dice]  # on the CPU: the same on any device

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        import torch

        draws = torch.stack([torch.rand(scores.shape[-1], generator=one) for one in self._generators])
        tiny = torch.finfo(draws.dtype).tiny
        exponential = (-torch.log(draws.clamp(min=tiny))).clamp(min=tiny)
        noise = -torch.log(exponential)
        return scores.float() / self._temperature + noise.to(scores.device)


def _die(seed: int, item_id: str, number: int) -> int:
    digest = hashlib.sha256(f"{seed}:{number}:{item_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
