"""Check routed corrections for bias: who is in them, and whose the router accepts."""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flywheel.components.contracts.lineage import RowCounts, StepRecord
from flywheel.components.contracts.tables import FeedbackSnapshot
from flywheel.components.curation.bias import bias_page, slice_search
from flywheel.components.curation.bias.acceptance import GroupRate, by_group
from flywheel.components.curation.bias.groups import columns_of, groups_of
from flywheel.components.curation.bias.rate_difference import Rate, rate_of
from flywheel.components.curation.stages.files import read
from flywheel.components.curation.stages.records import record
from flywheel.components.store import observed

_OF_INTERACTIONS = ("language", "source", "model_version")
_TESTS = 3  # families: accepted, discarded, slices


@dataclass(frozen=True)
class Share:
    """A group's share of all interactions and of the accepted corrections; users are the unit of the intervals."""

    column: str
    group: str
    of_interactions: Rate
    of_accepted: Rate | None


@dataclass(frozen=True)
class BiasReport:
    """What the check found.

    Attributes:
        verdict: `look` when a group or slice is shown to differ by more than the tolerance, else `ok`.
        accepted: Rate of acceptance by group, of what was not discarded.
        discarded: Rate of discarding by group, of all corrections.
        slices: Conjunctions whose corrections are held back more often.
        slices_tested: Candidates that the search put to the test.
        shares: Who is represented.
        alpha: Chance that `look` is said although nothing differs by more than the tolerance.
        tolerance: Difference of rates that is not worth a word.
    """

    verdict: str
    accepted: list[GroupRate]
    discarded: list[GroupRate]
    slices: list[slice_search.Slice]
    slices_tested: int
    shares: list[Share]
    alpha: float
    tolerance: float


def judge(
    rows: list[dict[str, Any]],
    columns: tuple[str, ...],
    alpha: float = 0.05,
    tolerance: float = 0.1,
    interactions: list[dict[str, Any]] | None = None,
) -> BiasReport:
    """Judge routed rows.

    Args:
        rows: Routed rows with the columns of their interactions.
        columns: What to group by (`groups.grouping`).
        alpha: Chance of a false `look`, in (0, 1); divided over three families of tests.
        tolerance: Difference of rates that is not worth a word, in [0, 1).
        interactions: subject, language, source and model_version of all interactions, for who is represented.

    Raises:
        ValueError: `alpha` or `tolerance` is out of range or a column is unknown.
    """
    if not 0 < alpha < 1 or not 0 <= tolerance < 1:
        raise ValueError(f"alpha must lie in (0, 1) and tolerance in [0, 1), got {alpha} and {tolerance}")
    level = alpha / _TESTS
    kept = [row for row in rows if row["route"] != "discard"]
    groups, of_kept = groups_of(rows, columns), groups_of(kept, columns)
    subjects, kept_subjects = [row["subject"] for row in rows], [row["subject"] for row in kept]
    accepted = by_group([row["route"] == "accept" for row in kept], kept_subjects, of_kept, level, tolerance)
    discarded = by_group([row["route"] == "discard" for row in rows], subjects, groups, level, tolerance)
    held = [row["route"] != "accept" for row in kept]
    slices, tested = slice_search.worst_slices(held, kept_subjects, of_kept, level, tolerance)
    differing = any(group.differs for group in (*accepted, *discarded)) or bool(slices)
    shares = represented(interactions or [], [row for row in kept if row["route"] == "accept"], columns)
    return BiasReport("look" if differing else "ok", accepted, discarded, slices, tested, shares, alpha, tolerance)


def represented(
    interactions: list[dict[str, Any]], accepted: list[dict[str, Any]], columns: tuple[str, ...]
) -> list[Share]:
    """Each group's share of the log and of the accepted corrections, by the columns that interactions have."""
    made = []
    for column in columns if interactions else ():
        if column not in _OF_INTERACTIONS and not column.startswith("attributes."):
            continue
        everyone, chosen = groups_of(interactions, [column])[column], groups_of(accepted, [column])[column]
        users = _codes([row["subject"] for row in interactions])
        correctors = _codes([row["subject"] for row in accepted])
        for group, _ in sorted(Counter(everyone).items(), key=lambda item: (-item[1], item[0])):
            of_all = rate_of(np.array([name == group for name in everyone], dtype=np.float64), users)
            mine = np.array([name == group for name in chosen], dtype=np.float64)
            made.append(Share(column, group, of_all, rate_of(mine, correctors) if accepted else None))
    return made


def check(
    routed: str, page: str, run_id: str, columns: str = "", alpha: float = 0.05, tolerance: float = 0.1
) -> StepRecord:
    """Check the routed corrections of a run for bias, and write the page.

    Args:
        routed: Parquet file of `route`.
        page: Path of the Markdown page to write.
        run_id: Run.
        columns: What to group by, separated by commas; "" for the default columns.
        alpha: Chance that `look` is said although no group or slice differs by more than the tolerance, in (0, 1).
        tolerance: Difference of rates that is not worth a word, in [0, 1).

    Returns:
        The step's record; its outcome is the verdict, `ok` or `look`.

    Raises:
        ValueError: A parameter is not valid or the file is not one of `route`.
    """
    started = datetime.now(UTC)
    wanted = columns_of(columns)
    table, notes = read(routed)
    if "route" not in table.column_names:
        raise ValueError(f"{routed} has no routes; give the file of `route_candidates`")
    interactions = observed.read(
        FeedbackSnapshot.model_validate(notes["snapshot"]).interactions,
        ["interaction_id", "subject", "language", "source", "model_version", "attributes"],
    )
    mine = interactions.filter(pc.is_in(interactions["interaction_id"], table["interaction_id"].combine_chunks()))
    known = {row["interaction_id"]: row for row in mine.to_pylist()}
    rows = [
        {**known.get(row["interaction_id"], {}), **row, "language": row["language"] or ""} for row in table.to_pylist()
    ]
    found = judge(rows, wanted, float(alpha), float(tolerance), interactions.drop_columns("interaction_id").to_pylist())
    target = Path(page)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(bias_page.render(found), encoding="utf-8")
    accepted = sum(row["route"] == "accept" for row in rows)
    quarantined = Counter(row["reason"] for row in rows if row["route"] == "discard")
    return record(
        "check_bias",
        run_id,
        started,
        RowCounts(
            rows_in=len(rows),
            accepted=accepted,
            in_review=len(rows) - accepted - quarantined.total(),
            quarantined=dict(sorted(quarantined.items())),
        ),
        _metrics(found),
        bias_page.details(found) | {"columns": list(wanted)},
    ).model_copy(update={"outcome": found.verdict})


def _metrics(found: BiasReport) -> dict[str, float]:
    compared = [group for group in (*found.accepted, *found.discarded) if group.difference is not None]
    return {
        "groups_compared": float(len(compared)),
        "groups_differing": float(sum(group.differs for group in compared)),
        "widest_gap": max((abs(group.difference.difference) for group in compared if group.difference), default=0.0),
        "slices_tested": float(found.slices_tested),
        "slices_found": float(len(found.slices)),
    }


def _codes(subjects: list[str]) -> np.ndarray:
    encoded = pa.array(subjects, pa.string()).dictionary_encode().indices
    return np.asarray(encoded.to_numpy(zero_copy_only=False), dtype=np.int64)
