"""Stage `scale`: ten times the records through every step; time may grow elevenfold, memory by 30 %."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from flywheel.scripts.benchmarks.curation import feedback_records, store
from flywheel.scripts.benchmarks.curation.frame import OURS, Goal, Peer, Results, Stage
from flywheel.scripts.benchmarks.curation.peers.scale_steps import STEPS

ROWS = 6_000
DOCUMENTS = 5  # for every interaction, so that both sizes are beyond what is held in memory at once
TENFOLD = "ours, ten times the records"
NAMES = {"documents": "deduplicate_documents"}  # as people know the steps


def peers() -> list[Peer]:
    """The steps on so many records, and on ten times as many."""
    versions = ("deltalake", "pyarrow", "numpy", "daft", "scikit-learn")
    return [
        Peer(OURS, "scale_steps.py", versions=versions),
        Peer(TENFOLD, "scale_steps.py", rows=10 * ROWS, versions=versions),
    ]


def prepare(folder: Path, rows: int) -> int:
    """Make a log of interactions, a quarter of them corrected and half rated, and documents to deduplicate.

    Args:
        folder: Folder.
        rows: Interactions; there are `DOCUMENTS` times as many documents.

    Returns:
        Bytes of `feedback.jsonl` and `documents.jsonl`.
    """
    size = feedback_records.write(folder, DOCUMENTS * rows)
    (folder / "records.jsonl").rename(folder / "documents.jsonl")
    return size + store.prepare(folder, rows)


def quality(_data: Path, _out: Path, result: Mapping[str, Any]) -> dict[str, float]:
    """What each step took: CPU seconds and the peak of its process in MiB."""
    return {
        f"{NAMES.get(name, name)} {unit}": took[key]
        for name, took in result.items()
        for key, unit in (("cpu", "CPU s"), ("peak", "MiB"))
    }


def _ratio(step: str, key: str) -> Callable[[Results], float | None]:
    def figure(results: Results) -> float | None:
        if not {OURS, TENFOLD} <= results.keys():
            return None
        return float(results[TENFOLD].result[step][key] / results[OURS].result[step][key])

    return figure


def _goals() -> tuple[Goal, ...]:
    return tuple(
        Goal(f"{NAMES.get(step, step)}: {said} at ten times the records", _ratio(step, key), limit, at_least=False)
        for step in STEPS
        for key, said, limit in (("cpu", "CPU time", 11), ("peak", "peak memory", 1.3))
    )


STAGE = Stage(
    name="scale",
    title="Ten times the records",
    rows=ROWS,
    prepare=prepare,
    quality=quality,
    goals=_goals(),
    about=(
        "A log of interactions, a quarter of them corrected and half rated, through intake (scrubbed, into a new "
        f"store) and every stage of curation; and {DOCUMENTS} times as many documents through deduplicate_documents. "
        "Every step is a process of its own; the peaks hold Python and its libraries, about 250 MiB. Then all of it "
        "with ten times the records. The columns of the steps and the goals are those of one round."
    ),
    source=(Path(store.__file__),),
)
