"""Write the training pairs and the rated answers as one folder per trainer, each read by `datasets.load_dataset`.

A format without rows is a file with columns; `load_dataset` itself refuses data without rows, so look at the counts
first.
"""

import os
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from flywheel.components.contracts.lineage import RowCounts
from flywheel.components.dataset.preference_formats import evaluation_guard, shapes

FILE = "train.parquet"
_PAIR_COLUMNS = (
    "pair_id", "prompt", "chosen", "rejected", "evidence", "evidence_ids", "support", "weight", "candidate_id",
    "group_id",
)  # fmt: skip
_RATED_COLUMNS = (
    "answer_id", "prompt", "completion", "label", "evidence_ids", "support", "weight", "group_id",
)  # fmt: skip


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        rows: Pairs and rated answers in, and what became of them.
        written: Rows by format.
        details: Balance of KTO, evidence, reasons.
    """

    rows: RowCounts
    written: dict[str, int]
    details: dict[str, Any]


def export(preferences: str, rated: str, evaluation: str, dpo: str, kto: str, reward: str) -> Exported:
    """Write the three datasets.

    Args:
        preferences: Folder of the training pairs of `assemble_dataset`.
        rated: Parquet file of rated answers of `mine_preferences`.
        evaluation: JSON lines of evaluation items of `assemble_dataset`.
        dpo: Folder to write for DPOTrainer.
        kto: Folder to write for KTOTrainer.
        reward: Folder to write for RewardTrainer.

    Raises:
        FileNotFoundError: An input does not exist.
        ValueError: An input is not what the step before writes; the message says what is missing.
    """
    items = evaluation_guard.read_items(evaluation)
    pairs, answers = _pairs(preferences), _rated(rated)
    left_out: Counter[str] = Counter()
    texts = [turn["content"] for pair in pairs for side in ("chosen", "rejected") for turn in pair[side]]
    texts += [answer["completion"] for answer in answers]
    kept = evaluation_guard.apart(pairs, items, left_out, texts)
    alone = evaluation_guard.apart(answers, items, left_out, texts)
    kto_rows, there, both = shapes.kto_rows(kept, alone)
    _write(shapes.dpo_rows(kept), shapes.DPO, dpo)
    _write(shapes.reward_rows(kept), shapes.REWARD, reward)
    _write(kto_rows, shapes.KTO, kto)
    return Exported(
        rows=RowCounts(
            rows_in=len(pairs) + len(answers),
            accepted=len(kept) + len(alone) - there,
            duplicates=there,
            quarantined=dict(sorted(left_out.items())),
        ),
        written={"dpo": len(kept), "reward": len(kept), "kto": len(kto_rows)},
        details={
            "kto_balance": shapes.balance(kto_rows),
            "kto_answers_with_both_labels": both,
            "evidence": dict(sorted(Counter(pair["evidence"] for pair in kept).items())),
            "left_out": dict(sorted(left_out.items())),
        },
    )


def _pairs(folder: str) -> list[dict[str, Any]]:
    from datasets import Dataset, load_from_disk

    if not Path(folder).is_dir():
        raise FileNotFoundError(f"preference pairs {folder}: no such folder; run assemble_dataset first")
    found = load_from_disk(folder)
    if not isinstance(found, Dataset):
        raise ValueError(f"preference pairs {folder} hold several splits; give the training one")
    missing = set(_PAIR_COLUMNS) - set(found.column_names)
    if missing:
        raise ValueError(f"preference pairs {folder} lack {sorted(missing)}; run assemble_dataset of this version")
    return list(found.to_list())


def _rated(path: str) -> list[dict[str, Any]]:
    if not Path(path).is_file():
        raise FileNotFoundError(f"rated answers {path}: no such file; run mine_preferences first")
    missing = set(_RATED_COLUMNS) - set(pq.read_schema(path).names)
    if missing:
        raise ValueError(f"rated answers {path} lack {sorted(missing)}; give the `rated` output of mine_preferences")
    return list(pq.read_table(path, columns=list(_RATED_COLUMNS)).to_pylist())


def _write(rows: list[dict[str, Any]], schema: pa.Schema, folder: str) -> None:
    """Write a folder so that a reader sees the old one or the whole new one."""
    target = Path(folder)
    target.parent.mkdir(parents=True, exist_ok=True)
    staged = target.with_name(f".{target.name}.new-{os.getpid()}")
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir()
    with pq.ParquetWriter(staged / FILE, schema) as writer:
        if rows:  # datasets cannot read a row group without rows
            writer.write_table(pa.Table.from_pylist(rows, schema=schema))
    if target.is_dir():
        shutil.rmtree(target)
    staged.replace(target)
