"""Recompute a verdict from the stored per-item scores: the same bytes, or it was not made from them."""

from dataclasses import dataclass
from pathlib import Path

from flywheel.components.contracts.verdict import Verdict
from flywheel.components.evaluation.scores.scores import read_scores
from flywheel.components.evaluation.verdict.spec import read_spec
from flywheel.components.evaluation.verdict.verdict import decide


@dataclass(frozen=True)
class Recomputed:
    """A recomputed verdict and how it compares with the stored one."""

    verdict: Verdict
    equal: bool
    differences: tuple[str, ...]  # fields that differ from the stored verdict


def recompute(scores: str | Path, spec: str | Path | None = None, run_id: str = "") -> Verdict:
    """Decide again from stored scores.

    Args:
        scores: Scores file.
        spec: Gauntlet file; None or empty: the packaged default.
        run_id: Run to name in the verdict; empty: the run that made the scores.

    Returns:
        The verdict; `to_json()` gives the bytes that `decide_verdict` wrote.

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: A file is not valid.
    """
    table = read_scores(scores)
    return decide(table, read_spec(spec or ""), run_id or table.header.run_id)


def check(verdict: str | Path, scores: str | Path, spec: str | Path | None = None) -> Recomputed:
    """Recompute a stored verdict and compare.

    Args:
        verdict: Stored verdict.
        scores: Scores it claims to rest on.
        spec: Gauntlet it claims to follow; None or empty: the packaged default.

    Returns:
        The recomputed verdict, whether the bytes are equal, and which fields are not.

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: A file is not valid.
    """
    source = Path(verdict)
    if not source.is_file():
        raise FileNotFoundError(f"no verdict at {source}")
    stored = Verdict.read(source)
    again = recompute(scores, spec, stored.run_id)
    differences = tuple(name for name in Verdict.model_fields if getattr(stored, name) != getattr(again, name))
    return Recomputed(again, again.to_json() == source.read_text(encoding="utf-8"), differences)
