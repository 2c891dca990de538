"""Decide and write the verdict in its three forms: document, forest plot, Markdown table."""

import os
from pathlib import Path

from flywheel.components.contracts.verdict import Verdict
from flywheel.components.evaluation.verdict.forest_plot import forest_plot
from flywheel.components.evaluation.verdict.recompute import recompute
from flywheel.components.evaluation.verdict.summary_markdown import summary_markdown


def publish(
    scores: str | Path,
    spec: str | Path,
    run_id: str,
    verdict_path: str | Path,
    plot_path: str | Path,
    summary_path: str | Path,
) -> Verdict:
    """Decide on stored scores and write the result; the same inputs give the same bytes.

    Args:
        scores: Scores file.
        spec: Gauntlet file; empty: the packaged default.
        run_id: Run that asks.
        verdict_path: Where the verdict document goes.
        plot_path: Where the forest plot (HTML) goes.
        summary_path: Where the table (Markdown) goes.

    Returns:
        The verdict.

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: A file is not valid.
    """
    verdict = recompute(scores, spec, run_id)
    verdict.write(verdict_path)
    for path, text in ((plot_path, forest_plot(verdict)), (summary_path, summary_markdown(verdict))):
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{os.getpid()}")
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(target)
    return verdict
