"""Preference pairs of the training side of the split, as rows."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flywheel.components.dataset.prompts import parse_messages, prompt_key
from flywheel.components.dataset.trl_shapes import PROVENANCE, preference_row


@dataclass(frozen=True)
class Pairs:
    """Pairs in = rows + left out."""

    read: int
    rows: list[dict[str, Any]]
    left_out: dict[str, int]


def training_pairs(
    path: str,
    unit_of_candidate: Mapping[str, str],
    unit_of_group: Mapping[str, str],
    held_out: Collection[str],
    dropped: Mapping[str, str],
    evaluation_keys: Collection[str],
) -> Pairs:
    """Read pairs and keep those that no evaluation item knows.

    Args:
        path: Parquet file with prompt, chosen, rejected, candidate_id, group_id, and what it has of
            `trl_shapes.PROVENANCE`.
        unit_of_candidate: Candidate id -> unit of the split.
        unit_of_group: Near-duplicate group -> unit of the split; a group without accepted candidates has none.
        held_out: Units that evaluate.
        dropped: Candidates that do not train, with the reason.
        evaluation_keys: Questions of the evaluation items.

    Returns:
        Rows in order of their content, and what was left out by reason.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A column is missing or a pair cannot be read.
    """
    import pyarrow.parquet as pq

    if not Path(path).is_file():
        raise FileNotFoundError(f"preference pairs {path}: no such file")
    names = ["prompt", "chosen", "rejected", "candidate_id", "group_id"]
    there = set(pq.read_schema(path).names)
    missing = set(names) - there
    if missing:
        raise ValueError(f"preference pairs {path}: columns {sorted(missing)} are missing")
    left_out: Counter[str] = Counter()
    rows: dict[tuple[str, str, str], dict[str, Any]] = {}
    told = [name for name in PROVENANCE if name in there]
    pairs = pq.read_table(path, columns=names + told).to_pylist()
    for number, pair in enumerate(pairs, 1):
        try:
            messages = parse_messages(pair["prompt"])
            chosen, rejected = _text(pair["chosen"]), _text(pair["rejected"])
        except ValueError as error:
            raise ValueError(f"preference pairs {path}, row {number}: {error}") from error
        candidate, group = pair["candidate_id"] or "", pair["group_id"] or ""
        unit = unit_of_candidate.get(candidate, unit_of_group.get(group, group))
        key = prompt_key(messages)
        if unit in held_out:
            left_out["held_out"] += 1
        elif candidate in dropped:
            left_out[dropped[candidate]] += 1
        elif key in evaluation_keys:
            left_out["evaluation_prompt"] += 1
        elif (key, chosen, rejected) in rows:
            left_out["duplicate"] += 1
        else:
            origin = {name: pair[name] for name in told}
            rows[key, chosen, rejected] = preference_row(messages, chosen, rejected, candidate, unit, origin)
    return Pairs(len(pairs), [rows[name] for name in sorted(rows)], dict(left_out))


def _text(value: Any) -> str:
    """An answer may be text or a list of one message."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0].get("content"), str):
        return str(value[0]["content"])
    raise ValueError("chosen and rejected must be text or one message")
