"""Stage `scale`: ten times the records through intake; time may grow elevenfold, memory by 30 %."""

from collections.abc import Callable

from flywheel.scripts.benchmarks.curation import store
from flywheel.scripts.benchmarks.curation.frame import OURS, Goal, Measured, Peer, Results, Stage

ROWS = 50_000
TENFOLD = "ours, ten times the records"
_KEY = {"FLYWHEEL_PSEUDONYM_KEY": "0123456789abcdef0123456789abcdef", "BENCH_SCRUB": "1"}


def peers() -> list[Peer]:
    """Intake with scrubbing of so many records, and of ten times as many."""
    versions = ("deltalake", "pyarrow")
    return [
        Peer(OURS, "store_ours.py", settings=_KEY, versions=versions),
        Peer(TENFOLD, "store_ours.py", rows=10 * ROWS, settings=_KEY, versions=versions),
    ]


def _ratio(of: Callable[[Measured], float]) -> Callable[[Results], float | None]:
    def figure(results: Results) -> float | None:
        return of(results[TENFOLD]) / of(results[OURS]) if {OURS, TENFOLD} <= results.keys() else None

    return figure


STAGE = Stage(
    name="scale",
    title="Ten times the records",
    rows=ROWS,
    prepare=store.prepare,
    quality=store.quality,
    goals=(
        Goal("CPU time at ten times the records", _ratio(lambda one: one.cpu), 11, at_least=False),
        Goal("peak memory at ten times the records", _ratio(lambda one: one.peak), 1.3, at_least=False),
    ),
    about="The log of *JSON lines into the store* and one ten times as long, scrubbed, each into a new store.",
)
