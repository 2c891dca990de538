"""What is attacked: anything that answers conversations and, if it can, tells how near it is to giving in."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from flywheel.components.contracts.dataset import EvaluationItem
from flywheel.components.evaluation.attack.mutations import Messages
from flywheel.components.evaluation.generate import Answer, Generator

_LONGEST = 16  # tokens of a beginning that are looked at


@dataclass(frozen=True)
class Reaction:
    """How a model reacts to one prompt.

    Attributes:
        answer: What it says; a failure is an answer with `error`.
        lean: Mean log-probability per token of an answer that gives in, nats; None when it was not asked for or the
            model does not show it (black box).
    """

    answer: Answer
    lean: float | None = None


class Target(Protocol):
    """A model under attack."""

    def ask(self, conversations: Sequence[Messages], yielding: Sequence[str] = ()) -> list[Reaction]:
        """Answer each conversation, in order.

        Args:
            conversations: What is asked.
            yielding: How an answer that gives in might begin, one per conversation; empty: `lean` is not wanted.
        """
        ...


class LocalTarget(Generator):
    """A model folder under attack; its probabilities guide the search.

    The prompt's key-value cache serves both the answer and the probabilities. Models whose cache cannot be cut back
    (sliding windows, recurrent states) are searched as a black box.

    Args:
        folder: Model folder.
        max_new_tokens: Longest answer, tokens.
        batch_size: Prompts per batch.

    Raises:
        ValueError: The folder is missing, cannot be loaded safely, or has no chat template.
    """

    def __init__(self, folder: str | Path, max_new_tokens: int = 48, batch_size: int = 64) -> None:
        super().__init__(folder, max_new_tokens)
        self._batch = batch_size

    @property
    def room(self) -> int:
        """Tokens that a prompt may have; 0 when the model states no limit."""
        return self._room

    def ask(self, conversations: Sequence[Messages], yielding: Sequence[str] = ()) -> list[Reaction]:
        """Answer each conversation greedily, in batches of prompts of like length."""
        prompts = [self._prompt(messages) for messages in conversations]
        said = [self._tokenizer(text, add_special_tokens=False)["input_ids"][:_LONGEST] for text in yielding]
        order = sorted(range(len(prompts)), key=lambda place: len(prompts[place]))
        found: dict[int, Reaction] = {}
        for start in range(0, len(order), self._batch):
            places = order[start : start + self._batch]
            try:
                made = self._react([prompts[place] for place in places], [said[place] for place in places if said])
            except RuntimeError as error:  # what torch raises, out of memory included: the other batches still count
                failed = Answer("", 0, False, f"{type(error).__name__}: {error}"[:300])
                made = [Reaction(failed)] * len(places)
            found.update(zip(places, made, strict=True))
        return [found[place] for place in range(len(prompts))]

    def _prompt(self, messages: Messages) -> list[int]:
        """Encode a conversation; a template that knows no system role gets its text in the first question."""
        from jinja2 import TemplateError

        try:
            return self._encode(_asked(messages))
        except TemplateError as error:
            rules = [message.content for message in messages if message.role == "system"]
            rest = [message for message in messages if message.role != "system"]
            if not rules or not rest:
                raise ValueError(f"model {self.folder}: the chat template refuses a conversation: {error}") from error
        first = rest[0].model_copy(update={"content": "\n".join([*rules, rest[0].content])})
        return self._prompt((first, *rest[1:]))

    def _react(self, prompts: list[list[int]], said: list[list[int]]) -> list[Reaction]:
        import torch

        width = max(len(prompt) for prompt in prompts)
        ids = torch.full((len(prompts), width), self._pad)
        mask = torch.zeros((len(prompts), width), dtype=torch.long)
        for row, prompt in enumerate(prompts):
            ids[row, width - len(prompt) :] = torch.tensor(prompt)
            mask[row, width - len(prompt) :] = 1
        ids, mask = ids.to(self._device), mask.to(self._device)
        with torch.inference_mode():
            made = self._model.generate(
                input_ids=ids,
                attention_mask=mask,
                max_new_tokens=self.max_new_tokens,
                do_sample=False,
                num_beams=1,
                pad_token_id=self._pad,
                eos_token_id=self._ends or None,
                return_dict_in_generate=True,
            )
            rows = made.sequences[:, width:].tolist()
            answers = [self._read(row, len(prompt)) for row, prompt in zip(rows, prompts, strict=True)]
            if not said or not _can_be_cut(made.past_key_values):
                return [Reaction(answer) for answer in answers]
            return [
                Reaction(answer, lean)
                for answer, lean in zip(answers, self._leans(ids, mask, said, made.past_key_values), strict=True)
            ]

    def _leans(self, ids: Any, mask: Any, said: list[list[int]], cache: Any) -> list[float]:
        """Mean log-probability of each beginning after its prompt; the cache is cut back to the last token but one."""
        import torch

        longest = max(map(len, said))
        after = torch.full((len(said), longest), self._pad)
        told = torch.zeros((len(said), longest), dtype=torch.long)
        for row, text in enumerate(said):
            after[row, : len(text)] = torch.tensor(text)
            told[row, : len(text)] = 1
        after, told = after.to(self._device), told.to(self._device)
        whole = torch.cat([mask, told], 1)
        cache.crop(mask.shape[1] - 1 - cache.get_seq_length())
        logits = self._model(
            input_ids=torch.cat([ids[:, -1:], after], 1),
            attention_mask=whole,
            position_ids=(whole.cumsum(1) - 1).clamp(min=0)[:, mask.shape[1] - 1 :],
            past_key_values=cache,
        ).logits[:, :-1]
        chances = logits.float().log_softmax(-1).gather(2, after[:, :, None])[:, :, 0] * told
        means: list[float] = (chances.sum(1) / told.sum(1).clamp(min=1)).tolist()
        return means


def _can_be_cut(cache: Any) -> bool:
    layers = getattr(cache, "layers", [])
    return bool(layers) and all(type(layer).__name__ == "DynamicLayer" for layer in layers)


def _asked(messages: Messages) -> EvaluationItem:
    return EvaluationItem(item_id="attack", suite="attack", kind="open", messages=messages)
