"""Give corrections a category and a confidence."""

from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime

import pyarrow as pa

from flywheel.components.contracts.lineage import RowCounts, StepRecord
from flywheel.components.curation.stages.files import read, write
from flywheel.components.curation.stages.records import record


def classify(kept: str, classified: str, run_id: str, labels: str = "") -> StepRecord:
    """Add category and confidence to the kept corrections.

    Args:
        kept: Parquet file of `deduplicate`.
        classified: Path of the Parquet file to write.
        run_id: Run.
        labels: Path of the user's labels (JSON lines), "" for none.

    Raises:
        ValueError: The labels or the rows are not valid.
        FileNotFoundError: A path does not exist.
    """
    from flywheel.components.curation.categories import category_classifier

    started = datetime.now(UTC)
    table, notes = read(kept)
    model, quality = category_classifier.train(category_classifier.read_labels(labels) if labels else ())
    columns = ["prompt", "response", "correction", "comment"]
    categories, confidence = model.predict(table.select(columns).to_pylist())
    table = table.append_column("category", pa.array(categories, pa.string()))
    table = table.append_column("confidence", pa.array(confidence, pa.float64()))
    calibration = {"predicted": quality.predicted, "scores": quality.scores, "correct": quality.correct}
    write(table, classified, {**notes, "calibration": calibration})
    shown = {name: value for name, value in asdict(quality).items() if name not in calibration}
    return record(
        "classify_corrections",
        run_id,
        started,
        RowCounts(rows_in=table.num_rows, accepted=table.num_rows),
        {
            "accuracy": quality.accuracy,
            "calibration_error_before": quality.error_before,
            "calibration_error_after": quality.error_after,
            "mean_confidence": float(sum(confidence) / len(confidence)) if confidence else 0.0,
        },
        {
            "categories": dict(sorted(Counter(categories).items())),
            "calibration": {**shown, "categories": list(category_classifier.CATEGORIES)},
            "error_rate": f"out of fold, {1 - quality.accuracy:.1%} of the labelled corrections get a wrong category",
        },
    )
