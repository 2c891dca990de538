"""The terminal summary of a run: the same figures as the report's."""

from rich.console import Console
from rich.table import Table

from flywheel.components.report.outcome import Outcome, decide


def print_summary(console: Console, store: str, registry: str, model_name: str, run_id: str) -> Outcome:
    """Print the key figures of a run.

    Args:
        console: Where to.
        store: Feedback store.
        registry: Registry URI.
        model_name: Name in the registry.
        run_id: The run.

    Returns:
        What was decided.
    """
    from flywheel.components.report import summary
    from flywheel.components.report.figures import figures
    from flywheel.components.store import lineage

    table = Table(show_header=False, box=None, padding=(0, 2), title="This turn", title_justify="left")
    for label, value in summary.terminal(figures(store, registry, model_name, run_id)):
        table.add_row(label, value)
    console.print()
    console.print(table)
    return decide(lineage.steps(store, run_id))
