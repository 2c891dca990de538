"""Ours: one step of curation in the folder that the steps before it left; `scale_steps.py` starts them in order.

Every step is a process of its own, as in a pipeline, so that each has its own peak.
"""

import importlib
import json
import os
import sys
from pathlib import Path
from types import ModuleType

import daft  # noqa: F401 - imports, not work, as the next ones
import pyarrow.parquet  # noqa: F401
import scipy.sparse.csgraph  # noqa: F401
import sklearn.cluster
import sklearn.feature_extraction.text  # noqa: F401

from flywheel.scripts.benchmarks.curation.child import cpu_seconds, peak_mebibytes

RUN = "bench"
_STAGES = "flywheel.components.curation.stages"
MODULES = {
    "intake": "flywheel.components.intake.ingest",
    "documents": f"{_STAGES}.deduplicate_documents",
    **{name: f"{_STAGES}.{name}" for name in ("deduplicate", "classify", "route", "cluster", "mine_preferences")},
}


def step(name: str, module: ModuleType, data: Path, out: Path) -> int:
    """Run one step; returns the records that it read.

    Args:
        name: One of `MODULES`.
        module: The module of that name.
        data: Folder of the input: `feedback.jsonl` and `documents.jsonl`.
        out: Folder of what the steps leave.
    """
    path = {one: str(out / one) for one in ("store", "feedback", "kept", "groups", "classified", "routed")}
    path |= {one: str(out / one) for one in ("candidates", "pairs", "rated", "documents", "groups_of_documents")}
    if name == "intake":
        summary = module.ingest(str(data / "feedback.jsonl"), path["store"], RUN)
        summary.snapshot.write(Path(path["feedback"]))
        return int(summary.record(RUN).rows.rows_in)
    calls = {
        "documents": (str(data / "documents.jsonl"), path["documents"], path["groups_of_documents"], RUN),
        "deduplicate": (path["feedback"], path["kept"], RUN, 0.8, 0.0, "hashed", path["groups"]),
        "classify": (path["kept"], path["classified"], RUN),
        "route": (path["classified"], path["routed"], RUN),
        "cluster": (path["routed"], path["candidates"], path["store"], RUN),
        "mine_preferences": (path["candidates"], path["pairs"], path["rated"], path["store"], RUN),
    }
    work = module.deduplicate_documents if name == "documents" else getattr(module, name)
    done = work(*calls[name])
    if name == "deduplicate":  # the pairs are mined from the version of the votes that this step names
        from flywheel.components.store import lineage

        lineage.record_step(path["store"], done)
    return int(done.rows.rows_in)


def main(name: str, data: str, out: str) -> None:
    """Run a step and print what it took, as JSON.

    Args:
        name: One of `MODULES`.
        data: Folder of the input.
        out: Folder of what the steps leave.
    """
    module = importlib.import_module(MODULES[name])
    if name == "intake":
        from flywheel.components.intake.privacy.scrub import scrub_texts

        scrub_texts(["compile: someone@example.org, 192.0.2.1, call +1 202 555 0100"])
    used = cpu_seconds()
    rows = step(name, module, Path(data), Path(out))
    print(json.dumps({"cpu": cpu_seconds() - used, "peak": peak_mebibytes(), "rows": rows}), flush=True)


if __name__ == "__main__":
    os.environ.setdefault("FLYWHEEL_PSEUDONYM_KEY", "0123456789abcdef0123456789abcdef")
    main(*sys.argv[1:])
