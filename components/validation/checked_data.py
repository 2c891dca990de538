"""Validate what a run is about to train on, and write the result as JSON and as a page."""

import os
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from flywheel.components.contracts.lineage import RowCounts
from flywheel.components.contracts.tables import CandidateSnapshot
from flywheel.components.validation import candidate_suite, page, preference_suite, sft_suite
from flywheel.components.validation.contract import ContractResult, run


def validate_candidates(
    snapshot: str, result: str, html: str, now: datetime | None = None
) -> tuple[str, list[ContractResult]]:
    """Hold the candidates of a run against their contract.

    Args:
        snapshot: Path of a candidate snapshot document.
        result: Path of the JSON result to write.
        html: Path of the page to write.
        now: Time that no candidate may be later than; the clock's when None.

    Returns:
        "pass" or "fail", and the suite's result.

    Raises:
        ValueError: The snapshot is not one, or its table cannot be read.
    """
    from flywheel.components.store import delta_table

    document = CandidateSnapshot.read(snapshot)
    rows = delta_table.read(document.candidates, where=pc.field("run_id") == document.run_id)
    return _publish([check_candidates(rows, now)], result, html)


def check_candidates(candidates: pa.Table, now: datetime | None = None) -> ContractResult:
    """Hold rows of the candidates table against the contract.

    Args:
        candidates: Rows with the table's columns.
        now: Time that no candidate may be later than; the clock's when None.

    Returns:
        Every check with its outcome; no rows pass.
    """
    frame = candidate_suite.project(candidates)
    suite = candidate_suite.expectations(int(frame["accepted"].sum()), len(frame), now)
    return run(candidate_suite.SUITE, frame, suite, candidate_suite.KEY)


def validate_training_data(sft: str, preferences: str, result: str, html: str) -> tuple[str, list[ContractResult]]:
    """Hold the SFT set and the preference set against their contracts.

    Args:
        sft: Folder of the SFT set, as `datasets.Dataset.save_to_disk` writes it.
        preferences: Folder of the preference set; may hold no rows.
        result: Path of the JSON result to write.
        html: Path of the page to write.

    Returns:
        "pass" or "fail" (one broken suite is enough), and both suites' results.

    Raises:
        ValueError: A folder is not a saved dataset.
    """
    results = [check_sft(load(sft)), check_preferences(load(preferences))]
    return _publish(results, result, html)


def check_sft(rows: list[dict[str, Any]]) -> ContractResult:
    """Hold rows of the SFT set against the contract; no rows fail."""
    return run(sft_suite.SUITE, sft_suite.project(rows), sft_suite.expectations(), sft_suite.KEY)


def check_preferences(rows: list[dict[str, Any]]) -> ContractResult:
    """Hold preference pairs against the contract; no rows pass."""
    frame = preference_suite.project(rows)
    return run(preference_suite.SUITE, frame, preference_suite.expectations(), preference_suite.KEY)


def load(folder: str) -> list[dict[str, Any]]:
    """Read a saved dataset through the door that the trainer uses.

    Args:
        folder: Folder written by `save_to_disk`.

    Returns:
        The rows.

    Raises:
        ValueError: The folder is not a saved dataset; the message names it.
    """
    os.environ.setdefault("HF_DATASETS_OFFLINE", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    from datasets import Dataset, load_from_disk

    try:
        dataset = load_from_disk(folder)
    except (FileNotFoundError, OSError, ValueError, KeyError) as error:
        raise ValueError(
            f"{folder} is not a dataset saved by save_to_disk ({error}); run assemble_dataset again"
        ) from error
    if not isinstance(dataset, Dataset):
        raise ValueError(f"{folder} holds several splits; the contract wants one dataset")
    return [dict(row) for row in dataset.to_list()]


def details(results: Sequence[ContractResult]) -> dict[str, Any]:
    """What the step record keeps for the report.

    Args:
        results: Results of the suites that ran.

    Returns:
        `suite`, `rows`, `expectations`, `failed` and `warnings` (each with its suite's name).
    """
    suites = [result.to_json() for result in results]

    def together(key: str) -> list[dict[str, Any]]:
        return [{"suite": suite["suite"], **check} for suite in suites for check in suite[key]]

    return {
        "suite": "+".join(suite["suite"] for suite in suites),
        "rows": {suite["suite"]: suite["rows"] for suite in suites},
        "expectations": sum(suite["expectations"] for suite in suites),
        "failed": together("failed"),
        "warnings": together("warnings"),
    }


def row_counts(outcome: str, results: Sequence[ContractResult]) -> RowCounts:
    """Account for every row: a broken contract lets none of them on.

    Args:
        outcome: "pass" or "fail".
        results: Results of the suites that ran.

    Returns:
        All rows accepted, or all of them held back under the reason "contract_broken".
    """
    rows = sum(result.rows for result in results)
    if outcome == "pass":
        return RowCounts(rows_in=rows, accepted=rows)
    return RowCounts(rows_in=rows, accepted=0, quarantined={"contract_broken": rows})


def metrics(results: Sequence[ContractResult]) -> dict[str, float]:
    """Count checks and rows, for the pipeline's metrics.

    Args:
        results: Results of the suites that ran.

    Returns:
        `expectations`, `failed`, `warnings` and `rows_<suite>`.
    """
    counts = {
        "expectations": float(sum(len(result.checks) for result in results)),
        "failed": float(sum(len(result.failed) for result in results)),
        "warnings": float(sum(len(result.warnings) for result in results)),
    }
    return counts | {f"rows_{result.suite}": float(result.rows) for result in results}


def _publish(results: list[ContractResult], result: str, html: str) -> tuple[str, list[ContractResult]]:
    outcome = "fail" if any(suite.outcome == "fail" for suite in results) else "pass"
    document = {
        "schema": "flywheel.validation/v1",
        "outcome": outcome,
        "suites": [suite.to_json() for suite in results],
    }
    page.write_whole(result, orjson.dumps(document, option=orjson.OPT_INDENT_2).decode() + "\n")
    page.write_whole(html, page.render(outcome, results))
    return outcome, results
