"""Rows in the shapes of TRL's preference trainers, with columns that say where each row is from.

Shapes: https://huggingface.co/docs/trl/dataset_formats, all conversational.

* DPO: `prompt`, `chosen`, `rejected` (DPOTrainer).
* reward: `chosen` and `rejected` as whole conversations, the prompt implicit (RewardTrainer).
* KTO: `prompt`, `completion`, `label`, unpaired (KTOTrainer; Ethayarajh et al. 2024, arXiv:2402.01306).

The trainers drop columns that they do not know; a person, an audit or an erasure request needs them.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

Row = Mapping[str, Any]

_MESSAGES = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
_PROVENANCE = [
    ("source_id", pa.string()),  # pair_id or answer_id
    ("evidence", pa.string()),  # correction, votes, concise; for KTO also rated
    ("evidence_ids", pa.list_(pa.string())),
    ("support", pa.int64()),
    ("weight", pa.float64()),
    ("candidate_id", pa.string()),
    ("group_id", pa.string()),
]
DPO = pa.schema([("prompt", _MESSAGES), ("chosen", _MESSAGES), ("rejected", _MESSAGES), *_PROVENANCE])
REWARD = pa.schema([("chosen", _MESSAGES), ("rejected", _MESSAGES), *_PROVENANCE])
KTO = pa.schema([("prompt", _MESSAGES), ("completion", _MESSAGES), ("label", pa.bool_()), *_PROVENANCE])


def dpo_rows(pairs: Sequence[Row]) -> list[dict[str, Any]]:
    """Pairs with an explicit prompt."""
    return [{name: pair[name] for name in ("prompt", "chosen", "rejected")} | _origin(pair) for pair in pairs]


def reward_rows(pairs: Sequence[Row]) -> list[dict[str, Any]]:
    """Pairs of whole conversations."""
    return [{side: [*pair["prompt"], *pair[side]] for side in ("chosen", "rejected")} | _origin(pair) for pair in pairs]


def kto_rows(pairs: Sequence[Row], rated: Sequence[Row]) -> tuple[list[dict[str, Any]], int, int]:
    """Every answer of the pairs and every rated answer once, with whether it is desirable.

    Args:
        pairs: Training pairs.
        rated: Rated answers.

    Returns:
        Rows ordered by content; how many rated answers were in a pair already; how many answers were taken out because
        they are the better one here and the worse one there, which says nothing about them alone.
    """
    made: dict[tuple[str, str], dict[str, Any]] = {}
    labels: dict[tuple[str, str], set[bool]] = {}
    for pair in pairs:
        for side, label in (("chosen", True), ("rejected", False)):
            key = _key(pair["prompt"], pair[side])
            labels.setdefault(key, set()).add(label)
            row = {"prompt": pair["prompt"], "completion": pair[side], "label": label}
            made.setdefault(key, row | _origin(pair))
    there = 0
    for answer in rated:
        completion = [{"role": "assistant", "content": answer["completion"]}]
        key = _key(answer["prompt"], completion)
        there += key in made
        labels.setdefault(key, set()).add(bool(answer["label"]))
        row = {"prompt": answer["prompt"], "completion": completion, "label": bool(answer["label"])}
        made.setdefault(key, row | _origin({**answer, "pair_id": answer["answer_id"], "evidence": "rated"}))
    kept = [made[key] for key in sorted(made) if len(labels[key]) == 1]
    return kept, there, len(made) - len(kept)


def balance(rows: Sequence[Row]) -> dict[str, float | int | bool]:
    """Desirable against undesirable rows, and the weights that KTOTrainer should have.

    The paper (section 4.2) asks for ``desirable_weight * desirable`` between 1 and 4/3 times
    ``undesirable_weight * undesirable``; the rarer side gets the larger weight.
    """
    count = Counter(bool(row["label"]) for row in rows)
    good, bad = count[True], count[False]
    desirable = undesirable = 1.0
    if good and bad and not 1 <= good / bad <= 4 / 3:
        if good < bad:
            desirable = round(bad / good, 4)
        else:
            undesirable = round(good / (4 / 3 * bad), 4)
    return {
        "desirable": good,
        "undesirable": bad,
        "balanced": bool(good and bad) and desirable == undesirable == 1.0,
        "desirable_weight": desirable,
        "undesirable_weight": undesirable,
    }


def _origin(row: Row) -> dict[str, Any]:
    return {
        "source_id": row["pair_id"],
        "evidence": row["evidence"],
        "evidence_ids": list(row["evidence_ids"]),
        "support": row["support"],
        "weight": row["weight"],
        "candidate_id": row.get("candidate_id") or "",
        "group_id": row["group_id"],
    }


def _key(prompt: Sequence[Row], answer: Sequence[Row]) -> tuple[str, str]:
    said = "\n".join(f"{turn['role']}: {turn['content']}" for turn in prompt)
    return said, str(answer[0]["content"])
