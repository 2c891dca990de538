"""Rows in the shapes that TRL's trainers read, and Hugging Face datasets of them on disk.

Shapes: https://huggingface.co/docs/trl/dataset_formats (conversational prompt-completion and preference).
"""

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flywheel.components.dataset.corrections import Correction
from flywheel.components.dataset.prompts import Messages, as_rows
from flywheel.components.dataset.replay import ReplayRow

SFT_COLUMNS = ("prompt", "completion", "source", "group_id", "candidate_id")
PROVENANCE = {"pair_id": "", "evidence": "", "evidence_ids": [], "support": 1, "weight": 1.0}
"""Where a pair is from, with what stands for it in pairs of other origin that do not say."""
PREFERENCE_COLUMNS = ("prompt", "chosen", "rejected", "candidate_id", "group_id", *PROVENANCE)
_MESSAGES = ("prompt", "completion", "chosen", "rejected")


def answer(text: str) -> list[dict[str, str]]:
    """One assistant message."""
    return [{"role": "assistant", "content": text}]


def correction_row(item: Correction, unit: str) -> dict[str, Any]:
    """Render a correction as a prompt-completion row."""
    return {
        "prompt": as_rows(item.messages),
        "completion": answer(item.correction),
        "source": "correction",
        "group_id": unit,
        "candidate_id": item.candidate_id,
    }


def replay_row(item: ReplayRow, group: str) -> dict[str, Any]:
    """Render original data as a prompt-completion row; it has no candidate."""
    return {
        "prompt": as_rows(item.messages),
        "completion": answer(item.completion),
        "source": "replay",
        "group_id": group,
        "candidate_id": "",
    }


def preference_row(
    prompt: Messages, chosen: str, rejected: str, candidate_id: str, group_id: str, origin: Mapping[str, Any]
) -> dict[str, Any]:
    """Render a pair as a prompt-chosen-rejected row; `origin` holds what is known of `PROVENANCE`."""
    return {
        "prompt": as_rows(prompt),
        "chosen": answer(chosen),
        "rejected": answer(rejected),
        "candidate_id": candidate_id,
        "group_id": group_id,
        **{name: origin.get(name, unsaid) for name, unsaid in PROVENANCE.items()},
    }


def save(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], folder: str) -> None:
    """Write rows as a Hugging Face dataset; readers see the old folder or the whole new one.

    Args:
        rows: Rows with exactly these columns.
        columns: Column names; typed even when there is no row.
        folder: Target of `datasets.save_to_disk`; replaced when it exists.
    """
    import datasets

    text = datasets.Value("string")
    message = datasets.List({"role": text, "content": text})
    typed = {
        "evidence_ids": datasets.List(text),
        "support": datasets.Value("int64"),
        "weight": datasets.Value("float64"),
        **dict.fromkeys(_MESSAGES, message),
    }
    features = datasets.Features({name: typed.get(name, text) for name in columns})
    table = {name: [row[name] for row in rows] for name in columns}
    target = Path(folder)
    target.parent.mkdir(parents=True, exist_ok=True)
    staged = target.with_name(f".{target.name}.new-{os.getpid()}")
    shutil.rmtree(staged, ignore_errors=True)
    shown = datasets.is_progress_bar_enabled()
    datasets.disable_progress_bars()
    try:
        # Without rows datasets would write no file at all, which it cannot load again.
        shards = None if rows else 1
        datasets.Dataset.from_dict(table, features=features).save_to_disk(str(staged), num_shards=shards)
    finally:
        if shown:
            datasets.enable_progress_bars()
    if target.is_dir():
        shutil.rmtree(target)
    staged.replace(target)
