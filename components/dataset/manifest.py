"""The dataset manifest: what the splits hold, by content, and what they were made from."""

import hashlib
import os
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from flywheel.components.contracts.dataset import DatasetManifest, Split
from flywheel.components.contracts.tables import TableReference
from flywheel.components.dataset.rows_digest import rows_digest


def build_manifest(
    run_id: str,
    candidates: TableReference,
    splits: Mapping[str, tuple[str, Sequence[Mapping[str, Any]]]],
    recipe: Mapping[str, float | int | str],
    feedback_ids: Collection[str],
    leaked: Collection[str],
    manifest_path: str,
) -> DatasetManifest:
    """Describe the splits by the digests of their rows.

    Args:
        run_id: Run that assembled them.
        candidates: Table version the corrections were read from.
        splits: Name -> path and rows; "sft" is counted by source.
        recipe: Settings that shaped the splits.
        feedback_ids: Candidates that train.
        leaked: Near-duplicate groups on both sides of the split.
        manifest_path: Where the manifest will be; the splits' paths are relative to its folder.

    Returns:
        The manifest; its digest is a SHA-256 over the names and digests of the splits.

    Raises:
        ValueError: A group is on both sides: there is no manifest for a leaking split.
    """
    if leaked:
        raise ValueError(f"{len(leaked)} near-duplicate groups train and evaluate, for example {sorted(leaked)[:3]}")
    folder = Path(manifest_path).parent
    described = {
        name: Split(path=os.path.relpath(path, folder), rows=len(rows), digest=rows_digest(rows))
        for name, (path, rows) in splits.items()
    }
    whole = "".join(f"{name}\0{split.digest}\n" for name, split in sorted(described.items()))
    return DatasetManifest(
        run_id=run_id,
        digest=hashlib.sha256(whole.encode()).hexdigest(),
        candidates=candidates,
        splits=described,
        sources=dict(sorted(Counter(str(row["source"]) for row in splits["sft"][1]).items())),
        recipe=dict(recipe),
        feedback_ids=tuple(sorted(feedback_ids)),
    )
