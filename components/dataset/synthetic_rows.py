"""Which synthetic rows train: those whose parent trains, that ask nothing which evaluates, up to a share."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flywheel.components.curation.synthetic.rows import ORIGIN, SyntheticRow
from flywheel.components.dataset.blend import rank
from flywheel.components.dataset.prompts import parse_messages, prompt_key
from flywheel.components.dataset.trl_shapes import answer

NOT_TRAINING = "parent_not_training"  # held out for evaluation, left out, or of another run
EVALUATED = "evaluation_prompt"
KNOWN = "duplicate"  # a correction or another synthetic row asks the same
BEYOND_SHARE = "beyond_share"


@dataclass(frozen=True)
class Synthetic:
    """Rows read = rows that train + left out."""

    read: int
    rows: list[dict[str, Any]]
    left_out: dict[str, int]


def training_rows(
    found: Sequence[SyntheticRow],
    unit_of_training: Mapping[str, str],
    held_out: Collection[str],
    evaluation_keys: Collection[str],
    known_keys: Collection[str],
    max_share: float,
    seed: int,
) -> Synthetic:
    """Choose the synthetic rows that train and render them in TRL's shape.

    A row carries the candidate id and the unit of its parent, so whatever takes the parent out takes it out as well.

    Args:
        found: Synthetic rows of `expand_thin_clusters`.
        unit_of_training: Candidate id of every correction that trains -> its unit of the split.
        held_out: Units that evaluate.
        evaluation_keys: Questions of all evaluation items.
        known_keys: Questions of all corrections.
        max_share: Greatest share of synthetic rows among corrections and synthetic rows, 0 to below 1.
        seed: Of the choice when there are too many.

    Returns:
        Rows in the columns of `trl_shapes.SFT_COLUMNS` with source `synthetic`.

    Raises:
        ValueError: The share is not in [0, 1), or a row's messages cannot be read.
    """
    if not 0 <= max_share < 1:
        raise ValueError(f"synthetic_share is {max_share}; give a share from 0 to below 1")
    left_out: Counter[str] = Counter()
    rows: dict[str, dict[str, Any]] = {}
    for item in sorted(found, key=lambda item: rank(item.synthetic_id, seed, ORIGIN)):
        messages = parse_messages(item.messages)
        key, unit = prompt_key(messages), unit_of_training.get(item.parent_id)
        if unit is None or unit in held_out:
            left_out[NOT_TRAINING] += 1
        elif key in evaluation_keys:
            left_out[EVALUATED] += 1
        elif key in known_keys or key in rows:
            left_out[KNOWN] += 1
        elif len(rows) >= int(max_share / (1 - max_share) * len(unit_of_training)):
            left_out[BEYOND_SHARE] += 1
        else:
            rows[key] = {
                "prompt": [{"role": message.role, "content": message.content} for message in messages],
                "completion": answer(item.completion),
                "source": ORIGIN,
                "group_id": unit,
                "candidate_id": item.parent_id,
            }
    return Synthetic(len(found), list(rows.values()), dict(sorted(left_out.items())))
