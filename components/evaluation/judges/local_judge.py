"""Judges that work offline with what is at hand. They are weak on purpose to be honest about: people correct them.

* `overlap`: chrF of the answer against the best reference. It sees spelling, not meaning, and says nothing about a
  question without references.
* `likelihood`: how probable the answer is to a given local model, per token. It likes fluent answers that it could have
  given itself, right or wrong; never judge with one of the two models under comparison.

Source: Popović (2015), W15-3049 (chrF).
"""

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flywheel.components.evaluation.judges.judge import Comparison, Judgement
from flywheel.components.evaluation.scores.scorers import normalise

_ORDER = 6  # longest character n-gram of chrF
_BETA = 2.0  # recall weighs twice as much as precision


class OverlapJudge:
    """Scores answers by their chrF with the references, in [0, 1]."""

    identity = f"overlap/1 (chrF{_BETA:g}, n {_ORDER})"

    def judge(self, comparisons: Sequence[Comparison]) -> list[Judgement]:
        """Score both answers of each pair; a question without references is a failure."""
        return [
            Judgement(
                candidate=max(chrf(pair.candidate, reference) for reference in pair.references),
                production=max(chrf(pair.production, reference) for reference in pair.references),
            )
            if pair.references
            else Judgement(failure="the overlap judge needs a reference answer, and this item has none")
            for pair in comparisons
        ]


def chrf(answer: str, reference: str) -> float:
    """Character n-gram F-score of two texts after normalisation.

    Args:
        answer: What was said.
        reference: What should have been said.

    Returns:
        chrF with n-grams up to 6 and beta 2, in [0, 1]; 1 only for equal texts (spaces apart), 0 when nothing is
        shared.
    """
    said, known = (normalise(text).replace(" ", "") for text in (answer, reference))
    precisions, recalls = [], []
    for length in range(1, _ORDER + 1):
        mine, theirs = _grams(said, length), _grams(known, length)
        if not mine and not theirs:
            break
        shared = sum((mine & theirs).values())
        precisions.append(shared / max(1, sum(mine.values())))
        recalls.append(shared / max(1, sum(theirs.values())))
    if not precisions:
        return 1.0 if said == known else 0.0
    precision, recall = sum(precisions) / len(precisions), sum(recalls) / len(recalls)
    total = _BETA**2 * precision + recall
    return (1 + _BETA**2) * precision * recall / total if total else 0.0


def _grams(text: str, length: int) -> Counter[str]:
    return Counter(text[start : start + length] for start in range(len(text) - length + 1))


class LikelihoodJudge:
    """Scores answers by their geometric mean token probability under a local model, in [0, 1].

    Args:
        folder: Model folder: safetensors, config and a tokenizer with a chat template.
        batch_size: Answers per batch.

    Raises:
        ValueError: The folder is missing, cannot be loaded safely, or has no chat template.
    """

    def __init__(self, folder: str | Path, batch_size: int = 32) -> None:
        from flywheel.components.preflight.model_folder import check_model_folder
        from flywheel.components.training.weights import model_digest

        check_model_folder(folder)
        from transformers import AutoModelForCausalLM, AutoTokenizer

        safe = {"trust_remote_code": False, "local_files_only": True}
        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, **safe)
            model: Any = AutoModelForCausalLM.from_pretrained(folder, use_safetensors=True, dtype="auto", **safe)
        except (ValueError, OSError, KeyError) as error:
            raise ValueError(f"judge model {folder} cannot be loaded: {error}") from error
        if not self._tokenizer.chat_template:
            raise ValueError(f"judge model {folder}: the tokenizer has no chat template")
        self._model = model.eval()
        self._batch = batch_size
        self._context = int(getattr(model.config, "max_position_embeddings", 0) or 0)
        self.digest = model_digest(folder)
        self.identity = f"likelihood/1 of model {self.digest[:16]}"

    def judge(self, comparisons: Sequence[Comparison]) -> list[Judgement]:
        """Score both answers of each pair; an empty answer scores 0."""
        asked = [(pair, text) for pair in comparisons for text in (pair.candidate, pair.production)]
        scores: list[float] = []
        for start in range(0, len(asked), self._batch):
            scores += self._likelihood(asked[start : start + self._batch])
        return [Judgement(candidate=scores[2 * n], production=scores[2 * n + 1]) for n in range(len(comparisons))]

    def _likelihood(self, asked: Sequence[tuple[Comparison, str]]) -> list[float]:
        import torch

        rows, starts = [], []
        for pair, text in asked:
            chat = [message.model_dump() for message in pair.messages]
            prompt = self._tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
            question = self._tokenizer(prompt, add_special_tokens=False)["input_ids"]
            answer = self._tokenizer(text, add_special_tokens=False)["input_ids"] if text.strip() else []
            room = max(1, self._context - len(answer)) if self._context else len(question)
            rows.append([*question[-room:], *answer][: self._context or None])
            starts.append(min(len(question), room))
        width = max(map(len, rows))
        ids, mask = torch.zeros((len(rows), width), dtype=torch.long), torch.zeros((len(rows), width), dtype=torch.long)
        for place, row in enumerate(rows):
            ids[place, : len(row)], mask[place, : len(row)] = torch.tensor(row), 1
        with torch.inference_mode():
            logits = self._model(input_ids=ids, attention_mask=mask).logits.float()
        chances = torch.log_softmax(logits[:, :-1], dim=-1).gather(2, ids[:, 1:, None])[..., 0]
        return [
            math.exp(float(chances[place, start - 1 : len(row) - 1].mean())) if len(row) > start else 0.0
            for place, (row, start) in enumerate(zip(rows, starts, strict=True))
        ]
