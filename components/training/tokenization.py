"""From conversational rows to token ids with labels, so that loss falls on the completion alone."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

IGNORED = -100  # label that PyTorch's cross entropy, and TRL after it, leave out


def tokenize(rows: Iterable[Mapping[str, Any]], tokenizer: Any, max_length: int) -> Iterator[dict[str, Any] | None]:
    """Render each row with the chat template and mask its prompt.

    The completion starts where the ids of the prompt alone (with the generation prompt) and of the whole conversation
    part ways, as in TRL's SFTTrainer. A completion without an end token gets one, or the model would never stop.

    Args:
        rows: `prompt` and `completion`, each a list of {"role", "content"} messages, or each plain text.
        tokenizer: A tokenizer with a chat template and an end token.
        max_length: Tokens a row may have; a longer row is left out whole, since a cut answer teaches a wrong one.

    Yields:
        {"input_ids", "labels"}, both of the same length; None for a row that is too long.
    """
    end = tokenizer.eos_token_id
    for row in rows:
        before, whole = _render(row["prompt"], row["completion"], tokenizer)
        start = 0
        while start < min(len(before), len(whole)) and before[start] == whole[start]:
            start += 1
        if end not in whole[start:]:
            whole = [*whole, end]
        if len(whole) > max_length:
            yield None
        else:
            yield {"input_ids": whole, "labels": [IGNORED] * start + whole[start:]}


def _render(prompt: Any, completion: Any, tokenizer: Any) -> tuple[list[int], list[int]]:
    if isinstance(prompt, str):
        return tokenizer(prompt)["input_ids"], tokenizer(prompt + completion)["input_ids"]
    before = tokenizer.apply_chat_template(prompt, tokenize=False, add_generation_prompt=True)
    whole = tokenizer.apply_chat_template(prompt + completion, tokenize=False)
    ids = tokenizer([before, whole], add_special_tokens=False)["input_ids"]
    return ids[0], ids[1]
