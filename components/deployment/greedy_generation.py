"""Load a causal language model from a folder and answer batches of chats greedily on the CPU."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


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
        except (ValueError, OSError, KeyError) as error:
            raise ValueError(f"{path} cannot be served: {error}") from error
        if not self._tokenizer.chat_template:
            raise ValueError(f"{path}: the tokenizer has no chat template, so messages cannot become a prompt")
        if self._tokenizer.pad_token_id is None:
            if self._tokenizer.eos_token_id is None:
                raise ValueError(f"{path}: the tokenizer has neither a padding nor an end-of-text token")
            self._tokenizer.pad_token = self._tokenizer.eos_token
        self._max_new_tokens = max_new_tokens
        self._context = int(getattr(self._model.config, "max_position_embeddings", 0) or 0)

    def answer(self, chats: Sequence[Sequence[dict[str, str]]]) -> list[Answer]:
        """Answer a batch of chats.

        Args:
            chats: Chats in the OpenAI message shape. A prompt longer than the context window is cut at its start.

        Returns:
            One answer per chat, in order.
        """
        import torch

        limit = self._context - self._max_new_tokens
        encoded = self._tokenizer.apply_chat_template(
            [list(chat) for chat in chats],
            add_generation_prompt=True,
            padding=True,
            truncation=limit > 0,
            max_length=limit if limit > 0 else None,
            return_tensors="pt",
            return_dict=True,
        )
        prompt, mask = encoded["input_ids"], encoded["attention_mask"]
        with torch.inference_mode():
            output = self._model.generate(
                input_ids=prompt,
                attention_mask=mask,
                max_new_tokens=self._max_new_tokens,
                do_sample=False,
                pad_token_id=self._tokenizer.pad_token_id,
            )
        fresh = output[:, prompt.shape[1] :]
        texts = self._tokenizer.batch_decode(fresh, skip_special_tokens=True)
        lengths = (fresh != self._tokenizer.pad_token_id).sum(dim=1).tolist()
        return [
            Answer(text.strip(), int(before), int(after), int(after) < self._max_new_tokens)
            for text, before, after in zip(texts, mask.sum(dim=1).tolist(), lengths, strict=True)
        ]
